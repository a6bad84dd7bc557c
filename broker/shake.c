/* SPDX-License-Identifier: MIT */
/*
 * shake - handshakes of a peer: repetitions, crossings, stored answers, rates
 *
 * Theory of operation
 *
 * One request of ours may be under way per peer, under a direction's keys (DIRECT)
 * or the resumption secret (RESUME). The same datagram is repeated, so that however
 * many arrive there is one handshake; five packets an address at most. DIRECT takes
 * the place of RESUME, never the reverse.
 *
 * A request of the peer is found by Path ID and opened under each secret it may be
 * under: one AEAD check each. Only then does it cost a token of the peer's and of
 * everybody's rate, and only then X25519 is computed. Its sent_ms must be later than
 * any seen from that identity; the very same datagram again gets the stored answer,
 * byte for byte, or none if that is gone. An earlier one is refused: if its sender
 * still waits for it (the refusal names it) its clock had been ahead.
 *
 * Crossing requests: DIRECT stands before RESUME; of two alike, that of the node with
 * the lower fingerprint; the other is dropped, and what stands is answered. After
 * SHAKE_TIE_MS it is answered all the same: our own may not have arrived. It has, if
 * the repetitions of both crossed: then both are answered and the peer has dropped its
 * own. So ours is put aside, not dropped; its answer means that those keys are the ones
 * the peer has, until it has used the others (shake_settled()).
 */
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/early.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/timers.h"
#include "common/log.h"

#define ANSWERS_MAX 20 /* repetitions of one stored answer */

struct shake {
	struct peer *p;
	enum shake_kind kind;
	struct handshake *hs;
	uint64_t path_id; /* as we receive */
	uint64_t started_ns;
	struct addr to[ADDR_REMOTES_MAX + 1]; /* one of shake_also() behind */
	size_t n_to, n_asked;		      /* it went to the first of them */
	bool also, aside;
	unsigned int tries;
	struct loop_timer *timer;
	size_t len;
	uint8_t buf[PACKET_SIGNAL_MAX];
};

/* struct answered - our last answer and the request's tag that it answers;
 * @to: where it went */
struct answered {
	uint8_t tag[NTMC_TAG_LEN];
	struct addr to[ADDR_REMOTES_MAX];
	size_t n_to;
	unsigned int count;
	size_t len;
	uint8_t buf[PACKET_SIGNAL_MAX];
};

static void self_fill(const struct worker *w, struct handshake_self *self)
{
	const struct account *a = w->account;

	self->env = &w->env->crypto;
	self->id = &a->secrets->id;
	self->fp = a->fp;
	self->cert = a->cert_der;
	self->cert_len = a->cert_len;
	self->trust = a->trust;
}

/* --- as initiator -------------------------------------------------------------------- */

static void shake_free(struct shake *s)
{
	handshake_free(s->hs);
	loop_timer_free(s->timer);
	free(s);
}

void shake_stop(struct peer *p)
{
	if (!p->shake)
		return;
	shake_free(p->shake);
	p->shake = NULL;
}

bool shake_running(const struct peer *p, enum shake_kind kind)
{
	return p->shake && !p->shake->aside && p->shake->kind == kind;
}

static void shake_send(struct shake *s)
{
	struct worker *w = s->p->w;
	size_t n = s->n_to;

	/* the path in use first, alone; then wherever it may be */
	if (s->kind == SHAKE_RESUME && !s->tries && s->p->state == PEER_UP)
		n = n ? 1 : 0;
	for (size_t i = 0; i < n; i++)
		if (datapath_send(w->dp, s->buf, s->len, &s->to[i]))
			log_debug(s->p->fqdn, "a request could not be sent");
	if (s->n_asked < n)
		s->n_asked = n;
	loop_timer_arm(s->timer, LOOP_MS((uint64_t)SHAKE_FIRST_MS << s->tries));
	s->tries++;
}

static void shake_due(void *arg)
{
	struct shake *s = arg;
	struct peer *p = s->p;
	enum shake_kind kind = s->kind;

	if (s->aside) {
		shake_stop(p);
		return;
	}
	if (s->tries < SHAKE_TRIES) {
		shake_send(s);
		return;
	}
	log_debug(p->fqdn, "%s unanswered",
		  kind == SHAKE_DIRECT ? "tunnel request" : "resumption");
	shake_stop(p);
	peer_shake_over(p, kind);
}

