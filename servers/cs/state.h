/* SPDX-License-Identifier: MIT */
/*
 * state - the Cache Server's own data, shared by the files of this folder
 *
 *   cs.c         start, clock; admin.c
 *   requests.c   what nodes may ask, and how they are known
 *   keys.c       an item begins; its keys are fetched
 *   transfers.c  its data comes and goes
 *   listing.c    how its sender sees it
 *   ending.c     it is cancelled, or confirmed
 *   exchange.c, exchange_*.c  what the box is asked
 *
 * Owner:   cs.c makes and frees it. Context: what has no lock is set before the
 *          threads start and stays; see each part's header.
 */
#ifndef NTM_SERVERS_CS_STATE_H
#define NTM_SERVERS_CS_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "servers/clockguard.h"
#include "servers/cs/blobs.h"
#include "servers/cs/cs.h"
#include "servers/cs/desk.h"
#include "servers/cs/exchange.h"
#include "servers/cs/items.h"
#include "servers/cs/upload.h"
#include "servers/http.h"
#include "servers/servercert.h"
#include "servers/tokens.h"

#define CS_ROOM_SPARED (UINT64_C(64) << 20) /* of the disk, for the store */
#define CS_KEY_JSON_MAX                                                        \
	(64 * (ITEMS_KEY_MAX * 4 / 3 + 512) + 4096 + ITEMS_SMALL_MAX * 4 / 3)

struct cs_stats {
	_Atomic uint64_t items, complete, confirmed, cancelled, expired, lost,
		bytes_in, orphans;
};

struct cs {
	const struct role_env *env;
	struct loop *loop;
	char dir[512], db[512];
	struct servercert cert;
	struct servercert_pem pem;
	struct tokens *tokens;
	struct http *http;
	struct blobs *blobs;
	struct uploads *uploads;
	struct desk *desk;
	struct exchange *exchange;
	struct loop_timer *clock;
	struct loop_task destroy;
	uint64_t turns; /* of the clock */
	struct clockguard guard;
	bool restart;
	struct cs_stats stats;

	/* reloaded; read by all */
	_Atomic uint64_t quota;
	_Atomic uint32_t lifetime;
	_Atomic bool draining; /* no new items */

	pthread_mutex_t lock; /* of @reader, which HTTP's threads share */
	struct items *reader;
};

extern const struct http_route cs_routes[];
extern const size_t cs_n_routes;

/* admin.c */
/** does it drain since before the start? */
void cs_drain_load(struct cs *cs);

/** the sender's token; false: answered */
bool cs_sender_ok(struct cs *cs, struct http_request *q);
/** its item, by the path and the IDs; false: answered */
bool cs_find_item(struct cs *cs, struct http_request *q, struct item *out);
/** what a ticket opens; false: answered */
bool cs_ticket(struct cs *cs, struct http_request *q, struct item *item,
	       struct receiver *r);
/** the blob of an item that is over, unless another item has the same */
void cs_drop_blob(struct cs *cs, const struct item *item, bool used);
void cs_answer(struct cs *cs, struct http_request *q, int err);
/** 409, with where to go on */
void cs_answer_offset(struct http_request *q, int err, const char *text,
		      uint64_t have);
/** reads a binary value; false: it is none of @len bytes */
bool cs_bytes(const json_t *object, const char *key, uint8_t *out, size_t len);
json_t *cs_base64(const uint8_t *data, size_t len);
/** the blob of a complete item that is small: malloc()ed, @item->size bytes. Return: 0,
 *  -NTM_ENOTFOUND, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int cs_small(struct cs *cs, const struct item *item,
			    uint8_t **out);

/* listing.c */
/** new reference; NULL: the store failed */
json_t *cs_item_json(struct cs *cs, const struct item *i);

/* rows of the table; @arg: struct cs. listing.c, keys.c, ending.c, transfers.c */
void cs_get_item(struct http_request *q, void *arg);
void cs_get_items(struct http_request *q, void *arg);
void cs_post_keys(struct http_request *q, void *arg);
void cs_get_key(struct http_request *q, void *arg);
void cs_delete_item(struct http_request *q, void *arg);
void cs_post_confirmation(struct http_request *q, void *arg);
void cs_data_start(struct http_request *q, void *arg);
bool cs_data_body(struct http_request *q, void *arg, const uint8_t *data,
		  size_t len);
void cs_data_done(struct http_request *q, void *arg);
void cs_complete(struct http_request *q, void *arg);
void cs_get_data(struct http_request *q, void *arg);

#endif
