/* SPDX-License-Identifier: MIT */
/*
 * registration - where a node is, proven; and what it is told about it
 *
 * Theory of operation
 *
 * A node is *proven* at an address once it has echoed a challenge there, in this
 * boot: a MAC of address, Node ID and time under a key of the process, so that
 * nothing is kept for addresses that never answer. Only at its proven address is a
 * node directed to and does it get more than a challenge. That also settles what a
 * restart forgets: replay windows are empty then, but a replayed datagram cannot
 * echo a new challenge, so it achieves an answer to its source and nothing else.
 * Nor does such an answer have more bytes than what it answers: it loses what is not
 * needed (nodes pad their Registration Requests for all of it), then the challenge.
 * Without that it still says that there is something to prove.
 */
#include <string.h>

#include "servers/dc/boxlink.h"
#include "servers/dc/exits.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"

/* --- proof ---------------------------------------------------------------------- */

void registration_mac(struct dc *dc, const struct endpoint *at, uint32_t kind,
		      uint64_t node_id, uint32_t time_s,
		      uint8_t out[static DC_CHALLENGE_LEN])
{
	struct {
		uint8_t ip[16];
		uint64_t node_id;
		uint32_t time_s;
		uint32_t port;
	} in = {.node_id = node_id, .time_s = time_s, .port = at->port | kind};
	uint8_t mac[NTMC_HASH_LEN];

	memcpy(in.ip, at->ip, sizeof(in.ip));
	ntmc_hmac(dc->challenge_key.b, NTMC_KEY_LEN, &in, sizeof(in), mac);
	memcpy(out, &time_s, 4);
	memcpy(out + 4, mac, DC_CHALLENGE_LEN - 4);
}

static bool challenge_ok(struct dc *dc, const struct endpoint *at,
			 uint64_t node_id, const ProtobufCBinaryData *echo)
{
	uint8_t want[DC_CHALLENGE_LEN];
	uint32_t time_s;

	if (echo->len != DC_CHALLENGE_LEN)
		return false;
	memcpy(&time_s, echo->data, 4);
	if (dc_now_s(dc) - time_s > DC_CHALLENGE_S)
		return false;
	registration_mac(dc, at, 0, node_id, time_s, want);
	return ntmc_equal(want, echo->data, DC_CHALLENGE_LEN);
}

bool registration_is_proven(const struct node *n, const struct endpoint *from)
{
	return (n->flags & NODE_PROVEN) && endpoint_same_address(&n->at, from);
}

/* There is a relay that it has not heard of: a challenge makes it register. */
bool registration_is_nudged(const struct dc *dc, const struct node *n)
{
	return n->relays_told != dc->relays_change;
}

/* --- answers --------------------------------------------------------------------- */

struct relay_names {
	struct reach_relay relay[REACH_TOLD_MAX];
	Ntm__Relay *list[REACH_TOLD_MAX];
};

static void name_relays(struct dc *dc, const struct node *n,
			Ntm__RegistrationResponse *body, struct relay_names *r)
{
	body->n_relays = reach_tell(dc, n, r->relay);
	for (size_t i = 0; i < body->n_relays; i++)
		r->list[i] = &r->relay[i].msg;
	body->relays = r->list;
}

static bool is_within(const Ntm__Signal *msg, size_t asked)
{
	return PACKET_OVERHEAD + ntm__signal__get_packed_size(msg) <= asked;
}

/* Makes the answer no larger than what it answers, @asked bytes. false: it cannot */
static bool shrink(Ntm__Signal *msg, size_t asked)
{
	Ntm__RegistrationResponse *body = msg->registration_response;
	Ntm__RegistrationResponse less = NTM__REGISTRATION_RESPONSE__INIT;

	if (is_within(msg, asked))
		return true;
	less.code = body->code;
	less.challenge = body->challenge;
	*body = less;
	if (is_within(msg, asked))
		return true;
	body->challenge = (ProtobufCBinaryData){0, NULL};
	return is_within(msg, asked);
}

