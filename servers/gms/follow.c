/* SPDX-License-Identifier: MIT */
/* follow - who follows which group, and what each is told */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/log.h"
#include "libntmcrypto/groupnode.h"
#include "servers/gms/state.h"

struct follow *follow_find(const struct caller *ca,
			   const struct ledger_group *lg)
{
	unsigned int i;

	for (i = 0; i < ca->n_follows; i++)
		if (ca->follows[i]->lg == lg)
			return ca->follows[i];
	return NULL;
}

int follow_new(struct caller *ca, struct ledger_group *lg, uint32_t index,
	       struct follow **out)
{
	struct follow *f, *head = ledger_arg(lg);

	if (ca->n_follows == GMS_FOLLOWED)
		return -NTM_ELIMIT;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -NTM_ENOMEM;
	f->caller = ca;
	f->lg = lg;
	f->index = index;
	ca->follows[ca->n_follows++] = f;
	caller_known(ca);
	DL_APPEND(head, f);
	ledger_set_arg(lg, head);
	*out = f;
	return 0;
}

void follow_free(struct follow *f)
{
	struct follow *head = ledger_arg(f->lg);
	struct caller *ca = f->caller;
	unsigned int i;

	for (i = 0; i < ca->n_follows; i++)
		if (ca->follows[i] == f)
			break;
	ca->follows[i] = ca->follows[--ca->n_follows];
	DL_DELETE(head, f);
	ledger_set_arg(f->lg, head);
	free(f);
}

/* --- news ------------------------------------------------------------------------- */

/* one Group News while it is put together: entries lie one behind the other */
struct news {
	Ntm__GroupLogged logged[GMS_NEWS_ENTRIES];
	Ntm__GroupLogged *list[GMS_NEWS_ENTRIES];
	uint8_t b[GMS_NEWS_MAX + GROUP_ENTRY_MAX];
	uint8_t rn2[GROUP_RN2_SEALED_LEN];
	size_t n, len;
	uint64_t last;
};

static void put(struct news *n, ProtobufCBinaryData *to, const uint8_t *from,
		size_t len)
{
	if (!from)
		return;
	memcpy(n->b + n->len, from, len);
	*to = (ProtobufCBinaryData){.len = len, .data = n->b + n->len};
	n->len += len;
}

static bool take(void *arg, const struct ledger_logged *e)
{
	size_t more = e->len + NTMC_KEY_LEN + GROUP_PART_LEN;
	struct news *n = arg;
	Ntm__GroupLogged *m = &n->logged[n->n];

	if (n->n && n->len + more > GMS_NEWS_MAX)
		return false;
	ntm__group_logged__init(m);
	put(n, &m->entry, e->entry, e->len);
	if (e->part) {
		put(n, &m->sealer, e->sealer, NTMC_KEY_LEN);
		put(n, &m->part, e->part, GROUP_PART_LEN);
	}
	n->list[n->n++] = m;
	n->last = e->epoch;
	return n->n < GMS_NEWS_ENTRIES;
}

/* with the last of the news: RN2, and the word on it */
static int put_rn2(const struct follow *f, struct news *n, Ntm__GroupNews *body)
{
	const struct group *g = ledger_state(f->lg);
	struct group_rn2_place at = {.epoch = group_epoch(g),
				     .index = f->index};
	int r;

	body->seal = (ProtobufCBinaryData){GROUP_SEAL_LEN,
					   (uint8_t *)ledger_seal(f->lg)};
	if (!f->caller->has_key) {
		body->rn2 = (ProtobufCBinaryData){
			NTMC_KEY_LEN, (uint8_t *)ledger_rn2(f->lg)->b};
		return 0;
	}
	memcpy(at.group, group_id(g), sizeof(at.group));
	r = group_rn2_seal(NULL, &f->caller->kngms, &at, ledger_rn2(f->lg),
			   n->rn2);
	body->rn2_sealed = (ProtobufCBinaryData){sizeof(n->rn2), n->rn2};
	return r;
}

