/* SPDX-License-Identifier: MIT */
/*
 * relaysignal - datagrams between the DC and a relay: what it registers, what it is told
 *
 * Theory of operation
 *
 * A Relay Registration every 5 s says where the relay is and how it fares. One that came
 * late, or under the last key, changes nothing. Silent for 15 s, draining, or mute (its
 * link lost, until it says something): no new paths; none either for 5 s after it left a
 * Relay Direction unanswered, doubling to ten minutes until it answers one: what it
 * registers is no proof that it works. When it comes or changes its addresses nodes are
 * told, once a minute for each relay at most.
 */
#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/groupdirect.h"
#include "servers/dc/reach.h"
#include "servers/dc/relays_impl.h"

bool relay_send(struct dc *dc, struct relay *r, const struct endpoint *to,
		const Ntm__Signal *msg)
{
	struct relay_key *k = &r->keys[r->key];
	uint8_t *buf = udp_slot(dc->udp, to);
	struct packet_header h = {.type = PACKET_SIGNAL, .id = k->id};
	int len;

	if (!buf || k->until <= loop_now(dc->loop) || k->seq == UINT32_MAX)
		return false;
	h.counter = dc->boot << PACKET_BOOT_SHIFT | k->seq++;
	len = datagram_seal(&h, k->keys.aead, &k->keys.down, &msg->base, buf);
	if (len < 0)
		return false;
	udp_commit(dc->udp, to, (size_t)len);
	return true;
}

/* it answers with an NTM ACK under @txn */
static bool ask(struct dc *dc, struct relay *r, uint32_t txn, Ntm__Signal *msg)
{
	msg->txn = txn;
	return r->heard && relay_send(dc, r, &r->at, msg);
}

bool relays_direct(struct dc *dc, struct relay *r, uint32_t txn,
		   const Ntm__RelayDirection *body)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = (Ntm__RelayDirection *)body;
	return ask(dc, r, txn, &msg);
}

bool relays_direct_group(struct dc *dc, struct relay *r, uint32_t txn,
			 const Ntm__GroupDirection *body)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_GROUP_DIRECTION;
	msg.group_direction = (Ntm__GroupDirection *)body;
	return ask(dc, r, txn, &msg);
}

void relays_silent(struct dc *dc, struct relay *r)
{
	uint64_t now = loop_now(dc->loop);

	dc->relays->silent++;
	if (now < r->quiet_until)
		return; /* one that was asked before that */
	r->quiet_s = r->quiet_s ? 2 * r->quiet_s : RELAY_QUIET_S;
	if (r->quiet_s > RELAY_QUIET_MAX_S)
		r->quiet_s = RELAY_QUIET_MAX_S;
	r->quiet_until = now + LOOP_S(r->quiet_s);
	log_warn("relays", "relay %u does not answer; no new paths for %u s",
		 r->number, r->quiet_s);
}

/* Each node is asked to come for it: so not more often than that, whatever it says. */
void relay_tell_nodes(struct dc *dc, struct relay *r, uint64_t now)
{
	r->to_tell = r->told && now < r->told + LOOP_S(RELAY_TELL_S);
	if (r->to_tell)
		return;
	r->told = now;
	dc->relays_change++;
}

static bool same_addrs(const struct relay *r, const struct addr *addrs,
		       size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!addr_equal(&r->addrs[i], &addrs[i]))
			return false;
	return r->n_addrs == n;
}

/* what it says of itself; nodes are not sent where nobody should be */
static void keep_registration(struct dc *dc, struct relay *r,
			      const Ntm__RelayRegistration *q)
{
	bool was_silent = relay_is_silent(r, loop_now(dc->loop));
	struct addr addrs[RELAY_ADDRESSES_MAX], a;
	char text[ADDR_TEXT_LEN];
	bool changed;
	size_t n = 0;

	for (size_t i = 0; i < q->n_addresses && n < RELAY_ADDRESSES_MAX; i++)
		if (!addr_from_message(q->addresses[i], &a) &&
		    (dc->conf->dc_loopback || addr_is_usable_remote(&a)))
			addrs[n++] = a;
	changed = !same_addrs(r, addrs, n) || r->tls_port != q->tls_port;
	if (changed && n)
		log_info("relays", "relay %u is at %s", r->number,
			 addr_format(&addrs[0], text));
	if (n && (changed || was_silent || (r->draining && !q->draining)))
		relay_tell_nodes(dc, r, loop_now(dc->loop));
	r->families = 0;
	r->n_addrs = (uint8_t)n;
	r->tls_port = (uint16_t)q->tls_port;
	for (size_t i = 0; i < n; i++) {
		r->addrs[i] = addrs[i];
		r->families |= reach_family(&addrs[i]);
	}
	r->load = q->load;
	r->paths = q->paths;
	if (r->draining != q->draining)
		log_info("relays", "relay %u %s", r->number,
			 q->draining ? "drains" : "takes paths again");
	r->draining = q->draining;
}