/* @asked: bytes of the datagram that this answers */
void registration_answer(struct dc *dc, uint32_t sh,
			 const struct endpoint *from, size_t asked,
			 uint32_t txn, int err)
{
	Ntm__RegistrationResponse body = NTM__REGISTRATION_RESPONSE__INIT;
	Ntm__Address observed = NTM__ADDRESS__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct session *s = nodes_session(&dc->nodes, sh);
	struct node *n = nodes_at(&dc->nodes, s->node);
	uint8_t vip6[16], vip4[4], challenge[DC_CHALLENGE_LEN];
	struct relay_names relays;
	struct notify_server ns = {.key = {{0}}};
	struct addr at;

	nodes_vip6(&dc->nodes, n, vip6);
	for (int i = 0; i < 4; i++)
		vip4[i] = (uint8_t)(n->vip4 >> (24 - 8 * i));
	endpoint_to_addr(from, &at);
	addr_to_message(&at, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &observed);
	body.code = (uint32_t)-err;
	body.vip6 = (ProtobufCBinaryData){sizeof(vip6), vip6};
	if (n->vip4)
		body.vip4 = (ProtobufCBinaryData){sizeof(vip4), vip4};
	body.observed = &observed;
	if (!err && (!registration_is_proven(n, from) ||
		     registration_is_nudged(dc, n))) {
		registration_mac(dc, from, 0, s->node_id, dc_now_s(dc),
				 challenge);
		body.challenge =
			(ProtobufCBinaryData){sizeof(challenge), challenge};
	} else if (!err) {
		name_relays(dc, n, &body, &relays);
		body.has_ns = notify_usable(dc);
		body.push = n->wakeup == NTM__WAKEUP__WAKEUP_PUSH;
		body.cache_serial = n->cache_serial;
		if (n->wakeup == NTM__WAKEUP__WAKEUP_NS &&
		    notify_fill(dc, n, s->node_id, &ns))
			body.ns = &ns.msg;
	}
	body.keepalive_s = dc->conf->dc_keepalive;
	body.keepalive_max_s = dc->conf->dc_keepalive_max;
	body.boot = dc->boot;
	body.revocation_serial = dc->serial;
	body.now = loop_wall(dc->loop);
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_RESPONSE;
	msg.registration_response = &body;
	if (registration_is_proven(n, from) || shrink(&msg, asked))
		signal_send(dc, sh, from, &msg);
	ntmc_key_clear(&ns.key);
}

/* --- requests -------------------------------------------------------------------- */

/* what a node says it has, without what nobody should be directed to */
static void keep_addresses(struct dc *dc, struct node *n,
			   const Ntm__RegistrationRequest *q)
{
	const struct server_slice *slice = &dc->nodes.slice;
	uint32_t mask = ~(0xffffffffu >> slice->len);

	n->n_addrs = 0;
	for (size_t i = 0; i < q->n_addresses; i++) {
		struct node_address *a = &n->addrs[n->n_addrs];
		struct addr addr;
		const uint8_t *ip;
		size_t len;

		if (n->n_addrs == NODES_ADDRESSES_MAX ||
		    addr_from_message(q->addresses[i], &addr) ||
		    (!dc->conf->dc_loopback && !addr_is_usable_remote(&addr)))
			continue;
		ip = addr_ip(&addr, &len);
		memset(a, 0, sizeof(*a));
		if (len == 4) {
			uint32_t v, p;

			memcpy(&v, ip, 4);
			memcpy(&p, slice->prefix, 4);
			if (((ntohl(v) ^ ntohl(p)) & mask) == 0)
				continue; /* a tunnel inside a tunnel */
			a->ip[10] = a->ip[11] = 0xff;
			memcpy(a->ip + 12, ip, 4);
		} else {
			if (!memcmp(ip, dc->nodes.prefix6, 2))
				continue;
			memcpy(a->ip, ip, 16);
		}
		a->port = addr_port(&addr);
		n->n_addrs++;
	}
}

void registration_take(struct dc *dc, uint32_t sh, const struct endpoint *from,
		       size_t asked, uint32_t txn,
		       const Ntm__RegistrationRequest *q)
{
	struct session *s = nodes_session(&dc->nodes, sh);
	struct node *n = nodes_at(&dc->nodes, s->node);

	dc->stats.registrations++;
	if (registration_is_proven(n, from) ||
	    challenge_ok(dc, from, s->node_id, &q->challenge)) {
		if (sh ==
		    n->next) { /* a renewal arrives: the old one is over */
			struct session *old =
				nodes_session(&dc->nodes, n->session);

			journal_drop(dc->journal, old->node_id);
			if (n->wakeup == NTM__WAKEUP__WAKEUP_NS)
				notify_drop(dc, old->node_id);
			nodes_drop_session(&dc->nodes, n->session);
		}
		n->at = *from;
		n->flags |= NODE_PROVEN;
		n->flags &= (uint8_t)~NODE_AWAY;
		n->heard_s = n->registered_s = dc_now_s(dc);
		keep_addresses(dc, n, q);
		reach_note(dc, n, q);
		mapping_keepalive(dc, n, q->keepalive_s);
		wake_register(dc, n, q);
		n->relays_told = dc->relays_change;
	}
	registration_answer(dc, sh, from, asked, txn, 0);
}