int follow_open(struct gms *gms)
{
	gms->news = calloc(1, sizeof(*gms->news));
	return gms->news ? 0 : -NTM_ENOMEM;
}

bool follow_ahead(struct follow *f)
{
	if (f->ahead && group_epoch(ledger_state(f->lg)) >= f->ahead) {
		f->told = f->ahead;
		f->ahead = 0;
	}
	return f->ahead;
}

bool follow_gives(struct gms *gms, struct ledger_group *lg)
{
	struct follow *f, *head = ledger_arg(lg);
	uint64_t now = loop_now(gms->loop);

	DL_FOREACH (head, f)
		if (follow_ahead(f) && now - f->gave < LOOP_S(GMS_GIVE_S))
			return true;
	return false;
}

void follow_news(struct follow *f)
{
	const struct group *g = ledger_state(f->lg);
	struct gms *gms = f->caller->gms;
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupNews body = NTM__GROUP_NEWS__INIT;
	struct news *n;

	if (f->more || follow_ahead(f) || !ledger_renewed(f->lg))
		return; /* its acknowledgement, or what we lack, comes first */
	if (caller_needs_key(f->caller)) {
		/* it came before the AS: its next hello names its login */
		caller_gone(f->caller, group_id(g), -NTM_ENOLOGIN,
			    group_epoch(g));
		return;
	}
	/* large, and the same for a thousand members in a row: not cleared */
	n = gms->news;
	n->n = n->len = 0;
	n->last = f->told;
	if (ledger_read(gms->ledger, f->lg, f->index, f->told, take, n)) {
		log_err("gms", "a log cannot be read; check the disk");
		return;
	}
	f->told = n->last;
	f->more = f->told < group_epoch(g);
	body.group =
		(ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group_id(g)};
	body.n_entries = n->n;
	body.entries = n->list;
	body.now = ntmc_now(NULL);
	if (!f->more && put_rn2(f, n, &body)) {
		log_err("gms", "no memory to seal RN2 for %s", f->caller->fqdn);
		return;
	}
	env.body_case = NTM__ENVELOPE__BODY_GROUP_NEWS;
	env.group_news = &body;
	caller_send(f->caller, &env);
	gms->stats.news++;
	ntmc_wipe(n->rn2, sizeof(n->rn2));
	if (!f->more)
		replica_tell(f);
}

void follow_push(struct gms *gms, struct ledger_group *lg)
{
	const struct group *g = ledger_state(lg);
	struct follow *head = ledger_arg(lg), *f, *tmp;

	/* first: the answer comes while they read the news */
	replica_look(gms, lg);
	DL_FOREACH_SAFE (head, f, tmp) {
		if (group_find(g, f->index)) {
			follow_news(f);
			/* now: it works while we tell the others */
			channel_flush(f->caller->channel);
			continue;
		}
		caller_gone(f->caller, group_id(g), -NTM_ENONAME,
			    group_epoch(g));
		follow_free(f);
	}
}

void follow_only(struct follow *f)
{
	const struct group *g = ledger_state(f->lg);
	struct follow *head = ledger_arg(f->lg), *other, *tmp;

	DL_FOREACH_SAFE (head, other, tmp) {
		if (other == f || other->index != f->index)
			continue;
		caller_gone(other->caller, group_id(g), -NTM_EEXISTS,
			    group_epoch(g));
		follow_free(other);
	}
}

/* --- wishes to leave ---------------------------------------------------------------- */

static void tell_leave(struct follow *f, const struct group_leave *l)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupLeave body = NTM__GROUP_LEAVE__INIT;
	const struct group *g = ledger_state(f->lg);

	body.group =
		(ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group_id(g)};
	body.index = l->index;
	body.epoch = l->epoch;
	body.signature = (ProtobufCBinaryData){NTMC_SIG_LEN, (uint8_t *)l->sig};
	env.body_case = NTM__ENVELOPE__BODY_GROUP_LEAVE;
	env.group_leave = &body;
	caller_send(f->caller, &env);
}

