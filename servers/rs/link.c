/* SPDX-License-Identifier: MIT */
/*
 * link - to a DC: keys by TLS, then registration and its Signals by UDP
 *
 * Theory of operation
 *
 *   DOWN        waits to try again, by the DC's next address: 100 ms, doubling to 5 s
 *   CONNECTING  TLS to the DC's server port, with our certificate of role RS
 *   UP          Key Sharing came; it comes again at half of the key's life
 *
 * Each Key Sharing brings a fresh key and id, so counters need no memory of earlier
 * processes; within this one they only rise. The key before is kept until the next
 * one, for what is still under way.
 *
 * Signals leave by the relay's own port and arrive at any of its threads, which hand
 * those of our ids to the control thread. With keys, the relay registers every 5 s
 * and whenever it is told that something has changed; it does so also while the
 * channel is down, for the keys live on. A DC that acknowledges nothing for
 * SILENT_MAX registrations has lost them: the channel is closed, the next one brings
 * new ones.
 *
 * What the DC has us do: directed.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/channel.h"
#include "common/log.h"
#include "servers/renewal.h"
#include "servers/rs/state.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define STABLE_S     10
#define SILENT_MAX   6 /* registrations without an answer */
#define ADDRESSES    4 /* in a registration */

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP };

struct link_keys {
	uint64_t id; /* 0: none */
	struct datagram_keys keys;
	uint64_t counter;
	struct ntmc_replay64 replay;
	uint64_t ends_ns; /* loop_now() */
};

struct link {
	struct rs *rs;
	unsigned int number;
	struct server_ways dc;
	size_t way;	/* the address that is used, or tried next */
	struct addr at; /* the one by which the keys came */
	struct channel *channel;
	enum link_state state;
	unsigned int retry_ms, silent;
	uint64_t up_ns;
	struct loop_timer *retry, *beat;
	struct link_keys now, before;
	uint32_t txn;
	bool acked; /* the newest registration but one, or the newest */
};

static const char *const state_names[] = {
	[LINK_DOWN] = "down",
	[LINK_CONNECTING] = "connecting",
	[LINK_UP] = "up",
};

static void link_set_state(struct link *l, enum link_state s)
{
	if (s == l->state)
		return;
	if (s == LINK_UP || l->state == LINK_UP)
		log_info("rs", "link %u to the DC: %s -> %s", l->number,
			 state_names[l->state], state_names[s]);
	l->state = s;
}

/* --- sending Signals ------------------------------------------------------------ */

/* the relay's own port of the DC's family; -1: it has none */
static int socket_for(const struct rs *rs, sa_family_t family)
{
	const struct rs_thread *t = rs->threads[0];

	for (size_t i = 0; i < t->n_sockets; i++)
		if (t->family[i] == family)
			return t->fds[i];
	return -1;
}

static void link_send(struct link *l, const Ntm__Signal *msg)
{
	struct link_keys *k = &l->now;
	struct packet_header h = {.type = PACKET_SIGNAL, .id = k->id};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int fd = socket_for(l->rs, l->at.sa.sa_family), len;

	if (!k->id || fd < 0 || loop_now(l->rs->loop) > k->ends_ns)
		return;
	h.counter = k->counter++;
	len = datagram_seal(&h, k->keys.aead, &k->keys.up, &msg->base, buf);
	if (len > 0 && sendto(fd, buf, (size_t)len, MSG_DONTWAIT, &l->at.sa,
			      addr_len(&l->at)) < 0)
		log_debug("rs", "link %u: %s", l->number, strerror(errno));
}

void link_register(struct link *l)
{
	Ntm__RelayRegistration body = NTM__RELAY_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	Ntm__Address addresses[ADDRESSES], *pointers[ADDRESSES];
	const struct server_conf *c = l->rs->conf;
	int n;

	if (!l->now.id)
		return;
	n = serverconf_announced(c->rs_address, c->rs_listen,
				 (uint16_t)c->rs_port, list);
	for (int i = 0; i < n && i < ADDRESSES; i++) {
		ntm__address__init(&addresses[i]);
		addr_to_message(&list[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&addresses[i]);
		pointers[body.n_addresses++] = &addresses[i];
	}
	body.addresses = pointers;
	body.load = l->rs->load;
	body.paths = l->rs->paths.used;
	body.draining = l->rs->draining;
	body.tls_port = c->rs_tls_port;
	msg.txn = ++l->txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION;
	msg.relay_registration = &body;
	link_send(l, &msg);
	loop_timer_arm(l->beat, LOOP_S(RS_REGISTRATION_S));
}

static void link_beat(void *arg)
{
	struct link *l = arg;

	if (l->silent++ >= SILENT_MAX) {
		l->acked = false;
		l->silent = 0;
		if (l->channel) {
			log_warn("rs", "link %u: the DC has forgotten us",
				 l->number);
			channel_close(l->channel);
		}
	}
	link_register(l);
}

static void send_ack(struct link *l, uint32_t txn, int err)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.code = (uint32_t)-err;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &body;
	link_send(l, &msg);
}

