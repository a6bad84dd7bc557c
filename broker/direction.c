/* SPDX-License-Identifier: MIT */
/* direction - Route Directions: what the DC says about a peer, asked or told */
#include "broker/direction.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/peer.h"
#include "broker/policy.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

/* struct asked - a request under way; freed by its answer or by cancelling */
struct asked {
	direction_fn *fn;
	void *arg;
	struct worker *w;
};

static bool within6(const struct ntmc_trust_domain *d, const uint8_t *ip)
{
	return !memcmp(d->prefix6, ip, 8);
}

static bool within4(const struct ntmc_trust_domain *d, const uint8_t *ip)
{
	uint32_t net = (uint32_t)d->prefix4[0] << 24 | d->prefix4[1] << 16 |
		       d->prefix4[2] << 8 | d->prefix4[3];
	uint32_t host =
		(uint32_t)ip[0] << 24 | ip[1] << 16 | ip[2] << 8 | ip[3];
	uint32_t mask = d->prefix4_len ? ~0u << (32 - d->prefix4_len) : 0;

	return (net & mask) == (host & mask);
}

static int node_parse(const struct worker *w, const Ntm__NodeInfo *n,
		      struct node_info *out)
{
	const struct account *a = w->account;
	const struct ntmc_trust_domain *d;
	static const uint8_t none[4];
	struct fqdn_parts parts;
	int err;

	if (!n || n->ed_pub.len != NTMC_KEY_LEN ||
	    n->x_pub.len != NTMC_KEY_LEN || n->x_sig.len != NTMC_SIG_LEN ||
	    n->vip6.len != 16 || (n->vip4.len && n->vip4.len != 4) ||
	    !fqdn_is_valid(n->fqdn))
		return -NTM_EDECODE;
	memset(out, 0, sizeof(*out));
	strcpy(out->fqdn, n->fqdn);
	memcpy(out->ed_pub, n->ed_pub.data, NTMC_KEY_LEN);
	memcpy(out->x_pub, n->x_pub.data, NTMC_KEY_LEN);
	memcpy(out->vip6, n->vip6.data, 16);
	memcpy(out->vip4, n->vip4.len ? n->vip4.data : none, 4);
	ntmc_fingerprint(out->ed_pub, out->fp);
	if (!memcmp(out->fp, a->fp, NTMC_FP_LEN))
		return -NTM_EINVAL;
	d = domains_find(w, out->fqdn);
	if (!d || fqdn_split(out->fqdn, d->domain, &parts) ||
	    !within6(d, out->vip6) || (n->vip4.len && !within4(d, out->vip4)))
		return -NTM_ENOTOURS;
	err = ntmc_static_verify(out->ed_pub, out->x_pub, n->x_sig.data);
	if (err)
		return err;
	out->n_addrs = addr_list_from_messages(n->addresses, n->n_addresses,
					       out->addrs, ADDR_REMOTES_MAX);
	return 0;
}

static void relay_parse(const Ntm__Relay *m, struct route_relay *out)
{
	if (!m)
		return;
	out->id = m->id;
	out->n = addr_list_from_messages(m->addresses, m->n_addresses,
					 out->addrs, RELAY_ADDRS_MAX);
}

int direction_parse(const struct worker *w, const Ntm__RouteDirection *msg,
		    struct route *out)
{
	struct route r = {.path_id = msg->path_id & ~1ull};
	unsigned int life = msg->lifetime_s ? msg->lifetime_s : ROUTE_DEFAULT_S;
	int err;

	if (msg->ktun.len != NTMC_KEY_LEN || msg->ktmp.len != NTMC_KEY_LEN ||
	    !r.path_id ||
	    (msg->aead != NTMC_AES_256_GCM &&
	     msg->aead != NTMC_CHACHA20_POLY1305))
		return -NTM_EDECODE;
	if (!w->account->logged_in)
		return -NTM_ENOLOGIN;
	err = node_parse(w, msg->peer, &r.peer);
	if (err)
		return err;
	r.bit = msg->end == NTM__TUNNEL_END__END_CN;
	r.send = msg->role == NTM__TUNNEL_ROLE__ROLE_SEND;
	relay_parse(msg->relay, &r.relay);
	r.move = msg->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE;
	r.aead = (enum ntmc_aead_alg)msg->aead;
	memcpy(r.ktun.b, msg->ktun.data, NTMC_KEY_LEN);
	memcpy(r.ktmp.b, msg->ktmp.data, NTMC_KEY_LEN);
	if (life > ROUTE_DEFAULT_S)
		life = ROUTE_DEFAULT_S;
	r.expires_ns = loop_now(w->loop) + LOOP_S(life);
	*out = r;
	ntmc_wipe(&r, sizeof(r));
	return 0;
}