static bool listed(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

static void add_to(struct shake *s, const struct addr *a)
{
	if (listed(s->to, s->n_to, a))
		return;
	if (s->n_to < ADDR_REMOTES_MAX)
		s->to[s->n_to++] = *a;
}

void shake_also(struct peer *p, const struct addr *a)
{
	struct shake *s = p->shake;

	if (!s || listed(s->to, s->n_to, a))
		return;
	s->to[s->n_to] = *a;
	s->also = true;
	if (datapath_send(p->w->dp, s->buf, s->len, a))
		log_debug(p->fqdn, "a request could not be sent");
}

void shake_again(struct peer *p, const struct addr *a)
{
	struct shake *s = p->shake;

	if (!s || s->aside)
		return;
	if (!listed(s->to, s->n_asked, a))
		shake_also(p, a);
	else if (datapath_send(p->w->dp, s->buf, s->len, a))
		log_debug(p->fqdn, "a request could not be sent");
}

static void spec_fill(const struct peer *p, uint64_t path_id,
		      unsigned int our_bit, struct handshake_spec *spec)
{
	spec->path_id = path_id;
	spec->peer_bit = our_bit ^ 1;
	memcpy(spec->fqdn, p->fqdn, sizeof(p->fqdn));
	memcpy(spec->fp, p->fp, NTMC_FP_LEN);
	memcpy(spec->x_pub, p->x_pub, NTMC_KEY_LEN);
}

static int shake_spec(const struct peer *p, enum shake_kind kind,
		      const struct route *r, struct handshake_spec *spec)
{
	memset(spec, 0, sizeof(*spec));
	if (kind == SHAKE_RESUME) {
		if (!p->has_secret || !p->path_id)
			return -NTM_ESTATE;
		spec_fill(p, p->path_id, p->path_id & 1, spec);
		spec->resume = true;
		spec->aead = p->aead;
		spec->request = spec->psk_secret = p->secret;
		return 0;
	}
	spec_fill(p, r->path_id, r->bit, spec);
	spec->aead = r->aead;
	spec->request = r->ktun;
	spec->psk_secret = r->ktmp;
	return 0;
}

static int shake_make(struct peer *p, enum shake_kind kind,
		      const struct handshake_spec *spec, struct shake **out)
{
	struct shake *s = calloc(1, sizeof(*s));
	struct handshake_self self;
	uint8_t phases[3];
	size_t n = p->tunnel ? dp_tunnel_phases(p->tunnel, phases) : 0;
	int err = -NTM_ENOMEM;

	if (!s)
		return err;
	self_fill(p->w, &self);
	s->p = p;
	s->kind = kind;
	s->path_id = (spec->path_id & ~1ull) | (spec->peer_bit ^ 1);
	s->started_ns = loop_now(p->w->loop);
	err = loop_timer_new(p->w->loop, shake_due, s, &s->timer);
	if (!err)
		err = handshake_new(&self, spec, account_sent_ms(p->w->account),
				    phases, n, &s->hs, s->buf, &s->len);
	if (err) {
		shake_free(s);
		return err;
	}
	account_sent_keep(p->w->account, p->w->keeper, p->w->writer);
	*out = s;
	return 0;
}

int shake_start(struct peer *p, enum shake_kind kind, const struct route *r)
{
	struct addr known[ADDR_REMOTES_MAX], relay;
	struct handshake_spec spec;
	struct shake *s;
	size_t n;
	int err;

	if (p->shake && !p->shake->aside && kind == SHAKE_RESUME)
		return 0;
	err = shake_spec(p, kind, r, &spec);
	if (!err)
		err = shake_make(p, kind, &spec, &s);
	ntmc_wipe(&spec, sizeof(spec));
	if (err)
		return err;
	if (r && punch_addr(p, r->path_id, &relay))
		add_to(s, &relay);
	for (size_t i = 0; r && i < r->peer.n_addrs; i++)
		add_to(s, &r->peer.addrs[i]);
	n = path_remotes(p, known, ADDR_REMOTES_MAX);
	for (size_t i = 0; i < n; i++)
		add_to(s, &known[i]);
	shake_stop(p);
	p->shake = s;
	if (peer_index(p)) {
		shake_stop(p);
		return -NTM_EEXISTS;
	}
	shake_send(s);
	return 0;
}

/* did our request go to @a? */
static bool asked_at(const struct shake *s, const struct addr *a)
{
	return listed(s->to, s->n_asked, a) ||
	       (s->also && addr_equal(&s->to[s->n_to], a));
}

static void shake_response(struct worker *w, const struct packet_header *h,
			   uint8_t *buf, size_t len, const struct addr *from)
{
	struct peer *p = peers_find_path(w->peers, h->id);
	struct handshake_keys keys;
	struct handshake_self self;
	struct ntmc_cert cert;
	struct addr observed;
	struct handshake_from where = {from, len, false, false};
	int code = 0, err;

	if (!p || !p->shake || p->shake->path_id != h->id)
		return;
	self_fill(w, &self);
	err = handshake_finish(p->shake->hs, &self, h, buf, len, &keys, &cert,
			       &observed, &code);
	if (err == -NTM_EAUTH || err == -NTM_EDECODE || err == -NTM_ESTATE)
		return;
	if (err && p->shake->aside) {
		shake_stop(p); /* the keys of our answer are awaited */
		return;
	}
	if (err) {
		log_info(p->fqdn, "handshake refused: %s",
			 err_text(err == -NTM_ECLOSED ? code : err));
		peer_fail(p, err == -NTM_ECLOSED ? code : err);
		return;
	}
	where.asked = asked_at(p->shake, from);
	where.directed = p->shake->kind == SHAKE_DIRECT;
	shake_stop(p);
	peer_keyed(p, &keys, &cert, &where, h->id);
	ntmc_wipe(&keys, sizeof(keys));
}

/* --- as responder -------------------------------------------------------------------- */

void shake_forget(struct peer *p)
{
	free(p->answered);
	p->answered = NULL;
}

bool shake_answered_at(const struct peer *p, const struct addr *a)
{
	return p->answered && listed(p->answered->to, p->answered->n_to, a);
}

static void answer_send(struct peer *p, struct answered *a,
			const struct addr *to)
{
	if (a->n_to < ADDR_REMOTES_MAX && !listed(a->to, a->n_to, to))
		a->to[a->n_to++] = *to;
	if (datapath_send(p->w->dp, a->buf, a->len, to))
		log_debug(p->fqdn, "an answer could not be sent");
}

/* The request that we answered last, once more: the answer was lost. */
static bool repeated(struct peer *p, const uint8_t *buf, size_t len,
		     const struct addr *from)
{
	struct answered *a = p->answered;

	if (!a || len < NTMC_TAG_LEN ||
	    memcmp(a->tag, buf + len - NTMC_TAG_LEN, NTMC_TAG_LEN))
		return false;
	if (a->count++ < ANSWERS_MAX)
		answer_send(p, a, from);
	return true;
}

static int open_with(const struct handshake_spec *spec,
		     const struct packet_header *h, const uint8_t *buf,
		     size_t len, struct handshake **out)
{
	uint8_t copy[PACKET_SIGNAL_MAX]; /* a failed opening destroys it */

	if (len > sizeof(copy))
		return -NTM_ETOOBIG;
	memcpy(copy, buf, len);
	return handshake_open(spec, h, copy, len, out);
}

/* under which of our secrets is it? */
static int request_open(struct peer *p, const struct packet_header *h,
			const uint8_t *buf, size_t len, struct handshake **out)
{
	struct handshake_spec spec = {.resume = h->flags & PACKET_RESUME};
	int err = -NTM_EAUTH;

	spec_fill(p, h->id, h->id & 1, &spec);
	/* the other bit is our own request, thrown back */
	if (spec.resume && h->id == p->path_id) {
		spec.aead = p->aead;
		if (p->has_secret) {
			spec.request = spec.psk_secret = p->secret;
			err = open_with(&spec, h, buf, len, out);
		}
		if (err && p->has_pending) {
			spec.aead = p->pending_aead;
			spec.request = spec.psk_secret = p->pending;
			err = open_with(&spec, h, buf, len, out);
		}
	}
	for (size_t i = 0; err && !spec.resume && i < PEER_EXPECT_MAX; i++) {
		const struct route *r = &p->expect[i];

		if (r->path_id != (h->id & ~1ull) ||
		    r->expires_ns <= loop_now(p->w->loop))
			continue;
		spec.aead = r->aead;
		spec.request = r->ktun;
		spec.psk_secret = r->ktmp;
		err = open_with(&spec, h, buf, len, out);
	}
	ntmc_wipe(&spec, sizeof(spec));
	return err;
}

static bool rate_ok(struct peer *p)
{
	uint64_t now = loop_now(p->w->loop);

	if (now - p->rate_ns >= LOOP_S(SHAKE_RATE_S)) {
		p->rate_ns = now;
		p->rate_used = 0;
	}
	return p->rate_used++ < SHAKE_RATE_PEER && peers_rate(p->w->peers);
}

/* Both asked: is ours the one that stands? See Theory. */
static bool ours_wins(const struct peer *p, const struct packet_header *h)
{
	const struct shake *s = p->shake;
	bool resume = h->flags & PACKET_RESUME;

	if (!s || s->aside)
		return false;
	if (resume != (s->kind == SHAKE_RESUME))
		return resume;
	return peer_we_are_lower(p);
}

static bool ours_stands(const struct peer *p, const struct packet_header *h)
{
	return ours_wins(p, h) && loop_now(p->w->loop) - p->shake->started_ns <=
					  LOOP_MS(SHAKE_TIE_MS);
}

/* The peer's request is answered now. */
static void give_way(struct peer *p, const struct packet_header *h)
{
	if (!ours_wins(p, h)) {
		shake_stop(p);
		return;
	}
	p->shake->aside = true;
	loop_timer_arm(p->shake->timer, LOOP_MS(SHAKE_ASIDE_MS));
}

void shake_settled(struct peer *p)
{
	if (p->shake && p->shake->aside)
		shake_stop(p);
}

static int admit(struct peer *p, const struct handshake_request *rq)
{
	struct policy_grant grant;

	if (rq->sent_ms <= p->seen_ms)
		return -NTM_EREPLAY;
	policy_check(p->w->policy, p->w->account->fqdn, p->fqdn, &grant);
	if (!grant.in && !p->outward)
		return -NTM_EPOLICY;
	return pins_check(p->w->pins, p->fqdn, p->fp);
}

static void answer(struct peer *p, struct handshake *hs,
		   const struct handshake_self *self,
		   const struct handshake_request *rq,
		   const struct packet_header *h, const uint8_t *tag,
		   const struct addr *from)
{
	struct answered *a = calloc(1, sizeof(*a));
	struct handshake_keys keys;
	uint8_t ours[3];
	size_t n = p->tunnel ? dp_tunnel_phases(p->tunnel, ours) : 0;
	int err;

	if (!a)
		return;
	memcpy(a->tag, tag, NTMC_TAG_LEN);
	err = handshake_answer(
		hs, self, handshake_phase(ours, n, rq->phases, rq->n_phases),
		from, &keys, a->buf, &a->len);
	if (!err) {
		give_way(p, h);
		err = peer_answered(p, &keys, rq, from, h->id);
	}
	ntmc_wipe(&keys, sizeof(keys));
	if (err) {
		log_debug(p->fqdn, "not answered: %s", err_text(err));
		free(a);
		return;
	}
	shake_forget(p);
	p->answered = a;
	answer_send(p, a, from);
}

static void refuse(struct peer *p, struct handshake *hs,
		   const struct handshake_self *self, int err,
		   const struct addr *from)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;

	log_info(p->fqdn, "wants in, refused: %s", err_text(err));
	if (!handshake_refuse(hs, self, err, buf, &len) &&
	    datapath_send(p->w->dp, buf, len, from))
		log_debug(p->fqdn, "a refusal could not be sent");
}

