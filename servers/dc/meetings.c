/* SPDX-License-Identifier: MIT */
/*
 * meetings - which nodes of ours met which identities of other domains, for a day
 *
 * Theory of operation
 *
 * Each domain has a list of its own, oldest first (struct domain, met). Two indices find
 * a meeting by all of it, and the first one with an identity, behind which those of
 * other nodes of ours with the same identity are chained: a server that thousands meet
 * would be one long run of an index. Their hash has a key, as fingerprints are the other
 * side's to choose. Memory is taken in chunks of 4096 as it is needed.
 *
 * A node of ours is remembered by handle and the head of its fingerprint: a handle may
 * be another's by now, who is told nothing.
 */
#include "servers/dc/meetings.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/domains_impl.h"
#include "servers/dc/state.h"
#include "servers/keyhash.h"

/* struct meeting - @domain 0: place not in use */
struct meeting {
	uint32_t slab_link;
	struct chain_link link; /* of its domain */
	uint32_t node, at_s;
	uint32_t same_prev, same_next; /* with the same identity */
	uint16_t domain;
	uint64_t fp8; /* of @node */
	uint8_t fp[NTMC_FP_LEN];
};

struct meetings {
	struct dc *dc;
	struct slab slab;
	struct index by_all, by_fp; /* by_fp: the first of each chain */
	struct keyhash hash;
};

static struct meeting *at(const struct meetings *m, uint32_t h)
{
	return slab_at(&m->slab, h);
}

/* @node 0: of any node */
static uint64_t hash_of(const struct meetings *m, uint16_t domain,
			uint32_t node, const uint8_t *fp)
{
	uint8_t key[6 + NTMC_FP_LEN];

	memcpy(key, &domain, 2);
	memcpy(key + 2, &node, 4);
	memcpy(key + 6, fp, NTMC_FP_LEN);
	return keyhash(&m->hash, key, sizeof(key));
}

static uint64_t hash_all(const void *owner, uint32_t h)
{
	const struct meetings *m = owner;

	return hash_of(m, at(m, h)->domain, at(m, h)->node, at(m, h)->fp);
}

static uint64_t hash_fp(const void *owner, uint32_t h)
{
	const struct meetings *m = owner;

	return hash_of(m, at(m, h)->domain, 0, at(m, h)->fp);
}

/* --- a domain's list -------------------------------------------------------------- */

static void list_append(struct meetings *m, struct domain *d, uint32_t h)
{
	at(m, h)->at_s = dc_now_s(m->dc);
	chain_append(&d->met.chain, &m->slab, h);
	d->met.n++;
}

static void list_remove(struct meetings *m, struct domain *d, uint32_t h)
{
	chain_remove(&d->met.chain, &m->slab, h);
	d->met.n--;
}

static bool is_met(const struct meeting *x, const struct domain *d,
		   const uint8_t *fp)
{
	return x->domain == d->number && !memcmp(x->fp, fp, NTMC_FP_LEN);
}

/* the first of those that met @fp of @d; 0: none */
static uint32_t first_of(const struct meetings *m, const struct domain *d,
			 const uint8_t *fp)
{
	uint32_t place, h;

	for (h = index_first(&m->by_fp, hash_of(m, d->number, 0, fp), &place);
	     h && !is_met(at(m, h), d, fp); h = index_next(&m->by_fp, &place))
		;
	return h;
}

/* it stands behind the first one, or is that. Return: 0, -NTM_ENOMEM */
static int same_add(struct meetings *m, struct domain *d, uint32_t h)
{
	struct meeting *x = at(m, h);
	uint32_t first = first_of(m, d, x->fp);

	if (!first)
		return index_add(&m->by_fp, h);
	x->same_prev = first;
	x->same_next = at(m, first)->same_next;
	if (x->same_next)
		at(m, x->same_next)->same_prev = h;
	at(m, first)->same_next = h;
	return 0;
}

static void same_remove(struct meetings *m, uint32_t h)
{
	struct meeting *x = at(m, h);

	if (x->same_next)
		at(m, x->same_next)->same_prev = x->same_prev;
	if (x->same_prev) {
		at(m, x->same_prev)->same_next = x->same_next;
		return;
	}
	index_del(&m->by_fp, h);
	/* there is room: one has just gone */
	if (x->same_next && index_add(&m->by_fp, x->same_next))
		log_err("meetings", "an index that shrank has no room");
}

static void forget(struct meetings *m, struct domain *d, uint32_t h)
{
	list_remove(m, d, h);
	same_remove(m, h);
	index_del(&m->by_all, h);
	slab_del(&m->slab, h);
}

