/* SPDX-License-Identifier: MIT */
/*
 * notify - the node's connection with a Notification Server, instead of a UDP mapping
 *
 * Theory of operation
 *
 * NATs keep a silent TCP connection for far longer than a UDP mapping, so an idle node
 * with one sends hardly anything. Wanted where broker.conf says so, or, with `auto`,
 * where keepalive.c found that UDP bears less than POOR_S of silence, or dies in use,
 * and the DC says that there is an NS. The DC names the NS and gives Kntmns in its
 * Registration Response.
 *
 * While it is UP no keep-alives go to the DC; the mapping dies, and the address that
 * the DC knows with it. A Notification makes us ask the DC what waits for us: it finds
 * us elsewhere, challenges us, we register, and get our Route Direction. When the
 * connection ends we register at once, and keep-alives go as before until it is back.
 *
 * It is the NS that writes keep-alives, at our interval; we answer. So what proves
 * that the NAT still lets it in is that they come. The interval doubles whenever one
 * has come in time, as long as no longer one has failed: one that does not come
 * within LATE_S has found out how much the NAT bears. Then we connect anew with the
 * last interval that worked, and are without it for that long once. Where that fails it
 * was not the NAT: the NS has gone, and what was known before stands.
 *
 * With `auto` an NS that is not to be had is let alone for AGAIN_S: it may have been
 * restarted, or its DC. An NS may tell us in vain as often as it likes: the DC is asked
 * no more often than FETCH_MS.
 */
#include "broker/notify.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/keepalive.h"
#include "broker/session.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/timers.h"
#include "common/frame.h"
#include "common/log.h"

#define ADDRS_MAX 4

struct notify {
	struct worker *w;
	enum notify_mode mode;
	enum notify_state state;
	bool offered;  /* the DC has an NS */
	bool given_up; /* auto: it is not to be had in this network */

	/* as the DC says */
	struct addr addrs[ADDRS_MAX];
	size_t n_addrs, at;
	uint64_t key_id, node_id;
	struct ntmc_key kntmns;
	uint8_t aead;

	/* the connection */
	int fd;
	struct loop_io *io;
	struct datagram_keys keys;
	uint64_t rx, tx;
	bool greeted;
	uint8_t buf[FRAME_MAX];
	size_t have;
	struct loop_timer *timer;
	unsigned int tries;
	uint32_t fetch;	     /* request under way; 0 none */
	uint64_t fetched_ns; /* the DC answered the last one */

	/* the push service */
	Ntm__PushKind push;
	char token[NOTIFY_TOKEN_MAX + 1];
	bool pushed; /* the DC will use it */

	/* how long the NAT bears silence */
	unsigned int interval_s, max_s, alive_s, dead_s;
	bool blamed; /* it has just been, for a silence; before that: */
	unsigned int interval_was_s, alive_was_s, dead_was_s;
};

static const char *const state_names[] = {
	[NOTIFY_OFF] = "off",
	[NOTIFY_WAITING] = "waiting",
	[NOTIFY_OPENING] = "opening",
	[NOTIFY_UP] = "up",
};

static void notify_set_state(struct notify *n, enum notify_state s)
{
	if (s == n->state)
		return;
	if (s == NOTIFY_UP || n->state == NOTIFY_UP)
		log_info("notify", "%s -> %s", state_names[n->state],
			 state_names[s]);
	n->state = s;
}

/* --- the end of a connection --------------------------------------------------------- */

static void disconnect(struct notify *n)
{
	loop_io_del(n->io);
	if (n->fd >= 0)
		close(n->fd);
	n->io = NULL;
	n->fd = -1;
	n->have = 0;
	n->greeted = false;
	datagram_keys_clear(&n->keys);
}

/* A keep-alive did not come. */
static void blame_nat(struct notify *n)
{
	log_info("notify", "silent for %u s: that was too long", n->interval_s);
	n->blamed = true;
	n->interval_was_s = n->interval_s;
	n->alive_was_s = n->alive_s;
	n->dead_was_s = n->dead_s;
	if (!n->dead_s || n->interval_s < n->dead_s)
		n->dead_s = n->interval_s;
	if (n->alive_s >= n->dead_s)
		n->alive_s = 0;
	n->interval_s = n->alive_s; /* 0: as the NS likes */
}

/* Nor does the NS answer: it was not the NAT. */
static void excuse_nat(struct notify *n)
{
	if (!n->blamed)
		return;
	n->blamed = false;
	n->interval_s = n->interval_was_s;
	n->alive_s = n->alive_was_s;
	n->dead_s = n->dead_was_s;
}

