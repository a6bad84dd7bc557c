/* SPDX-License-Identifier: MIT */
/*
 * relays - the Relay Servers of the domain: links, keys, state, withdrawals
 *
 * Theory of operation
 *
 * Link. A channel by the certificate of an RS. A relay is its identity: a new channel
 * replaces the old one. Each channel begins with Key Sharing, and another one follows
 * at half of the key's life.
 *
 * Keys. There are two places: one key seals, the other is either the next one, until
 * the relay acknowledges it or uses it, or the last one, which opens for a minute
 * more. So neither a renewal nor a new link loses a datagram. Each key has an id of
 * its own; its counters have the boot number above a sequence.
 *
 * State. A Relay Registration every 5 s says where the relay is and how it fares.
 * One that came late, or under the last key, changes nothing. Silent for 15 s,
 * draining, or mute (its link lost, until it says something): no new paths; none either
 * for 5 s after it left a Relay Direction unanswered, doubling to ten minutes until it
 * answers one: what it registers is no proof that it works. When it comes or changes its
 * addresses nodes are told, once a minute for each relay at most. Without link and word for ten minutes it is forgotten; what nodes know
 * of it then is a number that means nobody.
 *
 * Withdrawals. Accounts are numbered as they come, in a ring; each relay has the
 * number that it has acknowledged, and gets the next ones, eight at once, every
 * 500 ms until it does. One that comes anew gets all there are: it may have paths that
 * are older than what we know of it. So do those that come after a restart, of what
 * the last process may not have told them (withdraw.c).
 *
 * Limits: RELAYS_MAX; a relay that has 1024 accounts to hear of loses the oldest.
 */
#include "servers/dc/relays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/groupdirect.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"
#include "servers/removed.h"

#define WITHDRAW_EVERY_NS     LOOP_MS(500)
#define RELAY_WITHDRAWN_BYTES 800 /* of names, then one more */

/* --- the table ----------------------------------------------------------------- */

struct relay *relays_find(const struct dc *dc, uint16_t number)
{
	for (size_t i = 0; i < RELAYS_MAX && number; i++)
		if (dc->relays->list[i].number == number)
			return &dc->relays->list[i];
	return NULL;
}

static bool had_id(const struct relay *r, uint64_t id)
{
	for (size_t i = 0; i < RELAY_IDS_MAX; i++)
		if (r->ids[i] == id)
			return true;
	return false;
}

struct relay *relays_find_id(const struct dc *dc, uint64_t id)
{
	for (size_t i = 0; i < RELAYS_MAX && id; i++)
		if (dc->relays->list[i].number &&
		    had_id(&dc->relays->list[i], id))
			return &dc->relays->list[i];
	return NULL;
}

static struct relay *find_channel(const struct dc *dc, const struct channel *c)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (dc->relays->list[i].number &&
		    dc->relays->list[i].channel == c)
			return &dc->relays->list[i];
	return NULL;
}

static bool is_silent(const struct relay *r, uint64_t now)
{
	return !r->heard || now > r->heard + LOOP_S(RELAY_SILENT_S);
}

bool relay_is_usable(const struct dc *dc, const struct relay *r)
{
	uint64_t now = loop_now(dc->loop);

	return !is_silent(r, now) && !r->draining && !r->mute &&
	       now >= r->quiet_until && r->n_addrs &&
	       r->keys[r->key].until > now;
}

unsigned int relays_usable(const struct dc *dc)
{
	unsigned int n = 0;

	for (size_t i = 0; i < RELAYS_MAX; i++)
		n += dc->relays->list[i].number &&
		     relay_is_usable(dc, &dc->relays->list[i]);
	return n;
}

static void relay_forget(struct relay *r)
{
	log_info("relays", "relay %u is forgotten", r->number);
	ntmc_wipe(r, sizeof(*r));
}

/* a place for @fp: its own, a free one, that of who has gone longest ago */
static struct relay *place_for(struct relays *rs, const uint8_t *fp)
{
	struct relay *r, *gone = NULL, *free_one = NULL;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		r = &rs->list[i];
		if (!r->number) {
			free_one = r;
			continue;
		}
		if (!memcmp(r->fp, fp, NTMC_FP_LEN))
			return r;
		if (!r->channel && (!gone || r->gone < gone->gone))
			gone = r;
	}
	if (!free_one && gone) {
		relay_forget(gone);
		free_one = gone;
	}
	return free_one;
}

