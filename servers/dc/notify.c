/* SPDX-License-Identifier: MIT */
/*
 * notify - Notification Servers: their links and keys, and nodes told to come
 *
 * Theory of operation
 *
 * A channel by the certificate of an NS. Each begins with Key Sharing: one key, Kdcns,
 * for all nodes that this NS gets from us; it lives while this process does, is shared
 * again with a new link, and is renewed at half of its life. A node's own key is
 * derived of it. So the NS needs to hear of no node, and a restart of either side loses
 * nothing: a new Kdcns makes the NS tell its nodes to register with us.
 *
 * What waits for a node is a Route Direction: it goes to the node's last address as
 * ever, and beside it a Notification Request to its NS. The node then asks for it, from
 * wherever it is; until it has proven that address it is challenged as others are. A
 * Withdraw goes the same way. The txn of a request is that of the direction, so that an
 * NS's OFFLINE finds it; an NS that lies in that only shortens the wait.
 *
 * A session that ends is told to every NS, as a DC that was restarted does not know at
 * which one its node is: the connection ends.
 *
 * That there is an NS again makes all nodes register, so one that comes and goes is
 * spoken of once a minute.
 */
#include "servers/dc/notify.h"

#include <stdlib.h>
#include <string.h>

#include "common/keysharing.h"
#include "common/log.h"
#include "servers/dc/state.h"
#include "servers/removed.h"

static struct notifier *find_channel(const struct dc *dc,
				     const struct channel *c)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++)
		if (dc->notify->list[i].number &&
		    dc->notify->list[i].channel == c)
			return &dc->notify->list[i];
	return NULL;
}

static bool is_usable(const struct notifier *s)
{
	return s->number && s->channel && s->n_addrs && s->nodes < s->room;
}

bool notify_usable(const struct dc *dc)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++)
		if (is_usable(&dc->notify->list[i]))
			return true;
	return false;
}

static struct notifier *notifier_put(struct notify *n, const uint8_t *fp)
{
	struct notifier *free_one = NULL;

	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		struct notifier *s = &n->list[i];

		if (s->number && !memcmp(s->fp, fp, NTMC_FP_LEN))
			return s;
		if (!s->number && !free_one)
			free_one = s;
	}
	if (free_one) {
		free_one->number = (uint8_t)(free_one - n->list + 1);
		memcpy(free_one->fp, fp, NTMC_FP_LEN);
	}
	return free_one;
}

/* --- keys ------------------------------------------------------------------------ */

static int share_key(struct dc *dc, struct notifier *s, bool fresh)
{
	uint64_t now = loop_now(dc->loop);

	if (fresh) {
		ntmc_random(NULL, &s->key_id, sizeof(s->key_id));
		s->key_id |= !s->key_id;
		ntmc_key_random(NULL, &s->key);
		s->renew = now + LOOP_S(NOTIFIER_KEY_S / 2);
	}
	return keysharing_send(
		s->channel, &(struct keysharing){.txn = ++dc->notify->txn,
						 .id = s->key_id,
						 .key = &s->key,
						 .aead = ntmc_aead_preferred(),
						 .lifetime_s = NOTIFIER_KEY_S});
}

/* --- links ------------------------------------------------------------------------ */

void notify_link_open(struct dc *dc, struct channel *c)
{
	uint8_t fp[NTMC_FP_LEN];
	struct notifier *s;

	ntmc_fingerprint(channel_peer(c)->ed_pub, fp);
	s = notifier_put(dc->notify, fp);
	if (!s) {
		log_warn("notify", "more than %d NSs: one is turned away",
			 NOTIFIERS_MAX);
		channel_close(c);
		return;
	}
	if (s->channel)
		channel_close(s->channel);
	s->channel = c;
	channel_set_idle(c, 0);
	log_info("notify", "NS %u is here", s->number);
	if (share_key(dc, s, !s->key_id))
		channel_close(c);
}

/* nodes register, and hear of it */
static void tell_nodes(struct dc *dc, struct notifier *s, uint64_t now)
{
	s->news = s->told && now - s->told < LOOP_S(NOTIFIER_NEWS_S);
	if (s->news)
		return;
	s->told = now;
	dc->relays_change++;
}

static void keep_registration(struct dc *dc, struct notifier *s,
			      const Ntm__NotifierRegistration *q)
{
	bool was = is_usable(s);
	struct addr a;

	s->n_addrs = 0;
	for (size_t i = 0;
	     i < q->n_addresses && s->n_addrs < NOTIFIER_ADDRESSES_MAX; i++)
		if (!addr_from_message(q->addresses[i], &a) &&
		    (dc->conf->dc_loopback || addr_is_usable_remote(&a)))
			s->addrs[s->n_addrs++] = a;
	s->nodes = q->nodes;
	s->room = q->room;
	if (!was && is_usable(s))
		tell_nodes(dc, s, loop_now(dc->loop));
}

bool notify_link_message(struct dc *dc, struct channel *c,
			 const Ntm__Envelope *msg)
{
	struct notifier *s = find_channel(dc, c);

	if (!s)
		return false;
	if (msg->body_case == NTM__ENVELOPE__BODY_NOTIFIER_REGISTRATION) {
		keep_registration(dc, s, msg->notifier_registration);
	} else if (msg->body_case != NTM__ENVELOPE__BODY_ACK) {
		log_warn("notify", "NS %u said what no NS says", s->number);
		channel_close(c);
	} else if (msg->ack->code == NTM_EOFFLINE) {
		dc->notify->absent++;
		direction_absent(dc, s->number, msg->txn);
	}
	return true;
}