/* connect again, later */
static void lost(struct notify *n)
{
	bool was = n->state == NOTIFY_UP;
	uint64_t pause = LOOP_MS((uint64_t)NOTIFY_RETRY_MS
				 << (n->tries < 8 ? n->tries : 8));
	uint8_t jitter;

	disconnect(n);
	/* all nodes of an NS that was away must not come at one time */
	ntmc_random(&n->w->env->crypto, &jitter, sizeof(jitter));
	if (was)
		n->tries = 0;
	else
		excuse_nat(n);
	n->tries++;
	if (n->mode == NOTIFY_AUTO && n->tries > NOTIFY_TRIES) {
		log_info("notify", "no NS is to be had here");
		n->given_up = true;
		notify_stop(n);
		loop_timer_arm(n->timer, LOOP_S(NOTIFY_AGAIN_S));
		session_reachable(n->w->session);
		return;
	}
	n->at = n->n_addrs ? (n->at + 1) % n->n_addrs : 0;
	notify_set_state(n, NOTIFY_WAITING);
	loop_timer_arm(n->timer, pause / 2 + pause * jitter / UINT8_MAX);
	if (was)
		session_reachable(n->w->session); /* by UDP, until it is back */
}

/* --- frames --------------------------------------------------------------------------- */

static bool write_out(struct notify *n, const void *buf, size_t len)
{
	return send(n->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)len;
}

static bool frame_out(struct notify *n, const Ntm__Signal *msg)
{
	uint8_t buf[FRAME_MAX];
	int len =
		frame_seal(n->node_id, n->tx++, n->aead, &n->keys.up, msg, buf);

	return len > 0 && write_out(n, buf, (size_t)len);
}

static bool send_registration(struct notify *n)
{
	Ntm__NotificationRegistration body =
		NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.interval_s = n->interval_s;
	msg.txn = 1;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &body;
	return frame_out(n, &msg);
}

static bool send_answer(struct notify *n)
{
	Ntm__KeepAliveAck body = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
	msg.keep_alive_ack = &body;
	return frame_out(n, &msg);
}

static void expect_next(struct notify *n)
{
	loop_timer_arm(n->timer, LOOP_S(n->interval_s + NOTIFY_LATE_S));
}

static void fetched(void *arg, int err, const Ntm__Signal *msg)
{
	struct notify *n = arg;

	(void)msg;
	n->fetch = 0;
	if (err)
		log_debug("notify", "the DC was not asked: %s", err_text(err));
	else
		n->fetched_ns = loop_now(n->w->loop);
}

/* The Route Directions come by themselves, behind the answer. What waits since then is
 * sent to where the DC has just heard us. */
static void fetch(struct notify *n)
{
	Ntm__RouteDirectionRequest body = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	msg.route_direction_request = &body;
	if (n->fetched_ns &&
	    loop_now(n->w->loop) - n->fetched_ns < LOOP_MS(NOTIFY_FETCH_MS))
		return;
	if (!n->fetch &&
	    session_request(n->w->session, &msg, DIRECTION_LIMIT_MS, fetched, n,
			    &n->fetch))
		log_debug("notify", "the DC cannot be asked");
}

/* a keep-alive came after the whole of the interval */
static bool survived(struct notify *n)
{
	unsigned int next = n->interval_s * 2;

	if (n->alive_s < n->interval_s)
		n->alive_s = n->interval_s;
	if (next > n->max_s)
		next = n->max_s;
	if (next <= n->interval_s || (n->dead_s && next >= n->dead_s))
		return true;
	n->interval_s = next;
	return send_registration(n);
}

static void registered(struct notify *n, const Ntm__NotificationRegistration *r)
{
	bool was = n->state == NOTIFY_UP;

	n->interval_s = r->interval_s ? r->interval_s : 1;
	n->max_s = r->interval_max_s;
	n->tries = 0;
	n->blamed = false;
	notify_set_state(n, NOTIFY_UP);
	expect_next(n);
	if (!was)
		session_quiet(n->w->session);
}

static bool dispatch(struct notify *n, const Ntm__Signal *msg)
{
	switch (msg->body_case) {
	case NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION:
		registered(n, msg->notification_registration);
		return true;
	case NTM__SIGNAL__BODY_NOTIFICATION:
		fetch(n);
		expect_next(n);
		return send_answer(n);
	case NTM__SIGNAL__BODY_KEEP_ALIVE:
		expect_next(n);
		return send_answer(n) && survived(n);
	default: /* nothing that an NS says */
		return false;
	}
}

