/* SPDX-License-Identifier: MIT */
/* share - what each account takes of the exit: its rate, its turn, its sockets */
#include "servers/exit/share.h"

#include <stdlib.h>
#include <utlist.h>

#define NS	   UINT64_C(1000000000)
#define NS_MS	   UINT64_C(1000000)
#define DEBT_ROUND (16 * SHARE_QUANTUM) /* of a round, at most */

/* struct share - @paid_ns: up to when what passed is paid for, to hosts and to nodes;
 * @round: bytes of this round */
struct share {
	uint32_t account;
	unsigned int refs, sockets;
	bool closed;
	uint64_t paid_ns[2], round;
	struct share *prev, *next;
};

struct shares {
	uint64_t rate, burst_ns;
	struct share *list;
};

int shares_new(uint64_t rate, struct shares **out)
{
	struct shares *s = calloc(1, sizeof(*s));
	uint64_t least;

	if (!s)
		return -NTM_ENOMEM;
	s->rate = rate;
	s->burst_ns = SHARE_BURST_MS * NS_MS;
	if (rate) {
		least = (uint64_t)((double)SHARE_BURST_MIN * (double)NS /
				   (double)rate);
		if (s->burst_ns < least)
			s->burst_ns = least;
	}
	*out = s;
	return 0;
}

void shares_free(struct shares *s)
{
	free(s);
}

struct share *share_get(struct shares *s, uint32_t account)
{
	struct share *h;

	if (account)
		DL_FOREACH (s->list, h)
			if (h->account == account) {
				h->refs++;
				return h;
			}
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->account = account;
	h->refs = 1;
	DL_APPEND(s->list, h);
	return h;
}

void share_put(struct shares *s, struct share *h)
{
	if (!h || --h->refs)
		return;
	DL_DELETE(s->list, h);
	free(h);
}

bool share_is_of(const struct share *h, uint32_t account)
{
	return h->account == account;
}

void share_close(struct share *h, bool closed)
{
	h->closed = closed;
}

bool share_is_closed(const struct share *h)
{
	return h->closed;
}

unsigned int *share_sockets(struct share *h)
{
	return &h->sockets;
}

enum way { UP, DOWN };

static uint64_t debt_ns(const struct share *h, enum way w, uint64_t now_ns)
{
	return h->paid_ns[w] > now_ns ? h->paid_ns[w] - now_ns : 0;
}

static bool charge(struct shares *s, struct share *h, enum way w,
		   uint64_t now_ns, size_t bytes, uint64_t most_ns)
{
	if (h->closed)
		return false;
	h->round += bytes;
	if (!s->rate)
		return true;
	if (debt_ns(h, w, now_ns) > most_ns)
		return false;
	if (h->paid_ns[w] < now_ns)
		h->paid_ns[w] = now_ns;
	h->paid_ns[w] +=
		(uint64_t)((double)bytes * (double)NS / (double)s->rate) + 1;
	return true;
}

bool share_up(struct shares *s, struct share *h, uint64_t now_ns, size_t bytes)
{
	return charge(s, h, UP, now_ns, bytes, s->burst_ns);
}

bool share_down(struct shares *s, struct share *h, uint64_t now_ns,
		size_t bytes)
{
	return charge(s, h, DOWN, now_ns, bytes,
		      s->burst_ns + SHARE_DEBT_MS * NS_MS);
}

bool share_turn(struct shares *s, struct share *h, uint64_t now_ns,
		uint32_t *wait_ms, bool *others)
{
	uint64_t debt = debt_ns(h, DOWN, now_ns), ms;

	if (h->closed)
		return false;
	if (debt > s->burst_ns) {
		ms = (debt - s->burst_ns) / NS_MS + 1;
		if (ms < *wait_ms)
			*wait_ms = (uint32_t)ms;
		return false;
	}
	if (h->round >= SHARE_QUANTUM) {
		*others = true;
		return false;
	}
	return true;
}

void shares_round(struct shares *s)
{
	struct share *h;

	DL_FOREACH (s->list, h) {
		if (h->round > DEBT_ROUND)
			h->round = DEBT_ROUND;
		h->round -= h->round < SHARE_QUANTUM ? h->round : SHARE_QUANTUM;
	}
}
