/* SPDX-License-Identifier: MIT */
/*
 * groups - the epochs of groups whose packets this relay replicates, and who is there
 *
 * Owner:   struct rs. Context: the control thread puts, ends and sweeps; any thread
 *          finds an epoch, reads its places and binds them, without a lock but that
 *          of a place; see Theory of operation in groups.c.
 * Place:   of a member in one epoch: 0 to n - 1. The relay knows no member's name.
 * Time:    @now_s: seconds of rs_now_s(); never 0.
 */
#ifndef NTM_SERVERS_RS_GROUPS_H
#define NTM_SERVERS_RS_GROUPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/datagram.h"
#include "servers/rs/paths.h"

#define GROUPS_TAG_LEN	  8
#define GROUPS_PLACES_MAX 2048
#define GROUPS_THREADS	  16
#define GROUPS_PLACE_S	  60 /* without a punch that echoes a cookie it is free */

/** struct group_place - who is at a place; all but @sent_ms is read without a lock */
struct group_place {
	_Atomic uint32_t lock; /* odd: being written */
	_Atomic uint32_t heard_s;
	_Atomic uint64_t ip[2], at; /* port, listen, local, bound; groups.c */
	uint64_t sent_ms;	    /* of the newest punch; with the lock */
};

/** struct group_here - one epoch; but for the places nothing in it changes */
struct group_here {
	_Atomic(struct group_here *) next; /* of its chain */
	uint64_t tag;
	struct ntmc_key relay_key, bind_key;
	enum ntmc_aead_alg aead;
	uint32_t account, number, n;
	uint8_t owner; /* which link made it */
	/* control thread */
	_Atomic uint32_t ends_s;
	struct group_here *dying;
	uint64_t turns[GROUPS_THREADS];
	struct group_place places[];
};

struct groups {
	uint32_t size, used, n_buckets, last_number, swept_s;
	_Atomic(struct group_here *) *buckets;
	uint64_t salt;
	struct group_here *dying; /* a thread may still look at them */
	const _Atomic uint64_t *turns[GROUPS_THREADS];
	unsigned int n_turns;
};

/** struct group_direction - what Group Direction gives; @keys borrowed */
struct group_direction {
	uint64_t tag;
	const uint8_t *relay_key, *bind_key; /* NTMC_KEY_LEN each */
	enum ntmc_aead_alg aead;
	uint32_t places, account, lifetime_s;
	uint8_t owner;
};

/** @size: epochs at once. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int groups_init(struct groups *g, uint32_t size);
/** no thread looks any more */
void groups_clear(struct groups *g);
/** before its first turn: a thread whose @turn is odd while it may look at epochs */
void groups_add_thread(struct groups *g, const _Atomic uint64_t *turn);
/**
 * groups_put() - control thread: another epoch, or more time for a known one. Other
 * keys or another number of places: nobody is at a place any more
 * @old: the account that is not held any more: of an epoch that went, @d's own where
 *       the known one stays; else 0
 *
 * Return: 0, -NTM_ELIMIT, -NTM_ENOMEM, -NTM_EEXISTS (another link's)
 */
NTM_MUST_CHECK int groups_put(struct groups *g, const struct group_direction *d,
			      uint32_t now_s, uint32_t *old);
/** any thread; NULL: not here. Good until the end of the thread's turn */
struct group_here *groups_find(const struct groups *g, uint64_t tag);
/** control thread: called for an epoch that ends, while its fields still stand */
typedef void groups_fn(void *arg, const struct group_here *h);
void groups_end(struct groups *g, struct group_here *h);
/** control thread: ends those of @owner that are charged to @account; Return: how many */
uint32_t groups_end_account(struct groups *g, uint8_t owner, uint32_t account,
			    groups_fn *gone, void *arg);
/** control thread: what is over goes, places that nobody keeps are free */
void groups_sweep(struct groups *g, uint32_t now_s, groups_fn *gone, void *arg);

/** any thread: who is at the place; false: nobody, or it is being written without end */
bool groups_at(const struct group_place *p, struct remote *out);
/** any thread: the keys of a place's punches, @up to the relay. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int groups_place_keys(const struct group_here *h, uint32_t place,
				     struct datagram_keys *out);

/** what a good punch asks for */
enum group_wish {
	GROUP_WISH_ASK,	  /* it may be there already */
	GROUP_WISH_BIND,  /* it has shown that it gets what is sent there */
	GROUP_WISH_LEAVE, /* it needs the place no more */
};
/** any thread: a punch of this place. @bound: is it there now?
 *  Return: false: older than the newest one */
NTM_MUST_CHECK bool groups_punch(struct group_place *p, enum group_wish wish,
				 const struct remote *from, uint64_t sent_ms,
				 uint32_t now_s, bool *bound);
/** any thread: bit i of byte i / 8: somebody is at place i; Return: bytes */
size_t groups_places(const struct group_here *h,
		     uint8_t out[static GROUPS_PLACES_MAX / 8]);
/** how many are bound, in all */
uint32_t groups_bound(const struct groups *g);

#endif
