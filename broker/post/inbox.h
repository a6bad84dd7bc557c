/* SPDX-License-Identifier: MIT */
/*
 * inbox - items for this device
 *
 * Owner:    struct post. Context: loop thread.
 * What comes lies in a folder of its own, post/in.NUMBER, until the person takes it
 * (`ntm receive`), who alone says where it goes.
 */
#ifndef NTM_BROKER_POST_INBOX_H
#define NTM_BROKER_POST_INBOX_H

#include "broker/post/post.h"
#include "common/jsontext.h"

#define INBOX_JOBS_MAX 32 /* from CSs */

/**
 * enum in_state - a row of `inb`; numbers are in the store
 * @IN_LISTED:  the box has it for us.             Leaves by: all of it came; a refusal
 * @IN_HELD:    waits for the person: err says why. Leaves by: `ntm receive`, `ntm allow`
 * @IN_HAVE:    verified, on our disk.             Leaves by: the person takes it
 * @IN_REFUSED: is not what its sender signed, or breaks a rule; never again
 * @IN_TAKEN:   kept to know it again
 * @IN_DROPPED: the person does not want it, or to see that it was refused; as REFUSED else
 * While the box lists it (`entry`), all but the first two are still to be confirmed.
 */
enum in_state {
	IN_LISTED,
	IN_HELD,
	IN_HAVE,
	IN_REFUSED,
	IN_TAKEN = 5,
	IN_DROPPED,
};

/** does its sender get a code for it, and nothing else? */
static inline bool in_refused(enum in_state state)
{
	return state == IN_REFUSED || state == IN_DROPPED;
}

NTM_MUST_CHECK int inbox_open(struct post *p, struct inbox **out);
void inbox_close(struct inbox *b);
/** what runs is not as the store says: it begins again from there, in @s seconds */
void inbox_restart(struct inbox *b, unsigned int s);
/** ask the box for what is new in its list, then take what is due */
void inbox_sync(struct inbox *b);
/** the next time for all of it */
void inbox_whole(struct inbox *b);
/** online again, or begun: what failed for want of a network is due */
void inbox_soon(struct inbox *b);
/** what is due without asking */
void inbox_work(struct inbox *b);
/** the end of a turn, before its commit: what came to be due in it is begun */
void inbox_turn(struct inbox *b);
/** somebody may be allowed now: what is held is looked at again */
void inbox_policy(struct inbox *b);
bool inbox_busy(const struct inbox *b);
unsigned int inbox_again_s(struct inbox *b);
/** the number of the list when it was last read */
uint64_t inbox_serial(const struct inbox *b);

/** fetch it, whoever sent it. Return: 0, -NTM_ENOTFOUND, -NTM_EEXISTS (here already) */
NTM_MUST_CHECK int inbox_want(struct inbox *b, int64_t id);
/** the person has taken it. Return: 0, -NTM_ENOTFOUND, -NTM_ESTATE (not here yet) */
NTM_MUST_CHECK int inbox_taken(struct inbox *b, int64_t id);
/** the person does not want it, whatever its state; one that is not here yet is refused.
 *  *@told: false: its sender does not hear of that, as its domain is not known here
 *  Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int inbox_drop(struct inbox *b, int64_t id, bool *told);
/** a new array of those above @after (@id 0; at most 1000), or one, as `ntm inbox --json`
 *  prints it */
json_t *inbox_list(struct inbox *b, int64_t id, int64_t after);
/** the same as rows, [[id, from, title, message, size, state, text], ...], behind what
 *  is in @out */
void inbox_rows(struct inbox *b, int64_t after, struct jsontext *out);

#endif
