/* SPDX-License-Identifier: MIT */
/*
 * groupdirect - which relay replicates an epoch of a group: from a GMS, to an RS
 *
 * Theory of operation
 *
 * A GMS has a channel to our server port, by its certificate. It names an epoch (Group
 * Direction), for so many seconds; we choose a relay, repeat it there as a Signal until
 * it is acknowledged, and say where that relay is (Group Directed). A relay that says
 * nothing or refuses is replaced by another one, once.
 *
 * Which relay: of those that are usable and have room, the one of the highest hash of
 * tag and relay. So epochs spread over all relays, each stays where it is when the GMS
 * asks for more time, and neither our restart nor another DC process changes it; nothing
 * is kept. Where that relay has gone, the next answer names another one.
 *
 * The keys in it are no node's: they let a relay check that a packet is a member's.
 *
 * Limits: GROUPDIRECT_MAX that wait for a relay, of all GMSs; the next ones are answered
 * AGAIN; GROUPDIRECT_LINKS GMSs.
 */
#include "servers/dc/groupdirect.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/state.h"

#define TRY_NS	 LOOP_MS(GROUPDIRECT_TRY_MS)
#define LOAD_MAX 900 /* permille: others come first */

/* struct asking - @gms NULL: place not in use */
struct asking {
	struct channel *gms;
	uint32_t gms_txn, txn;
	uint64_t deadline;
	uint16_t relay, not_relay;
	uint8_t tries, relays;
	Ntm__GroupDirection d; /* its bytes are in the next three */
	uint8_t relay_key[NTMC_KEY_LEN], bind_key[NTMC_KEY_LEN];
	char account[FQDN_MAX + 1];
};

struct groupdirect {
	struct dc *dc;
	struct loop_timer *timer;
	uint32_t txn;
	struct channel *links[GROUPDIRECT_LINKS]; /* NULL: a free place */
	struct asking list[GROUPDIRECT_MAX];
	uint64_t asked, directed, refused;
};

/* --- which relay ----------------------------------------------------------------------- */

static uint64_t weight(const struct relay *r, uint64_t tag)
{
	uint64_t fp;

	memcpy(&fp, r->fp, sizeof(fp));
	fp = (fp ^ tag) * UINT64_C(0x9e3779b97f4a7c15);
	fp ^= fp >> 29;
	return fp * UINT64_C(0xbf58476d1ce4e5b9);
}

static struct relay *choose(struct dc *dc, uint64_t tag, uint16_t not_relay)
{
	struct relay *best = NULL;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &dc->relays->list[i];
		bool full = r->load > LOAD_MAX;

		if (!r->number || r->number == not_relay ||
		    !relay_is_usable(dc, r))
			continue;
		if (!best || full < (best->load > LOAD_MAX) ||
		    (full == (best->load > LOAD_MAX) &&
		     weight(r, tag) > weight(best, tag)))
			best = r;
	}
	return best;
}

/* --- answers --------------------------------------------------------------------------- */