static void shake_request(struct worker *w, const struct packet_header *h,
			  uint8_t *buf, size_t len, const struct addr *from)
{
	struct peer *p = peers_find_path(w->peers, h->id);
	struct handshake_request rq;
	struct handshake_self self;
	struct handshake *hs;
	int err;

	if (!p) {
		early_keep(w->early, h, buf, len, from);
		return;
	}
	if (repeated(p, buf, len, from))
		return;
	if (request_open(p, h, buf, len, &hs)) {
		if (p->direction) /* under keys that are on their way */
			early_keep(w->early, h, buf, len, from);
		return;
	}
	self_fill(w, &self);
	err = rate_ok(p) ? handshake_read(hs, &self, &rq) : -NTM_ERATE;
	if (!err)
		err = admit(p, &rq);
	if (err == -NTM_ERATE || err == -NTM_EAUTH || err == -NTM_EDECODE ||
	    (err == -NTM_EREPLAY && rq.sent_ms == p->seen_ms))
		log_debug(p->fqdn, "request dropped: %s", err_text(err));
	else if (err)
		refuse(p, hs, &self, err, from);
	else if (!ours_stands(p, h))
		answer(p, hs, &self, &rq, h, buf + len - NTMC_TAG_LEN, from);
	handshake_free(hs);
}

void shake_datagram(struct worker *w, const struct packet_header *h,
		    uint8_t *buf, size_t len, const struct addr *from)
{
	if (!w->account->logged_in)
		return;
	if (h->type == PACKET_TUNNEL_REQUEST)
		shake_request(w, h, buf, len, from);
	else if (h->type == PACKET_TUNNEL_RESPONSE)
		shake_response(w, h, buf, len, from);
}

uint64_t shake_path(const struct peer *p)
{
	return p->shake ? p->shake->path_id & ~1ull : 0;
}