bool notify_link_closed(struct dc *dc, struct channel *c, int err)
{
	struct notifier *s = find_channel(dc, c);

	if (!s)
		return false;
	log_info("notify", "the link of NS %u has gone: %s", s->number,
		 err_text(err));
	s->channel = NULL;
	s->gone = loop_now(dc->loop);
	return true;
}

void notify_sweep(struct dc *dc, uint64_t now)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		struct notifier *s = &dc->notify->list[i];

		if (!s->number)
			continue;
		if (!s->channel && now > s->gone + LOOP_S(NOTIFIER_FORGET_S)) {
			log_info("notify", "NS %u is forgotten", s->number);
			ntmc_wipe(s, sizeof(*s));
		} else if (s->channel && now >= s->renew &&
			   share_key(dc, s, true)) {
			channel_close(s->channel);
		} else if (s->news && is_usable(s)) {
			tell_nodes(dc, s, now);
		}
	}
}

/* --- nodes ------------------------------------------------------------------------- */

static struct notifier *notifier_of(struct dc *dc, uint8_t number)
{
	return number && number <= NOTIFIERS_MAX ? &dc->notify->list[number - 1]
						 : NULL;
}

static struct notifier *choose(struct dc *dc, const struct node *n)
{
	struct notifier *best = notifier_of(dc, n->notifier);

	if (best && best->number && best->channel && best->n_addrs)
		return best;
	best = NULL;
	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		struct notifier *s = &dc->notify->list[i];

		if (is_usable(s) &&
		    (!best || s->room - s->nodes > best->room - best->nodes))
			best = s;
	}
	return best;
}

bool notify_fill(struct dc *dc, struct node *n, uint64_t node_id,
		 struct notify_server *out)
{
	struct notifier *s = choose(dc, n);

	if (!s || datagram_notify_secret(&s->key, node_id, &out->key))
		return false;
	if (n->notifier != s->number)
		s->nodes++; /* until it says so itself */
	n->notifier = s->number;
	ntm__notification_server__init(&out->msg);
	for (size_t i = 0; i < s->n_addrs; i++) {
		addr_to_message(&s->addrs[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&out->a[i]);
		out->list[i] = &out->a[i];
	}
	out->msg.n_addresses = s->n_addrs;
	out->msg.addresses = out->list;
	out->msg.key_id = s->key_id;
	out->msg.key = (ProtobufCBinaryData){NTMC_KEY_LEN, out->key.b};
	out->msg.aead = ntmc_aead_preferred();
	return true;
}

static bool send_request(struct notifier *s, uint64_t node_id, bool drop,
			 uint32_t txn)
{
	Ntm__NotificationRequest body = NTM__NOTIFICATION_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.node_id = node_id;
	body.drop = drop;
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_NOTIFICATION_REQUEST;
	msg.notification_request = &body;
	if (!channel_send(s->channel, &msg))
		return true;
	log_debug("notify", "a Notification Request was not sent");
	return false;
}

void notify_node(struct dc *dc, const struct node *n, uint32_t direction)
{
	struct notifier *s = notifier_of(dc, n->notifier);

	if (s && s->channel && n->session)
		dc->notify->sent += send_request(
			s, nodes_session(&dc->nodes, n->session)->node_id,
			false, direction);
}

void notify_drop(struct dc *dc, uint64_t node_id)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		struct notifier *s = &dc->notify->list[i];

		if (s->number && s->channel)
			dc->notify->dropped +=
				send_request(s, node_id, true, 0);
	}
}

unsigned int notify_end_removed(struct dc *dc)
{
	unsigned int n = 0;

	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		struct notifier *s = &dc->notify->list[i];

		if (!s->number || !s->channel ||
		    !removed_has(dc->env->dir, s->fp))
			continue;
		log_info("notify", "NS %u was removed", s->number);
		channel_close(s->channel);
		n++;
	}
	return n;
}

void notify_end_session(struct dc *dc, uint32_t session)
{
	notify_drop(dc, nodes_session(&dc->nodes, session)->node_id);
	nodes_drop_session(&dc->nodes, session);
}

json_t *notify_admin(struct dc *dc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		const struct notifier *s = &dc->notify->list[i];
		char text[ADDR_TEXT_LEN] = "", fp[NTMC_FP_TEXT_LEN];

		if (!s->number)
			continue;
		ntmc_fingerprint_text(s->fp, fp);
		if (s->n_addrs)
			addr_format(&s->addrs[0], text);
		json_array_append_new(
			list,
			json_pack("{s:i, s:s, s:s, s:b, s:I, s:I}", "number",
				  (int)s->number, "fingerprint", fp, "address",
				  text, "link", s->channel != NULL, "nodes",
				  (json_int_t)s->nodes, "room",
				  (json_int_t)s->room));
	}
	return list;
}

int notify_new(struct notify **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void notify_free(struct notify *n)
{
	if (n)
		ntmc_wipe(n, sizeof(*n));
	free(n);
}
