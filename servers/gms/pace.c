/* SPDX-License-Identifier: MIT */
/*
 * pace - how much of the GMS one device has
 *
 * Theory of operation
 *
 * A device may say GMS_SAID messages at once, and GMS_SAID_S a second from then on.
 * Nothing is refused that comes faster: its connection is read again when it is due
 * (channel_rest()), so what it says waits with the device, in its order. A hello or a
 * question that is refused would leave a member without keys, or waiting for an answer.
 * What it is told by us does not wait.
 *
 * Entries have a limit of their own, since each is told to all members: GMS_ENTRIES in
 * GMS_WINDOW_S, and who writes more is told so (RATE).
 *
 * It counts by identity, over all connections, old and new. One that nobody vouches for
 * (a stranger's) has no record here: it says one word. A record goes when it says nothing
 * any more, so there are about as many as there are devices that speak.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/gms/state.h"

#define GAP_NS	  (LOOP_S(1) / GMS_SAID_S)
#define AHEAD_MAX (GMS_SAID * GAP_NS)

/* struct pace - what a device has said of late
 * @due: when its next message is, if they came evenly: AHEAD_MAX ahead of the clock, and
 *       nothing more is read. @n: entries since @window, wall clock */
struct pace {
	UT_hash_handle hh;
	uint8_t ed_pub[NTMC_KEY_LEN];
	uint64_t due;
	int64_t window;
	unsigned int n;
};

static struct pace *pace_find(const struct caller *ca)
{
	struct pace *p;

	HASH_FIND(hh, ca->gms->paces, ca->ed_pub, NTMC_KEY_LEN, p);
	return p;
}

/* NULL: no memory */
static struct pace *pace_of(const struct caller *ca)
{
	struct pace *p = pace_find(ca);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	memcpy(p->ed_pub, ca->ed_pub, sizeof(p->ed_pub));
	HASH_ADD(hh, ca->gms->paces, ed_pub, sizeof(p->ed_pub), p);
	return p;
}

/* --- messages ----------------------------------------------------------------------- */

static void rest(struct caller *ca, uint64_t ns)
{
	if (!ca->slowed)
		log_debug("gms", "%s says more than one device may: it waits",
			  ca->fqdn);
	ca->gms->stats.slowed += !ca->slowed;
	ca->slowed = true;
	channel_rest(ca->channel, ns);
}

void pace_opened(struct caller *ca)
{
	const struct pace *p = pace_find(ca);
	uint64_t now = loop_now(ca->gms->loop);

	if (p && p->due > now + AHEAD_MAX)
		rest(ca, p->due - now - AHEAD_MAX);
}

void pace_said(struct caller *ca)
{
	struct pace *p = pace_of(ca);
	uint64_t now = loop_now(ca->gms->loop);

	if (!p) {
		rest(ca, GAP_NS);
		return;
	}
	p->due = (p->due > now ? p->due : now) + GAP_NS;
	if (p->due > now + AHEAD_MAX)
		rest(ca, p->due - now - AHEAD_MAX);
}

/* --- entries -------------------------------------------------------------------------- */

static bool is_over(const struct pace *p, int64_t now)
{
	return now - p->window >= GMS_WINDOW_S || now < p->window;
}

bool pace_writes(struct caller *ca)
{
	int64_t now = ntmc_now(NULL);
	struct pace *p = pace_of(ca);

	if (!p)
		return false;
	if (is_over(p, now)) {
		p->window = now;
		p->n = 0;
	}
	return p->n++ < GMS_ENTRIES;
}

void pace_sweep(struct gms *gms, bool all)
{
	uint64_t now = loop_now(gms->loop);
	int64_t wall = ntmc_now(NULL);
	struct pace *p, *tmp;

	HASH_ITER (hh, gms->paces, p, tmp) {
		if (!all && (p->due > now || !is_over(p, wall)))
			continue;
		HASH_DEL(gms->paces, p);
		free(p);
	}
}
