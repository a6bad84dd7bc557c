/* SPDX-License-Identifier: MIT */
/*
 * arrival - an item that comes straight from its sender, while both are online
 *
 * Owner:    its row of the inbox; while bytes come, a job of the inbox (fetching.h).
 * Context:  loop thread. The door (door.h) knows who speaks, and says here what it says.
 */
#ifndef NTM_BROKER_POST_ARRIVAL_H
#define NTM_BROKER_POST_ARRIVAL_H

#include "broker/post/fetching.h"

#define ARRIVALS_MAX	    64 /* at a time */
#define ARRIVALS_OF_ONE_MAX 32
#define ARRIVAL_QUIET_S	    30 /* a job without a byte is over; its bytes stay */
#define ARRIVAL_STALE_S	    (7 * 86400) /* of what nobody goes on with */
#define ARRIVAL_WAITING_MAX                                                    \
	10000 /* items of one sender, that nobody has taken */

/** struct arrival_of - what the sender says: borrowed */
struct arrival_of {
	const char *sender;
	const struct post_ids *ids;
	const char *message;
	uint64_t size;
	int64_t expires;
	const uint8_t *wrapped; /* K, sealed to our prekey */
	size_t wrapped_len;
};

/**
 * struct arrival_place - how it stands with the item
 * @job:  bytes from @job->at on may come; else NULL:
 * @code: 0: it is here. Else it was refused for that
 * @hash: of the blob that this is said of, as text; empty: not known. Who names items
 *        itself may have given the name to another one since
 */
struct arrival_place {
	struct fetching *job;
	int code;
	char hash[64];
};

/**
 * arrival_begin() - may it come, and from where on? In the store when it returns
 * Return: 0; -NTM_EPOLICY (the sender may not connect in), -NTM_ESTATE (held, for the
 *         person to say), -NTM_EAGAIN (it comes from a CS already, or too many come),
 *         -NTM_ESTORE (no room), -NTM_EEXPIRED (the prekey is none of ours any more),
 *         or as item_key_unwrap() and post_pin() say
 */
NTM_MUST_CHECK int arrival_begin(struct post *p, const struct arrival_of *of,
				 struct arrival_place *out);
/** the job of an item; NULL: it has not begun */
struct fetching *arrival_find(struct post *p, const char *sender,
			      const struct post_ids *ids);
/** bytes. Return: 0; or an error, and the job is over. @code: the item was refused
 *  for that; 0: it was not */
NTM_MUST_CHECK int arrival_data(struct fetching *f, const uint8_t *data,
				size_t len, int *code);
/** its connection is over before all has come: what came is on the disk, and the sender
 *  can go on from there */
void arrival_pause(struct fetching *f);
/**
 * arrival_complete() - all of it is here and its hash @hash (as text). The job is over
 * @out: as arrival_begin() says. Return: 0, -NTM_ECLOSED (bytes are missing: the job
 *       goes on), -NTM_EAUTH (from the beginning, then), -NTM_ESTORE
 */
NTM_MUST_CHECK int arrival_complete(struct fetching *f, const char *hash,
				    struct arrival_place *out);
/** its sender takes it back. Return: 0, -NTM_ENOTFOUND, -NTM_ESTATE (it is here),
 *  -NTM_ESTORE */
NTM_MUST_CHECK int arrival_withdraw(struct post *p, const char *sender,
				    const struct post_ids *ids);
/** end those that have been quiet for too long */
void arrival_tick(struct post *p);
/** rows came by other ways: how many of whom wait is not known any more */
void arrival_count_anew(struct post *p);
/** a box is about to list it as well: what came so far is in the row */
void arrival_entry(struct post *p, const char *sender,
		   const struct post_ids *ids);
/** the sender of item @id has turned to a CS: what came so far is kept */
void arrival_end(struct post *p, int64_t id);
/** what was begun so, and not gone on with in any way */
void arrival_forget_stale(struct post *p);

#endif