static struct relay *relay_put(struct dc *dc, const uint8_t *fp)
{
	struct relays *rs = dc->relays;
	struct relay *r = place_for(rs, fp);

	if (!r || r->number)
		return r;
	do
		rs->last_number++;
	while (!rs->last_number || relays_find(dc, rs->last_number));
	r->number = rs->last_number;
	memcpy(r->fp, fp, NTMC_FP_LEN);
	if (rs->withdrawn > RELAY_WITHDRAWN_MAX)
		r->withdrawn = rs->withdrawn - RELAY_WITHDRAWN_MAX;
	return r;
}

/* --- keys ------------------------------------------------------------------------ */

static void key_clear(struct relay_key *k)
{
	ntmc_wipe(k, sizeof(*k));
}

static uint64_t draw_id(struct dc *dc, struct relay *r)
{
	uint64_t id;

	do
		ntmc_random(NULL, &id, sizeof(id));
	while (!id || nodes_find_session(&dc->nodes, id) ||
	       relays_find_id(dc, id));
	r->ids[r->n_ids++ % RELAY_IDS_MAX] = id;
	return id;
}

static int share_key(struct dc *dc, struct relay *r)
{
	Ntm__KeySharing body = NTM__KEY_SHARING__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct relay_key *k = &r->keys[1 - r->key];
	uint64_t now = loop_now(dc->loop);
	struct ntmc_key kdcrs;
	int err;

	key_clear(k);
	ntmc_key_random(NULL, &kdcrs);
	k->id = draw_id(dc, r);
	err = datagram_relay_keys(&kdcrs, k->id, ntmc_aead_preferred(),
				  &k->keys);
	if (!err) {
		body.id = k->id;
		body.key = (ProtobufCBinaryData){NTMC_KEY_LEN, kdcrs.b};
		body.aead = k->keys.aead;
		body.lifetime_s = RELAY_KEY_S;
		msg.txn = r->share_txn = ++dc->relays->txn;
		msg.body_case = NTM__ENVELOPE__BODY_KEY_SHARING;
		msg.key_sharing = &body;
		err = channel_send(r->channel, &msg);
	}
	ntmc_key_clear(&kdcrs);
	if (err)
		return err;
	k->until = now + LOOP_S(RELAY_KEY_S);
	r->pending = true;
	r->shared = now;
	r->renew = now + LOOP_S(RELAY_KEY_S / 2);
	return 0;
}

/* the relay has the next key */
static void key_switch(struct dc *dc, struct relay *r)
{
	uint64_t grace = loop_now(dc->loop) + LOOP_S(RELAY_KEY_GRACE_S);
	struct relay_key *old = &r->keys[r->key];

	if (!r->pending)
		return;
	r->pending = false;
	r->key ^= 1;
	if (old->until > grace)
		old->until = grace;
}

/* --- links ------------------------------------------------------------------------ */

void relays_link_open(struct dc *dc, struct channel *c)
{
	uint8_t fp[NTMC_FP_LEN];
	struct relay *r;

	ntmc_fingerprint(channel_peer(c)->ed_pub, fp);
	r = relay_put(dc, fp);
	if (!r) {
		log_warn("relays", "more than %d relays: one is turned away",
			 RELAYS_MAX);
		channel_close(c);
		return;
	}
	if (r->channel)
		channel_close(r->channel);
	r->channel = c;
	r->quiet_until = 0; /* another process, that may do better */
	channel_set_idle(c, 0);
	log_info("relays", "relay %u is here", r->number);
	if (share_key(dc, r))
		channel_close(c);
}

bool relays_link_message(struct dc *dc, struct channel *c,
			 const Ntm__Envelope *msg)
{
	struct relay *r = find_channel(dc, c);

	if (!r)
		return false;
	if (msg->body_case != NTM__ENVELOPE__BODY_ACK) {
		log_warn("relays", "relay %u said what no relay says",
			 r->number);
		channel_close(c);
	} else if (r->pending && msg->txn == r->share_txn) {
		if (!msg->ack->code) {
			key_switch(dc, r);
		} else {
			log_warn("relays", "relay %u does not take a key: %s",
				 r->number, err_text(-(int)msg->ack->code));
			channel_close(c);
		}
	}
	return true;
}

