/* SPDX-License-Identifier: MIT */
/* early - Tunnel Requests that arrive before the direction they belong to */
#include "broker/early.h"

#include <stdlib.h>
#include <string.h>

#include "broker/peer.h"
#include "broker/timers.h"

struct early {
	struct worker *w;
	struct kept {
		uint64_t kept_ns; /* 0: free */
		struct packet_header h;
		struct addr from;
		size_t len;
		uint8_t buf[PACKET_SIGNAL_MAX];
	} list[EARLY_MAX];
};

int early_new(struct worker *w, struct early **out)
{
	struct early *e = calloc(1, sizeof(*e));

	if (!e)
		return -NTM_ENOMEM;
	e->w = w;
	*out = e;
	return 0;
}

void early_free(struct early *e)
{
	free(e);
}

static bool again(const struct kept *k, const uint8_t *buf, size_t len,
		  const struct addr *from)
{
	return k->kept_ns && k->len == len && addr_equal(&k->from, from) &&
	       !memcmp(k->buf, buf, len);
}

/* The place for a request from there. Whoever fills the table with what he makes up
 * cannot choose which one he displaces. */
static struct kept *place(struct early *e, const struct addr *from)
{
	uint64_t now = loop_now(e->w->loop);
	struct kept *k, *mine = NULL, *empty = NULL;
	unsigned int n = 0;
	uint32_t lot;

	for (size_t i = 0; i < EARLY_MAX; i++) {
		k = &e->list[i];
		if (!k->kept_ns || now - k->kept_ns > LOOP_MS(EARLY_KEEP_MS)) {
			empty = k;
			continue;
		}
		if (!addr_equal_ip(&k->from, from))
			continue;
		n++;
		if (!mine || k->kept_ns < mine->kept_ns)
			mine = k;
	}
	if (n >= EARLY_SOURCE_MAX)
		return mine;
	if (empty)
		return empty;
	ntmc_random(&e->w->env->crypto, &lot, sizeof(lot));
	return &e->list[lot % EARLY_MAX];
}

void early_keep(struct early *e, const struct packet_header *h,
		const uint8_t *buf, size_t len, const struct addr *from)
{
	struct kept *k;

	if (!e->w->n_directions || len > sizeof(k->buf))
		return;
	for (size_t i = 0; i < EARLY_MAX; i++)
		if (again(&e->list[i], buf, len, from))
			return;
	k = place(e, from);
	k->kept_ns = loop_now(e->w->loop);
	k->h = *h;
	k->from = *from;
	k->len = len;
	memcpy(k->buf, buf, len);
}

void early_feed(struct early *e, uint64_t path_id)
{
	uint64_t now = loop_now(e->w->loop);

	for (size_t i = 0; i < EARLY_MAX; i++) {
		struct kept k = e->list[i];

		if (!k.kept_ns || (k.h.id ^ path_id) & ~1ull)
			continue;
		e->list[i].kept_ns = 0;
		if (now - k.kept_ns <= LOOP_MS(EARLY_KEEP_MS))
			shake_datagram(e->w, &k.h, k.buf, k.len, &k.from);
	}
}