static void answer(struct channel *c, uint32_t txn, uint64_t tag, int code,
		   const struct relay *r)
{
	Ntm__GroupDirected body = NTM__GROUP_DIRECTED__INIT;
	Ntm__Address a[RELAY_ADDRESSES_MAX], *list[RELAY_ADDRESSES_MAX];
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	for (size_t i = 0; r && !code && i < r->n_addrs; i++) {
		ntm__address__init(&a[i]);
		addr_to_message(&r->addrs[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&a[i]);
		list[body.n_addresses++] = &a[i];
	}
	body.tag = tag;
	body.code = (uint32_t)-code;
	body.addresses = list;
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_GROUP_DIRECTED;
	msg.group_directed = &body;
	if (channel_send(c, &msg))
		log_debug("groupdirect", "a GMS was not answered");
}

static void asking_end(struct groupdirect *g, struct asking *x, int code)
{
	struct relay *r = relays_find(g->dc, x->relay);

	if (!code && !r)
		code = -NTM_EOFFLINE; /* forgotten meanwhile */
	*(code ? &g->refused : &g->directed) += 1;
	answer(x->gms, x->gms_txn, x->d.tag, code, r);
	ntmc_wipe(x, sizeof(*x));
}

/* --- asking ------------------------------------------------------------------------------ */

static void asking_send(struct groupdirect *g, struct asking *x)
{
	struct relay *r = relays_find(g->dc, x->relay);

	x->tries++;
	x->deadline = loop_now(g->dc->loop) + TRY_NS;
	if (!loop_timer_armed(g->timer))
		loop_timer_arm(g->timer, TRY_NS);
	if (!r || !relays_direct_group(g->dc, r, x->txn, &x->d))
		log_debug("groupdirect", "relay %u: not sent", x->relay);
}

/* the next relay, if there is one; @code: what the last one said */
static void asking_next(struct groupdirect *g, struct asking *x, int code)
{
	struct relay *r = NULL;

	if (x->relays < GROUPDIRECT_RELAYS)
		r = choose(g->dc, x->d.tag, x->not_relay);
	if (!r) {
		asking_end(g, x, code);
		return;
	}
	x->relay = x->not_relay = r->number;
	x->relays++;
	x->tries = 0;
	g->txn = (g->txn + 1) & ~GROUP_TXN;
	x->txn = GROUP_TXN | g->txn;
	asking_send(g, x);
}

static void tick(void *arg)
{
	struct groupdirect *g = arg;
	uint64_t now = loop_now(g->dc->loop), next = 0;

	for (size_t i = 0; i < GROUPDIRECT_MAX; i++) {
		struct asking *x = &g->list[i];

		if (x->gms && x->deadline <= now) {
			struct relay *r = relays_find(g->dc, x->relay);

			if (x->tries < GROUPDIRECT_TRIES) {
				asking_send(g, x);
			} else {
				if (r)
					relays_silent(g->dc, r);
				asking_next(g, x, -NTM_ETIMEOUT);
			}
		}
		if (x->gms && (!next || x->deadline < next))
			next = x->deadline;
	}
	if (next)
		loop_timer_arm(g->timer, next > now ? next - now : 0);
}

void groupdirect_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn,
			   int code)
{
	struct groupdirect *g = dc->groupdirect;

	for (size_t i = 0; i < GROUPDIRECT_MAX; i++) {
		struct asking *x = &g->list[i];

		if (!x->gms || x->txn != txn || x->relay != relay)
			continue;
		if (code)
			asking_next(g, x, code);
		else
			asking_end(g, x, 0);
		return;
	}
}

/* --- the GMS's channel -------------------------------------------------------------------- */

/* by our own CA: another domain's may be one below ours, and name what it likes */
static bool is_by_our_ca(const struct dc *dc, const struct channel *c)
{
	struct ntmc_trust_domain ca;
	struct ntmc_trust *t;
	const uint8_t *der;
	size_t len;
	int r;

	der = channel_peer_ca(c, &len);
	if (!der || ntmc_trust_new(&t))
		return false;
	r = ntmc_trust_add(t, der, len, NULL, &ca);
	ntmc_trust_free(t);
	return !r && !memcmp(ca.fp, dc->cert.domain.fp, NTMC_FP_LEN);
}

bool groupdirect_is_gms(const struct dc *dc, const struct channel *c)
{
	const struct ntmc_cert *peer = channel_peer(c);
	const char *dot;

	if (!peer || peer->kind != NTMC_CERT_SERVER ||
	    !(peer->roles & NTMC_ROLE_GMS))
		return false;
	dot = strchr(peer->fqdn, '.');
	return dot && !strcmp(dot + 1, dc->cert.domain.domain) &&
	       is_by_our_ca(dc, c);
}

void groupdirect_link_open(struct dc *dc, struct channel *c)
{
	struct groupdirect *g = dc->groupdirect;

	for (size_t i = 0; i < GROUPDIRECT_LINKS; i++)
		if (!g->links[i]) {
			g->links[i] = c;
			channel_set_idle(c, 0);
			log_info("groupdirect", "a GMS is here");
			return;
		}
	log_warn("groupdirect", "more than %d GMSs: one is turned away",
		 GROUPDIRECT_LINKS);
	channel_close(c);
}