/* --- receiving Signals ---------------------------------------------------------------- */

static void dispatch(struct link *l, const Ntm__Signal *msg)
{
	int r;

	switch (msg->body_case) {
	case NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK:
		if (msg->txn != l->txn)
			break;
		if (msg->relay_registration_ack->code && l->acked)
			log_warn("rs", "link %u: not registered: %s", l->number,
				 err_text((int)msg->relay_registration_ack
						  ->code));
		l->acked = !msg->relay_registration_ack->code;
		l->silent = 0;
		break;
	case NTM__SIGNAL__BODY_RELAY_DIRECTION:
		r = directed_path(l->rs, l->number, msg->relay_direction);
		send_ack(l, msg->txn, r);
		break;
	case NTM__SIGNAL__BODY_GROUP_DIRECTION:
		r = directed_group(l->rs, l->number, msg->group_direction);
		send_ack(l, msg->txn, r);
		break;
	case NTM__SIGNAL__BODY_RELAY_WITHDRAW:
		directed_withdraw(l->rs, l->number, msg->relay_withdraw);
		send_ack(l, msg->txn, 0);
		break;
	default: /* nothing that a DC says to an RS */
		break;
	}
}

static bool open_with(struct link *l, struct link_keys *k,
		      const struct packet_header *h, uint8_t *buf, size_t len)
{
	ProtobufCMessage *msg;

	if (!k->id || k->id != h->id)
		return false;
	if (!ntmc_replay64_check(&k->replay, h->counter) ||
	    datagram_open(h, k->keys.aead, &k->keys.down, buf, len,
			  &ntm__signal__descriptor, &msg))
		return true;
	if (ntmc_replay64_mark(&k->replay, h->counter))
		dispatch(l, (const Ntm__Signal *)msg);
	datagram_free(msg);
	return true;
}

void link_signal(struct rs *rs, uint8_t *buf, size_t len)
{
	struct packet_header h;

	if (packet_header_get(buf, len, &h) || h.type != PACKET_SIGNAL)
		return;
	for (unsigned int i = 0; i < rs->n_links; i++)
		if (open_with(rs->links[i], &rs->links[i]->now, &h, buf, len) ||
		    open_with(rs->links[i], &rs->links[i]->before, &h, buf,
			      len))
			return;
}

/* --- the channel -------------------------------------------------------------------------- */

static void publish(struct link *l)
{
	struct signal_peer *s = &l->rs->signal_peers[l->number];
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
	uint64_t half[2];
	const uint8_t *from;
	size_t len;

	from = addr_ip(&l->at, &len);
	memcpy(ip + sizeof(ip) - len, from, len);
	memcpy(half, ip, sizeof(half));
	atomic_store(&s->ip[0], half[0]);
	atomic_store(&s->ip[1], half[1]);
	atomic_store(&s->port, htons(addr_port(&l->at)));
	atomic_store(&s->ids[0], l->now.id);
	atomic_store(&s->ids[1], l->before.id);
}

static int key_sharing(struct link *l, const Ntm__KeySharing *s)
{
	struct link_keys k = {.id = s->id};
	struct ntmc_key kdcrs;
	int r;

	if (!s->id || !s->lifetime_s)
		return -NTM_EINVAL;
	if (s->id == l->now.id)
		return -NTM_EEXISTS; /* nor a counter twice under its key */
	memcpy(kdcrs.b, s->key.data, NTMC_KEY_LEN);
	r = datagram_relay_keys(&kdcrs, s->id, (enum ntmc_aead_alg)s->aead,
				&k.keys);
	ntmc_key_clear(&kdcrs);
	if (r)
		return r;
	k.counter = l->now.counter;
	l->at = l->dc.a[l->way];
	k.ends_ns = loop_now(l->rs->loop) + LOOP_S(s->lifetime_s);
	ntmc_wipe(&l->before, sizeof(l->before));
	l->before = l->now;
	l->now = k;
	ntmc_wipe(&k, sizeof(k));
	publish(l);
	return 0;
}