static void registration(struct dc *dc, struct relay *r,
			 const struct endpoint *from, bool newest, uint32_t txn,
			 const Ntm__RelayRegistration *q)
{
	Ntm__RelayRegistrationAck body = NTM__RELAY_REGISTRATION_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	if (newest) {
		keep_registration(dc, r, q);
		r->at = *from;
		r->heard = loop_now(dc->loop);
		if (r->withdrawn != dc->relays->withdrawn)
			loop_timer_arm(dc->relays->timer, 0);
	}
	body.code = newest && !r->n_addrs ? NTM_EINVAL : 0;
	body.boot = dc->boot;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK;
	msg.relay_registration_ack = &body;
	relay_send(dc, r, from, &msg);
}

static void direction_acked(struct dc *dc, struct relay *r,
			    const Ntm__Signal *msg)
{
	r->quiet_s = 0;
	r->quiet_until = 0;
	if ((msg->txn & GROUP_TXN) == GROUP_TXN)
		groupdirect_relay_ack(dc, r->number, msg->txn,
				      -(int)msg->ack->code);
	else if (msg->txn & ABROAD_TXN)
		abroad_relay_ack(dc, r->number, msg->txn, -(int)msg->ack->code);
	else
		direction_relay_ack(dc, r->number, msg->txn, msg->ack);
}

static void dispatch(struct dc *dc, struct relay *r,
		     const struct endpoint *from, bool newest,
		     const Ntm__Signal *msg)
{
	if (msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION)
		registration(dc, r, from, newest, msg->txn,
			     msg->relay_registration);
	else if (msg->body_case != NTM__SIGNAL__BODY_ACK)
		dc->stats.bad_datagrams++;
	else if ((msg->txn & GROUP_TXN) == WITHDRAW_TXN)
		relay_withdraw_acked(dc->relays, r, msg->txn);
	else
		direction_acked(dc, r, msg);
}

static struct relay_key *key_of(struct relay *r, uint64_t id, uint64_t now)
{
	for (unsigned int i = 0; i < 2; i++)
		if (r->number && r->keys[i].id == id && r->keys[i].until > now)
			return &r->keys[i];
	return NULL;
}

/* Return: what it says, NULL when it is not @k's, or was here before */
static const Ntm__Signal *relay_open(struct dc *dc, struct relay_key *k,
				     uint64_t counter, uint8_t *buf, size_t len)
{
	const Ntm__Signal *msg;

	if (!ntmc_replay64_check(&k->replay, counter)) {
		dc->stats.replays++;
		return NULL;
	}
	if (ntmc_open_once(k->keys.aead, &k->keys.up, counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN,
			   len - PACKET_HEADER_LEN)) {
		dc->stats.bad_datagrams++;
		return NULL;
	}
	if (!ntmc_replay64_mark(&k->replay, counter))
		return NULL;
	msg = signal_unpack(dc, buf + PACKET_HEADER_LEN, len - PACKET_OVERHEAD);
	dc->stats.bad_datagrams += !msg;
	return msg;
}

bool relays_receive(struct dc *dc, const struct endpoint *from,
		    const struct packet_header *h, uint8_t *buf, size_t len)
{
	uint64_t now = loop_now(dc->loop);
	struct relay_key *k = NULL;
	const Ntm__Signal *msg;
	struct relay *r = NULL;
	bool newest;

	for (size_t i = 0; i < RELAYS_MAX && !k; i++) {
		r = &dc->relays->list[i];
		k = key_of(r, h->id, now);
	}
	if (!k)
		return false;
	msg = relay_open(dc, k, h->counter, buf, len);
	if (!msg)
		return true;
	r->mute = false;
	if (k != &r->keys[r->key])
		relay_key_switch(dc, r);
	newest = k == &r->keys[r->key] && h->counter >= k->registered;
	if (newest && msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION)
		k->registered = h->counter;
	dispatch(dc, r, from, newest, msg);
	return true;
}