static struct channel **link_of(struct groupdirect *g, const struct channel *c)
{
	for (size_t i = 0; i < GROUPDIRECT_LINKS; i++)
		if (g->links[i] == c)
			return &g->links[i];
	return NULL;
}

/* of one epoch the last word counts */
static struct asking *place_for(struct groupdirect *g, const struct channel *c,
				uint64_t tag)
{
	struct asking *x, *free_one = NULL;

	for (size_t i = 0; i < GROUPDIRECT_MAX; i++) {
		x = &g->list[i];
		if (x->gms == c && x->d.tag == tag)
			return x;
		if (!x->gms && !free_one)
			free_one = x;
	}
	return free_one;
}

static void direct(struct groupdirect *g, struct channel *c, uint32_t txn,
		   const Ntm__GroupDirection *d)
{
	struct asking *x = place_for(g, c, d->tag);

	g->asked++;
	if (!x) {
		g->refused++;
		answer(c, txn, d->tag, -NTM_EAGAIN, NULL);
		return;
	}
	ntmc_wipe(x, sizeof(*x));
	x->gms = c;
	x->gms_txn = txn;
	ntm__group_direction__init(&x->d);
	x->d.tag = d->tag;
	x->d.aead = d->aead;
	x->d.places = d->places;
	x->d.lifetime_s = d->lifetime_s;
	memcpy(x->relay_key, d->relay_key.data, sizeof(x->relay_key));
	memcpy(x->bind_key, d->bind_key.data, sizeof(x->bind_key));
	strcpy(x->account, d->account); /* FQDN_MAX: it was checked */
	x->d.relay_key = (ProtobufCBinaryData){NTMC_KEY_LEN, x->relay_key};
	x->d.bind_key = (ProtobufCBinaryData){NTMC_KEY_LEN, x->bind_key};
	x->d.account = x->account;
	asking_next(g, x, -NTM_ENOTFOUND); /* no relay is here */
}

bool groupdirect_link_message(struct dc *dc, struct channel *c,
			      const Ntm__Envelope *msg)
{
	if (!link_of(dc->groupdirect, c))
		return false;
	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_DIRECTION) {
		direct(dc->groupdirect, c, msg->txn, msg->group_direction);
	} else {
		log_warn("groupdirect", "a GMS said what no GMS says");
		channel_close(c);
	}
	return true;
}

bool groupdirect_link_closed(struct dc *dc, struct channel *c)
{
	struct groupdirect *g = dc->groupdirect;
	struct channel **at = link_of(g, c);

	if (!at)
		return false;
	*at = NULL;
	for (size_t i = 0; i < GROUPDIRECT_MAX; i++)
		if (g->list[i].gms == c)
			ntmc_wipe(&g->list[i], sizeof(g->list[i]));
	return true;
}

/* --- life --------------------------------------------------------------------------------- */

json_t *groupdirect_admin(struct dc *dc)
{
	const struct groupdirect *g = dc->groupdirect;
	json_int_t waiting = 0;

	for (size_t i = 0; i < GROUPDIRECT_MAX; i++)
		waiting += g->list[i].gms != NULL;
	return json_pack("{s:I, s:I, s:I, s:I}", "asked", (json_int_t)g->asked,
			 "directed", (json_int_t)g->directed, "refused",
			 (json_int_t)g->refused, "waiting", waiting);
}

int groupdirect_new(struct dc *dc, struct groupdirect **out)
{
	struct groupdirect *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -NTM_ENOMEM;
	g->dc = dc;
	r = loop_timer_new(dc->loop, tick, g, &g->timer);
	if (r) {
		free(g);
		return r;
	}
	*out = g;
	return 0;
}

void groupdirect_free(struct groupdirect *g)
{
	if (!g)
		return;
	loop_timer_free(g->timer);
	ntmc_wipe(g, sizeof(*g));
	free(g);
}