static bool greeting(struct notify *n)
{
	struct frame_hello h = {.key_id = n->key_id, .node_id = n->node_id};
	uint8_t out[FRAME_HELLO_LEN];

	ntmc_random(&n->w->env->crypto, h.random, sizeof(h.random));
	if (frame_keys(&n->kntmns, n->buf, h.random, n->aead, &n->keys))
		return false;
	n->rx = n->tx = 0;
	n->greeted = true;
	frame_hello_put(&h, out);
	return write_out(n, out, sizeof(out)) && send_registration(n);
}

/* Return: false: it is no NS, or it ends */
static bool take_frame(struct notify *n)
{
	int len = frame_len(n->buf, n->have);
	Ntm__Signal *msg;
	bool ok;

	if (len <= 0)
		return !len;
	if (frame_open(n->node_id, n->rx++, n->aead, &n->keys.down, n->buf,
		       (size_t)len, &msg))
		return false;
	/* first: it may make us connect anew */
	n->have -= (size_t)len;
	memmove(n->buf, n->buf + len, n->have);
	ok = dispatch(n, msg);
	datagram_free(&msg->base);
	return ok;
}

static bool take(struct notify *n)
{
	size_t had = 0;

	if (!n->greeted && n->have >= FRAME_GREETING_LEN) {
		if (!greeting(n))
			return false;
		n->have -= FRAME_GREETING_LEN;
		memmove(n->buf, n->buf + FRAME_GREETING_LEN, n->have);
	}
	while (n->greeted && n->have && n->have != had) {
		had = n->have;
		if (!take_frame(n))
			return false;
	}
	return true;
}

