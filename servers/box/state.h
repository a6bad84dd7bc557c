/* SPDX-License-Identifier: MIT */
/*
 * state - the box's own data, shared by the files of this folder
 *
 * Owner: box.c makes and frees it. Context: as each says.
 *
 *   box.c         start, stop, sweep, admin
 *   api.c, api_*.c  routes: what nodes and Cache Servers ask, checked
 *   errand.c      what goes to several receivers, of this domain and of others
 *   ask.c         prekeys of another domain, part by part
 *   inbound.c     what other domains' boxes ask
 *   link.c        the link with the DC
 *   clerk.c       the thread that owns the store
 *   shelf.c, shelf_*.c  the store
 */
#ifndef NTM_SERVERS_BOX_STATE_H
#define NTM_SERVERS_BOX_STATE_H

#include "common/ntm.pb-c.h"
#include "servers/box/box.h"
#include "servers/box/clerk.h"
#include "servers/clockguard.h"
#include "servers/http.h"
#include "servers/servercert.h"
#include "servers/tokens.h"

#define BOX_RECEIVERS_MAX HTTP_TO_MAX
#define BOX_PAGE	  1000 /* entries, where nothing is said */
#define BOX_BODY_MAX	  (64 << 10)
#define BOX_SWEEP_S	  60

struct box_link;

/** @open: requests that wait for an answer of ours; atomic. @ending: no new ones */
struct box {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct servercert cert;
	struct servercert_pem pem;
	struct clerk *clerk;
	struct box_link *link;
	struct tokens *tokens;
	struct http *http;
	struct loop_timer *sweep;
	struct clockguard guard;
	unsigned int open;
	bool ending, restart;
	struct loop_task destroy;
	uint64_t foreign_in, foreign_refused; /* loop thread, as the next */
	struct shelf_counts counts;	      /* at the last sweep */
};

/* box.c */
/** a request is answered later, or now is: http_free() waits for all */
void box_opened(struct box *b);
void box_answered(struct box *b);
/** full name of @local ("device.account") in @domain. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int box_join(const char *local, const char *domain,
			    char out[static FQDN_MAX + 1]);
/** the reverse: a device of @domain; @out: without it. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int box_cut(const char *fqdn, const char *domain,
			   char out[static FQDN_MAX + 1]);
const char *box_domain(const struct box *b);
bool box_is_own(const struct box *b, const char *name);
/** seconds since 1970; any thread */
int64_t box_now(void);
/** is @id one as docs/exchange.md, HTTP wants them? */
bool box_id_ok(const char *id);
bool box_message_ok(const char *text);
/** may nodes be sent there? */
bool box_address_ok(const struct box *b, const struct addr *a);

/** was that server taken back by an administrator? @arg: struct box; any thread */
bool box_is_removed(void *arg, const uint8_t *fp);

/* api.c */
extern const struct http_route box_routes[];
extern const size_t box_n_routes;

/* errand.c */
struct errand;

/** struct receiver - one of an errand. @hash, @ticket: exchange; @key: temporal keys */
struct receiver {
	struct errand *errand;
	char name[FQDN_MAX + 1];
	bool foreign;
	int err;
	uint8_t hash[32], ticket[32];
	struct ntmc_key key;
};

/** struct errand - @x: what all receivers have in common. @keys: temporal ones */
struct errand {
	struct clerk_job job;
	struct clerk_post post;
	struct box *box;
	struct http_request *q;
	bool keys;
	struct shelf_exchange x;
	size_t n, waiting;
	struct receiver to[];
};
struct errand *errand_new(struct box *b, struct http_request *q, size_t n);
void errand_free(struct errand *e);
/** does it, answers, frees */
void errand_start(struct errand *e);

/* ask.c; any thread. Answers */
void ask_prekeys(struct box *b, struct http_request *q, const char *name);

/* inbound.c; loop thread */
void inbound_question(struct box *b, const Ntm__BoxQuestion *q);

/* link.c; loop thread */
NTM_MUST_CHECK int box_link_new(struct box *b, struct box_link **out);
void box_link_free(struct box_link *l);
void box_link_changed(struct box_link *l, const char *fqdn, uint32_t serial);
void box_link_answer(struct box_link *l, uint32_t id,
		     const Ntm__BoxResponse *r);
/** the answer of the other domain's box; @r NULL: none, for @err */
typedef void box_told_fn(void *arg, int err, const Ntm__BoxResponse *r);
#define BOX_ASKS_OF_ACCOUNT 64 /* under way; beyond, -NTM_ELIMIT */
/** @node: who wants it. @name: whole; @fn is called once, perhaps inside the call */
void box_link_ask(struct box_link *l, const char *node, const char *name,
		  Ntm__BoxRequest *q, box_told_fn *fn, void *arg);
/** it was withdrawn: all that is kept for it goes; any thread */
void box_forget(struct box *b, const char *fqdn);
bool box_link_is_up(const struct box_link *l);

#endif
