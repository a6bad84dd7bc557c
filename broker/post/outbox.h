/* SPDX-License-Identifier: MIT */
/*
 * outbox - items that this device sends
 *
 * Owner:    struct post. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_OUTBOX_H
#define NTM_BROKER_POST_OUTBOX_H

#include "broker/post/pack.h"
#include "broker/post/post.h"

#define OUTBOX_RECEIVERS_MAX 64
#define OUTBOX_CHECK_S	     (6 * 3600) /* has the CS still what waits there? */
#define OUTBOX_JOBS_MAX	     32
#define OUTBOX_SMALL	     (128u << 10) /* payload bytes that the store keeps */

/**
 * enum out_state - a row of `out`; numbers are in the store
 * @OUT_OPEN:    something is to be uploaded.          Leaves by: complete, failure
 * @OUT_SENT:    the CS has all of it.                 Leaves by: every receiver's word
 * @OUT_ENDED:   each receiver has it, or never will
 * @OUT_FAILED:  nobody gets it; err and text say why
 * @OUT_CANCELLED: the person's word
 * @OUT_CANCELLING: the CS is to be told.              Leaves by: its answer
 * @OUT_FAILING: failed, and the CS is to be told: it keeps no part of it, and boxes
 *               list it no more.                       Leaves by: its answer
 */
enum out_state {
	OUT_OPEN,
	OUT_SENT_ALL,
	OUT_ENDED,
	OUT_FAILED,
	OUT_CANCELLED,
	OUT_CANCELLING,
	OUT_FAILING
};

/** enum to_state - a row of `receiver`; numbers are in the store */
enum to_state {
	TO_FOUND,   /* its prekey is known, T is to be sent */
	TO_READY,   /* T is with its box, or on the way there */
	TO_WAITING, /* the CS has all for it */
	TO_TOLD,
	TO_RECEIVED,
	TO_REFUSED,
	TO_FAILED,
	TO_STATES
};

NTM_MUST_CHECK int outbox_open(struct post *p, struct outbox **out);
void outbox_close(struct outbox *o);
/** online again, or begun: what failed for want of a network is due; what has had its
 *  time ends, and long after that it is forgotten */
void outbox_tidy(struct outbox *o);
/** what runs is not as the store says: it begins again from there, in @s seconds */
void outbox_restart(struct outbox *o, unsigned int s);
/** our clock is known to be right: what has had its time may end now */
void outbox_clock_agrees(struct outbox *o);
/** take what is due */
void outbox_work(struct outbox *o);
/** the end of a turn, before its commit: what came to be due in it is begun */
void outbox_turn(struct outbox *o);
bool outbox_busy(const struct outbox *o);
/** seconds until something is due; 0: nothing waits */
unsigned int outbox_again_s(struct outbox *o);

/**
 * struct outbox_order - an item to be sent
 * @to:    @n_to names, of devices or accounts
 * @paths: @n_paths absolute ones; or @text
 * @message: for the notification, in the clear; may be NULL
 */
struct outbox_order {
	struct post_ids ids;
	const char *const *to;
	size_t n_to;
	const char *const *paths;
	size_t n_paths;
	const char *text, *message;
};
/**
 * outbox_send() - in the store when it returns
 * @what: why it was refused, and what was left out
 * Return: 0, -NTM_EEXISTS (the same IDs), or pack_list()'s errors
 */
NTM_MUST_CHECK int outbox_send(struct outbox *o,
			       const struct outbox_order *order, int64_t *id,
			       struct pack_result *what);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTATE (everybody has it, or it has ended) */
NTM_MUST_CHECK int outbox_cancel(struct outbox *o, int64_t id);
/** the CS at @cs knows something new of an item of ours; @done(arg, err) when the
 *  store has it. Return: 0, or an error and @done is not called; -NTM_ENOTFOUND: there is
 *  no such item, or that CS never had it from us */
NTM_MUST_CHECK int outbox_ask(struct outbox *o, const struct post_ids *ids,
			      const json_t *cs,
			      void (*done)(void *arg, int err), void *arg);
/** how many receivers of item @id are in each state. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int outbox_count(struct store *st, int64_t id,
				int n[static TO_STATES]);
/** a new array of those above @after (@id 0; at most 1000, fewer where they have many
 *  receivers, at least one), or one, as `ntm outbox --json` prints it */
json_t *outbox_list(struct outbox *o, int64_t id, int64_t after);

#endif