static void link_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct link *l = arg;

	if (!peer || peer->kind != NTMC_CERT_SERVER ||
	    !(peer->roles & NTMC_ROLE_DC)) {
		log_err("rs",
			"link %u: whoever answers is not a DC of this "
			"domain",
			l->number);
		channel_close(c);
		return;
	}
	channel_set_idle(c, 0);
}

static int renewal_send(void *arg, const Ntm__Envelope *msg)
{
	return channel_send(arg, msg);
}

void link_renew(struct link *l)
{
	struct rs *rs = l->rs;

	if (l->state == LINK_UP && l->channel &&
	    renewal_ask(rs->env->dir, "rs", rs->conf, &rs->cert,
			loop_wall(rs->loop), renewal_send, l->channel))
		log_warn("rs", "link %u: the certificate cannot be renewed",
			 l->number);
}

static void renewed(struct link *l, const Ntm__CertificateResponse *m)
{
	struct rs *rs = l->rs;

	if (!renewal_take(rs->env->dir, "rs", &rs->cert, loop_wall(rs->loop),
			  m))
		rs_look_at_certificate(rs);
}

static void link_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope answer = NTM__ENVELOPE__INIT;
	struct link *l = arg;
	int r;

	if (msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE) {
		renewed(l, msg->certificate_response);
		return;
	}
	if (msg->body_case != NTM__ENVELOPE__BODY_KEY_SHARING) {
		log_warn("rs", "link %u: the DC said what a DC does not say",
			 l->number);
		channel_close(c);
		return;
	}
	r = key_sharing(l, msg->key_sharing);
	body.code = (uint32_t)-r;
	answer.txn = msg->txn;
	answer.body_case = NTM__ENVELOPE__BODY_ACK;
	answer.ack = &body;
	if (channel_send(c, &answer) || r)
		return;
	l->silent = 0;
	if (l->state != LINK_UP)
		l->up_ns = loop_now(l->rs->loop);
	link_set_state(l, LINK_UP);
	link_register(l);
	link_renew(l);
}

static void link_closed(struct channel *c, int err, void *arg)
{
	struct link *l = arg;

	(void)c;
	if (!l)
		return;
	if (l->state == LINK_UP || l->retry_ms == RETRY_MIN_MS)
		log_warn("rs", "link %u: no channel to the DC: %s", l->number,
			 err_text(err));
	/* a DC that ends each link soon is not asked again and again */
	if (l->state == LINK_UP &&
	    loop_now(l->rs->loop) - l->up_ns > LOOP_S(STABLE_S))
		l->retry_ms = RETRY_MIN_MS;
	if (l->state != LINK_UP)
		l->way = (l->way + 1) % l->dc.n;
	l->channel = NULL;
	link_set_state(l, LINK_DOWN);
	loop_timer_arm(l->retry, LOOP_MS(l->retry_ms));
	l->retry_ms *= 2;
	if (l->retry_ms > RETRY_MAX_MS)
		l->retry_ms = RETRY_MAX_MS;
}

static const struct channel_ops link_ops = {
	.open = link_open,
	.message = link_message,
	.closed = link_closed,
};

static void link_retry(void *arg)
{
	struct link *l = arg;
	int r;

	link_set_state(l, LINK_CONNECTING);
	r = channel_connect(l->rs->loop, l->rs->cert.tls, &l->dc.a[l->way].sa,
			    addr_len(&l->dc.a[l->way]), &link_ops, l,
			    &l->channel);
	if (r)
		link_closed(NULL, r, l);
}

int link_new(struct rs *rs, unsigned int number, const struct server_ways *dc,
	     struct link **out)
{
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -NTM_ENOMEM;
	l->rs = rs;
	l->number = number;
	l->dc = *dc;
	l->retry_ms = RETRY_MIN_MS;
	r = loop_timer_new(rs->loop, link_retry, l, &l->retry);
	if (!r)
		r = loop_timer_new(rs->loop, link_beat, l, &l->beat);
	if (r) {
		link_free(l);
		return r;
	}
	loop_timer_arm(l->retry, 0);
	*out = l;
	return 0;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	if (l->channel) {
		channel_set_arg(l->channel, NULL); /* closed comes after us */
		channel_close(l->channel);
	}
	loop_timer_free(l->retry);
	loop_timer_free(l->beat);
	ntmc_wipe(l, sizeof(*l));
	free(l);
}

void link_reconnect(struct link *l)
{
	if (l->channel)
		channel_close(l->channel);
}

bool link_is_up(const struct link *l)
{
	return l->acked && l->now.id && l->silent <= 2;
}