static void ready(void *arg, int fd, unsigned int events)
{
	struct notify *n = arg;
	ssize_t got;

	(void)events;
	got = recv(fd, n->buf + n->have, sizeof(n->buf) - n->have,
		   MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		n->have += (size_t)got;
	if (got <= 0 || !take(n))
		lost(n);
}

/* --- connecting ----------------------------------------------------------------------- */

static void connect_now(struct notify *n)
{
	const struct addr *to = &n->addrs[n->at];
	int on = 1;

	disconnect(n);
	notify_set_state(n, NOTIFY_OPENING);
	n->fd = socket(to->sa.sa_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0 ||
	    (connect(n->fd, &to->sa, addr_len(to)) && errno != EINPROGRESS) ||
	    loop_io_add(n->w->loop, n->fd, LOOP_READ, false, ready, n,
			&n->io)) {
		lost(n);
		return;
	}
	(void)!setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	loop_timer_arm(n->timer, LOOP_S(NOTIFY_OPEN_S));
}

static void due(void *arg)
{
	struct notify *n = arg;

	if (n->state == NOTIFY_OFF && n->given_up) {
		n->given_up = false;
		notify_look(n);
	} else if (n->state == NOTIFY_UP) { /* it bears less than that */
		blame_nat(n);
		lost(n);
	} else if (n->state == NOTIFY_OPENING) {
		lost(n);
	} else if (n->state == NOTIFY_WAITING && n->n_addrs) {
		connect_now(n);
	}
}

/* --- events ---------------------------------------------------------------------------- */

static bool udp_is_poor(const struct notify *n)
{
	struct keepalive_status s;

	keepalive_status(n->w->keepalive, &s);
	return !n->given_up &&
	       ((s.dead_s && s.dead_s <= NOTIFY_POOR_S) || s.lost > 1);
}

Ntm__Wakeup notify_wanted(const struct notify *n)
{
	if (n->push)
		return NTM__WAKEUP__WAKEUP_PUSH;
	if (n->mode == NOTIFY_NS || n->state != NOTIFY_OFF ||
	    (n->mode == NOTIFY_AUTO && n->offered && udp_is_poor(n)))
		return NTM__WAKEUP__WAKEUP_NS;
	return NTM__WAKEUP__WAKEUP_UDP;
}

void notify_look(struct notify *n)
{
	if (n->state == NOTIFY_OFF && n->offered &&
	    notify_wanted(n) == NTM__WAKEUP__WAKEUP_NS)
		session_reachable(
			n->w->session); /* registers, and asks for it */
}

void notify_named(struct notify *n, const Ntm__RegistrationResponse *r)
{
	const Ntm__NotificationServer *s = r->ns;
	bool same;

	n->offered = r->has_ns;
	n->pushed = n->push && r->push;
	if (!s) {
		if (n->state == NOTIFY_OFF && r->has_ns)
			notify_look(n);
		return;
	}
	same = n->key_id == s->key_id && n->node_id == n->w->account->node_id &&
	       n->n_addrs;
	n->key_id = s->key_id;
	n->node_id = n->w->account->node_id;
	memcpy(n->kntmns.b, s->key.data, NTMC_KEY_LEN);
	n->aead = (uint8_t)s->aead;
	n->n_addrs = addr_list_from_messages(s->addresses, s->n_addresses,
					     n->addrs, ADDRS_MAX);
	if (n->at >= n->n_addrs)
		n->at = 0;
	if (!n->n_addrs || (same && n->state != NOTIFY_OFF))
		return;
	n->tries = 0;
	connect_now(n);
}

void notify_moved(struct notify *n)
{
	n->given_up = false;
	if (n->state == NOTIFY_OFF || !n->n_addrs)
		return;
	n->alive_s = n->dead_s = n->interval_s = 0;
	n->blamed = false;
	n->tries = 0;
	connect_now(n);
}

void notify_stop(struct notify *n)
{
	disconnect(n);
	loop_timer_disarm(n->timer);
	session_cancel(n->w->session, n->fetch);
	n->fetch = 0;
	n->n_addrs = 0;
	n->key_id = 0;
	n->alive_s = n->dead_s = n->interval_s = 0;
	n->blamed = false;
	ntmc_key_clear(&n->kntmns);
	notify_set_state(n, NOTIFY_OFF);
}

/* --- push --------------------------------------------------------------------------- */

#define PUSH_FILE "push"

int notify_set_push(struct notify *n, Ntm__PushKind kind, const char *token)
{
	Ntm__State__Push m = NTM__STATE__PUSH__INIT;
	int err = 0;

	m.kind = (uint32_t)kind;
	m.token = (char *)token;
	if (kind)
		err = statefile_save(n->w->account->state_dir, PUSH_FILE,
				     &m.base);
	else
		statefile_remove(n->w->account->state_dir, PUSH_FILE);
	if (err)
		return err;
	n->push = kind;
	n->pushed = false;
	snprintf(n->token, sizeof(n->token), "%s", token);
	if (kind) /* one of them is enough */
		notify_stop(n);
	session_reachable(n->w->session);
	return 0;
}

static void push_load(struct notify *n)
{
	ProtobufCMessage *msg;
	Ntm__State__Push *m;

	if (statefile_load(n->w->account->state_dir, PUSH_FILE,
			   &ntm__state__push__descriptor, &msg))
		return; /* none */
	m = (Ntm__State__Push *)msg;
	if (m->kind <= NTM__PUSH_KIND__PUSH_UNIFIED && *m->token) {
		n->push = (Ntm__PushKind)m->kind;
		snprintf(n->token, sizeof(n->token), "%s", m->token);
	}
	statefile_free(msg);
}

bool notify_push(const struct notify *n, Ntm__PushToken *out)
{
	if (!n->push)
		return false;
	ntm__push_token__init(out);
	out->kind = n->push;
	out->token = (char *)n->token;
	return true;
}

void notify_pushed(struct notify *n)
{
	n->fetched_ns = 0;
	if (n->w->account->logged_in)
		fetch(n);
}

bool notify_is_up(const struct notify *n)
{
	return n->state == NOTIFY_UP || n->pushed;
}

void notify_status(const struct notify *n, struct notify_status *out)
{
	out->push = n->push;
	out->pushed = n->pushed;
	out->state = n->state;
	out->interval_s = n->interval_s;
	out->alive_s = n->alive_s;
	out->dead_s = n->dead_s;
	addr_clear(&out->at);
	if (n->n_addrs)
		out->at = n->addrs[n->at];
}

int notify_new(struct worker *w, enum notify_mode mode, struct notify **out)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (!n)
		return -NTM_ENOMEM;
	n->w = w;
	n->mode = mode;
	n->fd = -1;
	if (loop_timer_new(w->loop, due, n, &n->timer)) {
		free(n);
		return -NTM_ENOMEM;
	}
	push_load(n);
	*out = n;
	return 0;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	disconnect(n);
	loop_timer_free(n->timer);
	ntmc_wipe(n, sizeof(*n));
	free(n);
}
