/* SPDX-License-Identifier: MIT */
/*
 * link - the DCs: their keys, what they ask
 *
 * Theory of operation
 *
 * A DC shares one key (Kdcns) for all its nodes; each node's own (Kntmns) is derived
 * of it and the Node ID, so that nothing need be told of any node, and an NS that was
 * restarted lacks nothing. The key before stays for as long as it lives: nodes hold
 * theirs until they register with the DC again.
 *
 * A key with another id than the last means that the DC was restarted, or renews its
 * key: all its nodes that are here are told to register with it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/ns/state.h"
#include "servers/renewal.h"

#define KEYS	  2
#define ADDRESSES 4
#define TELL_S	  30

struct ns_key {
	uint64_t id; /* 0: none */
	struct ntmc_key key;
	uint8_t aead;
	uint64_t ends_ns;
};

struct ns_link {
	struct ns *ns;
	unsigned int number;
	struct dcchannel *channel;
	struct ns_key keys[KEYS]; /* newest first */
	struct loop_timer *tell;
	uint32_t txn;
};

/* where nodes find us, and how many are here */
static void tell(void *arg)
{
	struct ns_link *l = arg;
	const struct server_conf *c = l->ns->conf;
	Ntm__NotifierRegistration body = NTM__NOTIFIER_REGISTRATION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	Ntm__Address addresses[ADDRESSES], *pointers[ADDRESSES];
	int n = serverconf_announced(c->ns_address, c->ns_listen,
				     (uint16_t)c->ns_port, list);

	for (int i = 0; i < n && i < ADDRESSES; i++) {
		addr_to_message(&list[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&addresses[i]);
		pointers[body.n_addresses++] = &addresses[i];
	}
	body.addresses = pointers;
	body.nodes = l->ns->n_here;
	body.room = l->ns->room;
	msg.txn = ++l->txn;
	msg.body_case = NTM__ENVELOPE__BODY_NOTIFIER_REGISTRATION;
	msg.notifier_registration = &body;
	if (!dcchannel_send(l->channel, &msg))
		loop_timer_arm(l->tell, LOOP_S(TELL_S));
}

static int take_key(struct ns_link *l, const Ntm__KeySharing *s)
{
	struct ns_key *k = &l->keys[0];
	bool had = k->id;

	if (!s->id || !s->lifetime_s)
		return -NTM_EINVAL;
	if (s->id != k->id) {
		ntmc_wipe(&l->keys[1], sizeof(l->keys[1]));
		l->keys[1] = *k;
		k->id = s->id;
		if (had)
			guests_call(l->ns, l->number);
	}
	memcpy(k->key.b, s->key.data, NTMC_KEY_LEN);
	k->aead = (uint8_t)s->aead;
	k->ends_ns = loop_now(l->ns->loop) + LOOP_S(s->lifetime_s);
	return 0;
}

static void on_message(void *arg, const Ntm__Envelope *msg)
{
	struct ns_link *l = arg;
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope answer = NTM__ENVELOPE__INIT;
	int r = 0;

	if (msg->body_case == NTM__ENVELOPE__BODY_KEY_SHARING) {
		r = take_key(l, msg->key_sharing);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_NOTIFICATION_REQUEST) {
		const Ntm__NotificationRequest *q = msg->notification_request;

		if (q->drop)
			guest_drop(l->ns, l->number, q->node_id);
		else
			r = guest_notify(l->ns, l->number, q->node_id);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_ACK) {
		return;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE) {
		if (!renewal_take(l->ns->env->dir, "ns", &l->ns->cert,
				  loop_wall(l->ns->loop),
				  msg->certificate_response))
			ns_look_at_certificate(l->ns);
		return;
	} else {
		log_warn("ns", "the DC said what a DC does not say");
		dcchannel_close(l->channel);
		return;
	}
	body.code = (uint32_t)-r;
	answer.txn = msg->txn;
	answer.body_case = NTM__ENVELOPE__BODY_ACK;
	answer.ack = &body;
	if (dcchannel_send(l->channel, &answer))
		log_debug("ns", "the DC was not answered");
}

static int renewal_send(void *arg, const Ntm__Envelope *msg)
{
	return dcchannel_send(arg, msg);
}

void ns_link_renew(struct ns_link *l)
{
	struct ns *ns = l->ns;

	if (dcchannel_is_open(l->channel) &&
	    renewal_ask(ns->env->dir, "ns", ns->conf, &ns->cert,
			loop_wall(ns->loop), renewal_send, l->channel))
		log_warn("ns", "the certificate cannot be renewed");
}

static void on_open(void *arg)
{
	struct ns_link *l = arg;

	tell(l);
	ns_link_renew(l);
}

static void on_closed(void *arg)
{
	struct ns_link *l = arg;

	loop_timer_disarm(l->tell);
}

static const struct dcchannel_ops ops = {
	.open = on_open, .message = on_message, .closed = on_closed};

int ns_link_key(struct ns *ns, uint64_t key_id, uint64_t node_id,
		struct ntmc_key *kntmns, uint8_t *aead, uint8_t *link)
{
	uint64_t now = loop_now(ns->loop);

	for (unsigned int i = 0; key_id && i < ns->n_links; i++)
		for (unsigned int k = 0; k < KEYS; k++) {
			const struct ns_key *key = &ns->links[i]->keys[k];

			if (key->id != key_id || key->ends_ns < now)
				continue;
			*aead = key->aead;
			*link = (uint8_t)i;
			return datagram_notify_secret(&key->key, node_id,
						      kntmns);
		}
	return -NTM_ENOTFOUND;
}

int ns_link_new(struct ns *ns, unsigned int number,
		const struct server_ways *dc, struct ns_link **out)
{
	struct ns_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -NTM_ENOMEM;
	l->ns = ns;
	l->number = number;
	r = loop_timer_new(ns->loop, tell, l, &l->tell);
	if (!r)
		r = dcchannel_new(ns->loop, ns->cert.tls, "ns", dc, &ops, l,
				  &l->channel);
	if (r) {
		ns_link_free(l);
		return r;
	}
	*out = l;
	return 0;
}

void ns_link_free(struct ns_link *l)
{
	if (!l)
		return;
	dcchannel_free(l->channel);
	loop_timer_free(l->tell);
	ntmc_wipe(l, sizeof(*l));
	free(l);
}

void ns_link_certificate(struct ns_link *l)
{
	dcchannel_set_tls(l->channel, l->ns->cert.tls);
}

bool ns_link_is_up(const struct ns_link *l)
{
	return dcchannel_is_open(l->channel) && l->keys[0].id;
}