void follow_leave(struct gms *gms, struct ledger_group *lg,
		  const struct group_leave *leave)
{
	struct follow *head = ledger_arg(lg), *f;

	(void)gms;
	DL_FOREACH (head, f)
		if (f->index != leave->index)
			tell_leave(f, leave);
}

void follow_leaves(struct follow *f)
{
	const struct ledger_person *p;
	size_t i;

	for (i = 0; (p = ledger_person_at(f->lg, i)); i++)
		if (p->leaving && p->index != f->index)
			tell_leave(f, &p->leave);
}

/* --- wishes for a welcome ----------------------------------------------------------- */

/* one of those who have the epoch, by chance: whoever cannot is another one next time */
static struct follow *giver(struct ledger_group *lg, uint32_t asker)
{
	struct follow *head = ledger_arg(lg), *f, *one = NULL;
	uint64_t epoch = group_epoch(ledger_state(lg));
	uint32_t n = 0, r;

	DL_FOREACH (head, f) {
		const struct ledger_person *p = ledger_person(lg, f->index);

		if (!p || p->index == asker || p->acked != epoch || p->leaving)
			continue;
		ntmc_random(NULL, &r, sizeof(r));
		if (r % ++n == 0)
			one = f;
	}
	return one;
}

static void tell_want(struct follow *to, uint32_t index)
{
	const struct group *g = ledger_state(to->lg);
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupWant body = NTM__GROUP_WANT__INIT;

	body.group =
		(ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group_id(g)};
	body.index = index;
	env.body_case = NTM__ENVELOPE__BODY_GROUP_WANT;
	env.group_want = &body;
	caller_send(to->caller, &env);
}

void follow_wants(struct gms *gms, struct ledger_group *lg)
{
	const struct ledger_person *p;
	int64_t now = ntmc_now(NULL);
	struct follow *f;
	size_t i;

	if (!ledger_has_wants(lg))
		return; /* as after each of a thousand acknowledgements */
	for (i = 0; (p = ledger_person_at(lg, i)); i++) {
		if (!p->wants || (p->asked && now >= p->asked &&
				  now - p->asked < GMS_WANT_S))
			continue;
		f = giver(lg, p->index);
		if (!f)
			continue;
		tell_want(f, p->index);
		ledger_want_passed(gms->ledger, lg, p->index);
		gms->stats.wants++;
	}
}

/* --- the end --------------------------------------------------------------------------- */

void follow_end(struct gms *gms, struct ledger_group *lg)
{
	const struct group *g = ledger_state(lg);
	struct follow *head, *f, *tmp;
	int r = ledger_end(gms->ledger, lg);

	if (r) { /* the clock tries again */
		log_err("gms", "a group that all have left does not end: %s",
			err_text(r));
		return;
	}
	log_info("gms", "a group has ended: all its members have left");
	head = ledger_arg(lg);
	DL_FOREACH_SAFE (head, f, tmp) {
		caller_gone(f->caller, group_id(g), -NTM_EEXPIRED,
			    group_epoch(g));
		follow_free(f);
	}
}

/* --- renewal -------------------------------------------------------------------------- */

int follow_renew(struct gms *gms, struct ledger_group *lg, bool now)
{
	int64_t age = ntmc_now(NULL) - ledger_renewed(lg);
	const struct group *g = ledger_state(lg);
	int r;

	/* a clock that was put back must not end renewals */
	if (!now && age >= 0 && age < group_policy(g)->renew_s)
		return 0;
	if (!now && follow_gives(gms, lg))
		return 0;
	r = ledger_renew(gms->ledger, lg);
	if (r) {
		log_err("gms", "a group cannot be renewed: %s", err_text(r));
		return r;
	}
	gms->stats.renewals++;
	follow_push(gms, lg);
	return 0;
}
