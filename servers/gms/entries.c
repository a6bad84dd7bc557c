/* SPDX-License-Identifier: MIT */
/* entries - what members write: parts, then the entry that they belong to */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/gms/state.h"

void caller_drop_parts(struct caller *ca)
{
	free(ca->parts);
	free(ca->part_bytes);
	ca->parts = NULL;
	ca->part_bytes = NULL;
	ca->n_parts = 0;
}

static int by_index(const void *a, const void *b)
{
	uint32_t x = ((const struct ledger_part *)a)->index;
	uint32_t y = ((const struct ledger_part *)b)->index;

	return (x > y) - (x < y);
}

void entries_parts(struct caller *ca, const Ntm__GroupParts *m)
{
	struct ledger_group *lg;
	uint32_t index;
	size_t i, n, most;

	/* who is no member makes us keep nothing, a member as much as its group has */
	if (caller_member(ca, &m->group, &lg, &index)) {
		caller_drop_parts(ca);
		return;
	}
	most = group_size(ledger_state(lg));
	if (memcmp(ca->group, m->group.data, GROUP_ID_LEN) ||
	    ca->epoch != m->epoch)
		caller_drop_parts(ca);
	memcpy(ca->group, m->group.data, GROUP_ID_LEN);
	ca->epoch = m->epoch;
	if (!ca->parts) {
		ca->parts = calloc(most, sizeof(*ca->parts));
		ca->part_bytes = calloc(most, GROUP_PART_LEN);
		ca->parts_max = most;
	}
	if (!ca->parts || !ca->part_bytes ||
	    m->n_parts > ca->parts_max - ca->n_parts) {
		caller_drop_parts(ca);
		return;
	}
	for (i = 0; i < m->n_parts; i++) {
		n = ca->n_parts++;
		memcpy(ca->part_bytes + n * GROUP_PART_LEN,
		       m->parts[i]->part.data, GROUP_PART_LEN);
		ca->parts[n].index = m->parts[i]->index;
		ca->parts[n].part = ca->part_bytes + n * GROUP_PART_LEN;
	}
}

static int create(struct caller *ca, const Ntm__GroupSubmit *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;

	if (!ca->ours)
		return -NTM_ENOTOURS;
	if (ledger_founded(gms->ledger, ca->ed_pub) >= GMS_FOUNDED)
		return -NTM_ELIMIT;
	return ledger_create(gms->ledger, ca->ed_pub, ca->fqdn, m->entry.data,
			     m->entry.len, &lg);
}

/* We were led another way than the node has gone: it is told so, and a person decides. */
static void another_way(struct caller *ca, struct follow *f)
{
	const struct group *g = ledger_state(f->lg);

	ca->gms->stats.forks++;
	caller_gone(ca, group_id(g), -NTM_EFORK, group_epoch(g));
	follow_free(f);
}

/* What a restored store lacks. As soon as it has all that anybody gives: a new RN2. */
static int repair(struct caller *ca, struct follow *f,
		  const Ntm__GroupSubmit *m)
{
	const struct ledger_written w = {
		.entry = m->entry.data,
		.len = m->entry.len,
		.sealer = m->sealer.len ? m->sealer.data : NULL};
	enum group_why why = GROUP_FINE;
	struct gms *gms = ca->gms;
	struct ledger_group *lg = f->lg;
	int r = ledger_append(gms->ledger, lg, &w, true, &why);

	if (why == GROUP_OLD)
		return -NTM_EEXISTS; /* another one was faster: go on */
	if (why == GROUP_FORK)
		another_way(ca, f);
	if (r)
		return r;
	gms->stats.repaired++;
	f->gave = loop_now(gms->loop);
	if (group_epoch(ledger_state(lg)) >= f->ahead &&
	    memcmp(group_hash(ledger_state(lg)), f->past, NTMC_HASH_LEN)) {
		log_err("gms",
			"%s has led a group from an old store another way than "
			"it had gone",
			ca->fqdn);
		gms->stats.forks++;
	}
	/* who was further, this one too, goes on; the clock looks after who does not */
	return follow_gives(gms, lg) ? 0 : follow_renew(gms, lg, true);
}

static int append(struct caller *ca, const Ntm__GroupSubmit *m,
		  const struct group_entry *e)
{
	uint8_t prekeys[GROUP_JOIN_MAX][GROUP_PREKEY_LEN];
	struct ledger_written w = {.entry = m->entry.data,
				   .len = m->entry.len,
				   .sealer = m->sealer.len ? m->sealer.data
							   : NULL,
				   .prekeys = prekeys,
				   .n_prekeys = m->n_prekeys};
	struct gms *gms = ca->gms;
	ProtobufCBinaryData id = {GROUP_ID_LEN, (uint8_t *)e->id};
	struct ledger_group *lg;
	struct follow *f;
	uint32_t index;
	bool fits;
	int r = caller_member(ca, &id, &lg, &index);

	if (r)
		return r;
	f = follow_find(ca, lg);
	if (f && follow_ahead(f))
		return repair(ca, f, m);
	if (e->author != index)
		return -NTM_EPERM;
	/* others were first, if not here: the news says which */
	if (follow_gives(gms, lg))
		return -NTM_EAGAIN;
	fits = !memcmp(ca->group, e->id, GROUP_ID_LEN) && ca->epoch == e->epoch;
	if (ca->n_parts)
		qsort(ca->parts, ca->n_parts, sizeof(*ca->parts), by_index);
	w.parts = fits ? ca->parts : NULL;
	w.n_parts = fits ? ca->n_parts : 0;
	for (size_t i = 0; i < m->n_prekeys; i++)
		memcpy(prekeys[i], m->prekeys[i].data, GROUP_PREKEY_LEN);
	r = ledger_append(gms->ledger, lg, &w, false, NULL);
	/* of a past that is over: another one was first, the news says which */
	return r == -NTM_EFORK || r == -NTM_ESTATE ? -NTM_EAGAIN : r;
}

static bool too_often(struct caller *ca, const struct group_entry *e)
{
	struct ledger_group *lg = ledger_find(ca->gms->ledger, e->id);
	struct follow *f = lg ? follow_find(ca, lg) : NULL;

	if (f && follow_ahead(f))
		return false; /* it gives back what we lack */
	return !pace_writes(ca);
}

void entries_submit(struct caller *ca, uint32_t txn, const Ntm__GroupSubmit *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct group_entry e;
	int r = group_entry_get(m->entry.data, m->entry.len, &e);

	if (!r && too_often(ca, &e))
		r = -NTM_ERATE;
	if (!r)
		r = e.kind == GROUP_CREATE ? create(ca, m) : append(ca, m, &e);
	caller_drop_parts(ca);
	caller_ack(ca, txn, r);
	if (r) {
		gms->stats.refused++;
		log_debug("gms", "%s: an entry is refused: %s", ca->fqdn,
			  err_text(r));
		return;
	}
	gms->stats.entries++;
	lg = ledger_find(gms->ledger, e.id);
	if (lg)
		follow_push(gms, lg);
}