/* room for one more: the oldest of whoever has most */
static void make_room(struct meetings *m)
{
	struct domain *most = NULL;

	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		struct domain *d = m->dc->domains->list[i];

		if (d && (!most || d->met.n > most->met.n))
			most = d;
	}
	if (most && most->met.chain.head)
		forget(m, most, most->met.chain.head);
}

/* --- what happened ------------------------------------------------------------------ */

/* 0: there is none */
static uint32_t find(const struct meetings *m, const struct domain *d,
		     uint32_t node, const uint8_t *fp)
{
	uint64_t hash = hash_of(m, d->number, node, fp);
	uint32_t place, h;

	for (h = index_first(&m->by_all, hash, &place); h;
	     h = index_next(&m->by_all, &place))
		if (at(m, h)->node == node && is_met(at(m, h), d, fp))
			break;
	return h;
}

/* 0: no memory */
static uint32_t meeting_new(struct meetings *m, struct domain *d, uint32_t node,
			    const uint8_t *fp)
{
	uint32_t h;

	if (m->slab.used == MEETINGS_MAX)
		make_room(m);
	h = slab_add(&m->slab);
	if (!h)
		return 0;
	at(m, h)->domain = d->number;
	at(m, h)->node = node;
	memcpy(at(m, h)->fp, fp, NTMC_FP_LEN);
	if (index_add(&m->by_all, h)) {
		slab_del(&m->slab, h);
		return 0;
	}
	if (same_add(m, d, h)) {
		index_del(&m->by_all, h);
		slab_del(&m->slab, h);
		return 0;
	}
	return h;
}

void meetings_add(struct meetings *m, struct domain *d, uint32_t node,
		  const uint8_t fp[static NTMC_FP_LEN])
{
	uint32_t h = find(m, d, node, fp);

	if (h)
		list_remove(m, d, h);
	else
		h = meeting_new(m, d, node, fp);
	if (!h)
		return;
	at(m, h)->fp8 = nodes_at(&m->dc->nodes, node)->fp8;
	list_append(m, d, h);
}

/* its node is the one that met */
static bool is_there(const struct meetings *m, const struct meeting *x)
{
	const struct node *n = nodes_at(&m->dc->nodes, x->node);

	return n->fqdn && n->fp8 == x->fp8;
}

static void end_one(struct meetings *m, struct domain *d, uint32_t h,
		    meetings_fn *fn)
{
	struct meeting was = *at(m, h);

	forget(m, d, h);
	if (fn && is_there(m, &was))
		fn(m->dc, d, was.node, was.fp);
}

bool meetings_end(struct meetings *m, struct domain *d,
		  const uint8_t fp[static NTMC_FP_LEN], meetings_fn *fn)
{
	uint32_t h, n = 0;

	for (; (h = first_of(m, d, fp)); n++)
		end_one(m, d, h, fn);
	return n > 0;
}

void meetings_end_all(struct meetings *m, struct domain *d, meetings_fn *fn)
{
	while (m && d->met.chain.head)
		end_one(m, d, d->met.chain.head, fn);
}

void meetings_of_node(struct meetings *m, uint32_t node, meetings_fn *fn)
{
	struct domain *d;

	for (uint32_t h = 1; h <= m->slab.top; h++) {
		const struct meeting *x = at(m, h);

		d = x->domain && x->node == node && is_there(m, x)
			    ? domains_at(m->dc, x->domain)
			    : NULL;
		if (d)
			fn(m->dc, d, node, x->fp);
	}
}

void meetings_expire(struct meetings *m, struct domain *d)
{
	while (d->met.chain.head &&
	       dc_now_s(m->dc) - at(m, d->met.chain.head)->at_s >= MEETING_S)
		forget(m, d, d->met.chain.head);
}

uint32_t meetings_count(const struct meetings *m)
{
	return m->slab.used;
}

/* --- life ------------------------------------------------------------------------------ */

int meetings_new(struct dc *dc, struct meetings **out)
{
	struct meetings *m = calloc(1, sizeof(*m));

	if (!m)
		return -NTM_ENOMEM;
	m->dc = dc;
	slab_init(&m->slab, sizeof(struct meeting), MEETINGS_MAX);
	index_init(&m->by_all, hash_all, m);
	index_init(&m->by_fp, hash_fp, m);
	keyhash_init(&m->hash);
	*out = m;
	return 0;
}

void meetings_free(struct meetings *m)
{
	if (!m)
		return;
	slab_clear(&m->slab);
	index_clear(&m->by_all);
	index_clear(&m->by_fp);
	free(m);
}