bool relays_link_closed(struct dc *dc, struct channel *c, int err)
{
	struct relay *r = find_channel(dc, c);

	if (!r)
		return false;
	log_info("relays", "the link of relay %u has gone: %s", r->number,
		 err_text(err));
	r->channel = NULL;
	r->gone = loop_now(dc->loop);
	r->mute = true; /* its process has died, more often than not */
	return true;
}

static void tell_nodes(struct dc *dc, struct relay *r, uint64_t now);

static void relay_sweep(struct dc *dc, struct relay *r, uint64_t now)
{
	if (r->to_tell)
		tell_nodes(dc, r, now);
	for (int i = 0; i < 2; i++)
		if (r->keys[i].until && r->keys[i].until <= now)
			key_clear(&r->keys[i]);
	if (!r->channel) {
		uint64_t last = r->heard > r->gone ? r->heard : r->gone;

		if (now > last + LOOP_S(RELAY_FORGET_S))
			relay_forget(r);
	} else if (r->pending ? now > r->shared + LOOP_S(RELAY_ACK_S)
			      : now >= r->renew && share_key(dc, r)) {
		channel_close(r->channel);
	}
}

void relays_sweep(struct dc *dc, uint64_t now)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (dc->relays->list[i].number)
			relay_sweep(dc, &dc->relays->list[i], now);
}

/* --- datagrams --------------------------------------------------------------------- */

static bool relay_send(struct dc *dc, struct relay *r,
		       const struct endpoint *to, const Ntm__Signal *msg)
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

bool relays_direct(struct dc *dc, struct relay *r, uint32_t txn,
		   const Ntm__RelayDirection *body)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = (Ntm__RelayDirection *)body;
	return r->heard && relay_send(dc, r, &r->at, &msg);
}

bool relays_direct_group(struct dc *dc, struct relay *r, uint32_t txn,
			 const Ntm__GroupDirection *body)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_GROUP_DIRECTION;
	msg.group_direction = (Ntm__GroupDirection *)body;
	return r->heard && relay_send(dc, r, &r->at, &msg);
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
static void tell_nodes(struct dc *dc, struct relay *r, uint64_t now)
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
	bool was_silent = is_silent(r, loop_now(dc->loop));
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
		tell_nodes(dc, r, loop_now(dc->loop));
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

static void withdraw_acked(struct relays *rs, struct relay *r, uint32_t txn)
{
	if (!r->telling || txn != r->withdraw_txn)
		return;
	r->withdrawn += r->telling;
	r->telling = 0;
	if (r->withdrawn != rs->withdrawn)
		loop_timer_arm(rs->timer, 0);
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
		withdraw_acked(dc->relays, r, msg->txn);
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
		key_switch(dc, r);
	newest = k == &r->keys[r->key] && h->counter >= k->registered;
	if (newest && msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION)
		k->registered = h->counter;
	dispatch(dc, r, from, newest, msg);
	return true;
}

/* --- withdrawals ------------------------------------------------------------------- */

static char *account_at(struct relays *rs, uint64_t number)
{
	return rs->accounts[number % RELAY_WITHDRAWN_MAX];
}

/* how many of the next ones go into one datagram, with names of other domains */
static uint32_t fitting(struct relays *rs, const struct relay *r,
			uint64_t behind)
{
	size_t bytes = 0;
	uint32_t n = 0;

	while (n < behind && n < RELAY_WITHDRAWN_ONE &&
	       bytes < RELAY_WITHDRAWN_BYTES)
		bytes += strlen(account_at(rs, r->withdrawn + 1 + n++)) + 4;
	return n;
}

/* the next ones, or those again that it has not acknowledged */
static void tell_withdrawn(struct dc *dc, struct relay *r)
{
	Ntm__RelayWithdraw body = NTM__RELAY_WITHDRAW__INIT;
	char *accounts[RELAY_WITHDRAWN_ONE];
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct relays *rs = dc->relays;
	uint64_t behind = rs->withdrawn - r->withdrawn;

	if (behind > RELAY_WITHDRAWN_MAX) {
		log_warn("relays", "relay %u missed %llu withdrawn accounts",
			 r->number,
			 (unsigned long long)behind - RELAY_WITHDRAWN_MAX);
		behind = RELAY_WITHDRAWN_MAX;
		r->withdrawn = rs->withdrawn - behind;
		r->telling = 0;
	}
	if (!r->telling) {
		r->telling = fitting(rs, r, behind);
		r->withdraw_txn = WITHDRAW_TXN | (++rs->txn & ~GROUP_TXN);
	}
	for (uint32_t i = 0; i < r->telling; i++)
		accounts[i] = account_at(rs, r->withdrawn + 1 + i);
	body.n_accounts = r->telling;
	body.accounts = accounts;
	msg.txn = r->withdraw_txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_WITHDRAW;
	msg.relay_withdraw = &body;
	if (relay_send(dc, r, &r->at, &msg) &&
	    rs->sent < r->withdrawn + r->telling)
		rs->sent = r->withdrawn + r->telling;
}

