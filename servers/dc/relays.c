/* SPDX-License-Identifier: MIT */
/*
 * relays - the Relay Servers of the domain: who they are, their links and keys
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
 * What relays say and are told in datagrams: relaysignal.c. The accounts whose paths
 * they are to end: relaywithdraw.c. Without link and word for ten minutes a relay is
 * forgotten; what nodes know of it then is a number that means nobody.
 *
 * Limits: RELAYS_MAX.
 */
#include "servers/dc/relays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keysharing.h"
#include "common/log.h"
#include "servers/dc/relays_impl.h"
#include "servers/removed.h"

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

bool relay_is_silent(const struct relay *r, uint64_t now)
{
	return !r->heard || now > r->heard + LOOP_S(RELAY_SILENT_S);
}

bool relay_is_usable(const struct dc *dc, const struct relay *r)
{
	uint64_t now = loop_now(dc->loop);

	return !relay_is_silent(r, now) && !r->draining && !r->mute &&
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
		r->share_txn = ++dc->relays->txn;
		err = keysharing_send(
			r->channel,
			&(struct keysharing){.txn = r->share_txn,
					     .id = k->id,
					     .key = &kdcrs,
					     .aead = k->keys.aead,
					     .lifetime_s = RELAY_KEY_S});
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

void relay_key_switch(struct dc *dc, struct relay *r)
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
			relay_key_switch(dc, r);
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

static void relay_sweep(struct dc *dc, struct relay *r, uint64_t now)
{
	if (r->to_tell)
		relay_tell_nodes(dc, r, now);
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
	r = loop_timer_new(dc->loop, relays_withdraw_tick, rs, &rs->timer);
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