/* A refusal; true: with the keys of who refuses ours, for people to compare. */
static bool refused(const struct worker *w, const Ntm__NtmAck *ack, int *err,
		    struct route *out)
{
	*err = ack->code ? -(int)ack->code : -NTM_EDECODE;
	memset(out, 0, sizeof(*out));
	return (*err == -NTM_EPIN || *err == -NTM_EUNVERIFIED) && ack->peer &&
	       w->account->logged_in && !node_parse(w, ack->peer, &out->peer);
}

static void answered(void *arg, int err, const Ntm__Signal *msg)
{
	struct asked *q = arg;
	bool known = false;
	struct route r;

	q->w->n_directions--;
	if (!err && msg->body_case == NTM__SIGNAL__BODY_ACK)
		known = refused(q->w, msg->ack, &err, &r);
	else if (!err && msg->body_case == NTM__SIGNAL__BODY_ROUTE_DIRECTION)
		err = direction_parse(q->w, msg->route_direction, &r);
	else if (!err)
		err = -NTM_EDECODE;
	q->fn(q->arg, err, err && !known ? NULL : &r);
	if (!err)
		ntmc_wipe(&r, sizeof(r));
	free(q);
}

int direction_request(struct worker *w, const char *fqdn, bool move,
		      uint64_t path_id, direction_fn *fn, void *arg,
		      uint32_t *id)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__DirectionRequest r = NTM__DIRECTION_REQUEST__INIT;
	struct asked *q = malloc(sizeof(*q));
	int err;

	if (!q)
		return -NTM_ENOMEM;
	q->fn = fn;
	q->arg = arg;
	q->w = w;
	r.fqdn = (char *)fqdn;
	r.reason = move ? NTM__DIRECTION_REASON__DIRECTION_MOVE
			: NTM__DIRECTION_REASON__DIRECTION_NEW;
	r.path_id = path_id; /* with the bit: which end we are */
	r.aead = ntmc_aead_preferred();
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &r;
	err = session_request(w->session, &msg, DIRECTION_WAKE_MS, answered, q,
			      id);
	if (err) {
		free(q);
		return err;
	}
	w->n_directions++;
	relays_wanted(w->relays);
	return 0;
}

void direction_cancel(struct worker *w, uint32_t id)
{
	void *q = session_cancel(w->session, id);

	if (q)
		w->n_directions--;
	free(q);
}

/* Of another domain: is it allowed, and is its CA known? If not it is asked for, and
 * the other DC tells us again in a moment. */
static int told_domain(struct worker *w, const Ntm__NodeInfo *n)
{
	if (!w->account->logged_in || !n ||
	    fqdn_is_within(n->fqdn, w->account->domain))
		return 0;
	if (!domains_allowed(w, n->fqdn)) {
		log_info("direction", "%s wants in and is not allowed",
			 n->fqdn);
		return -NTM_EPOLICY;
	}
	return domains_need(w, n->fqdn);
}

int direction_told(struct worker *w, const Ntm__RouteDirection *msg)
{
	struct policy_grant grant;
	struct route r;
	struct peer *p;
	int err = told_domain(w, msg->peer);

	if (!err)
		err = direction_parse(w, msg, &r);
	if (err)
		return -err;
	if (msg->end == NTM__TUNNEL_END__END_UNKNOWN)
		r.bit = 1;
	p = peers_find(w->peers, r.peer.fqdn);
	policy_check(w->policy, w->account->fqdn, r.peer.fqdn, &grant);
	if (!grant.in && !(p && p->outward)) {
		log_info("direction", "%s wants in and is not allowed",
			 r.peer.fqdn);
		err = NTM_EPOLICY;
	} else {
		p = peers_get(w->peers, r.peer.fqdn);
		err = p ? peer_expect(p, &r) : NTM_ELIMIT;
	}
	ntmc_wipe(&r, sizeof(r));
	return err;
}