static void withdraw_tick(void *arg)
{
	struct relays *rs = arg;
	struct dc *dc = rs->dc;
	bool again = false;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &rs->list[i];

		if (!r->number || r->withdrawn == rs->withdrawn ||
		    is_silent(r, loop_now(dc->loop)))
			continue;
		tell_withdrawn(dc, r);
		again = true;
	}
	if (again)
		loop_timer_arm(rs->timer, WITHDRAW_EVERY_NS);
}

void relays_withdraw(struct dc *dc, const char *account)
{
	struct relays *rs = dc->relays;

	uint64_t i = rs->sent + 1;

	if (rs->withdrawn >= i + RELAY_WITHDRAWN_MAX)
		i = rs->withdrawn - RELAY_WITHDRAWN_MAX + 1;
	for (; i <= rs->withdrawn; i++) /* another device, in the same turn */
		if (!strcmp(account_at(rs, i), account))
			return;
	rs->withdrawn++;
	strcpy(account_at(rs, rs->withdrawn), account);
	loop_timer_arm(rs->timer, 0);
}

/* --- the rest ---------------------------------------------------------------------- */

bool relays_may_nudge(struct dc *dc)
{
	struct relays *rs = dc->relays;
	uint32_t now = dc_now_s(dc);

	if (rs->nudged_s != now) {
		rs->nudged_s = now;
		rs->nudges = 0;
	}
	return rs->nudges++ < RELAY_NUDGES_S;
}

static json_t *relay_admin(struct dc *dc, const struct relay *r)
{
	json_t *addresses = json_array();
	char text[ADDR_TEXT_LEN], id[17], fp[NTMC_FP_TEXT_LEN];

	ntmc_fingerprint_text(r->fp, fp);
	for (size_t i = 0; i < r->n_addrs; i++)
		json_array_append_new(addresses, json_string(addr_format(
							 &r->addrs[i], text)));
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)relay_id(r));
	return json_pack(
		"{s:s, s:s, s:o, s:b, s:b, s:b, s:I, s:I, s:I, s:I}", "id", id,
		"fingerprint", fp, "addresses", addresses, "link",
		r->channel != NULL, "usable", relay_is_usable(dc, r),
		"draining", r->draining, "load_permille", (json_int_t)r->load,
		"paths", (json_int_t)r->paths, "rtt_us", (json_int_t)r->rtt_us,
		"heard_ms",
		r->heard ? (json_int_t)((loop_now(dc->loop) - r->heard) /
					1000000)
			 : (json_int_t)-1);
}

unsigned int relays_end_removed(struct dc *dc)
{
	unsigned int n = 0;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &dc->relays->list[i];

		if (!r->number || !removed_has(dc->env->dir, r->fp))
			continue;
		log_info("relays", "relay %u was removed", r->number);
		if (r->channel)
			channel_close(r->channel);
		for (int k = 0; k < 2; k++)
			key_clear(&r->keys[k]);
		n++;
	}
	return n;
}

json_t *relays_admin(struct dc *dc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (dc->relays->list[i].number)
			json_array_append_new(
				list, relay_admin(dc, &dc->relays->list[i]));
	return list;
}

int relays_new(struct dc *dc, struct relays **out)
{
	struct relays *rs = calloc(1, sizeof(*rs));
	int r;

	if (!rs)
		return -NTM_ENOMEM;
	rs->dc = dc;
	r = loop_timer_new(dc->loop, withdraw_tick, rs, &rs->timer);
	if (r) {
		free(rs);
		return r;
	}
	*out = rs;
	return 0;
}

void relays_free(struct relays *rs)
{
	if (!rs)
		return;
	loop_timer_free(rs->timer);
	ntmc_wipe(rs, sizeof(*rs));
	free(rs);
}
