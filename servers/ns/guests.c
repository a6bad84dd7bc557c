/* SPDX-License-Identifier: MIT */
/*
 * guests - nodes' connections: greeting, registration, keep-alive, notification
 *
 * Theory of operation
 *
 * Written for 100,000 idle connections: a place in a slab and a socket each, no timer,
 * no buffer. What is sent is a small frame now and then; a socket that does not take
 * it at once has a dead peer, and is closed. A sweep looks at all within a second, in
 * NS_SLICES parts: those who came at one time are due at one time, too.
 *
 * A connection begins with our random greeting; the node answers with its hello and a
 * sealed registration, under keys of both random numbers, so nothing recorded earlier
 * is worth anything. A second connection of a node takes the place of its first.
 *
 * It is we who write the keep-alives, at the interval that the node wants: what comes
 * in to it proves that its NAT still has the mapping, and it answers. Whoever does not
 * within NS_ANSWER_S is gone.
 *
 * Strangers, who have not registered, are bounded in number, in time, and by where
 * they come from. What they send costs one key derivation and one AEAD check. When
 * there is no place for another one the oldest goes: a node registers within a round
 * trip, so a flood does not keep it out unless it fills all places in that time.
 *
 * Whoever the DC has dropped does not come again: its key is derived, so it has it
 * until the DC's own one ends. The last NS_DROPPED of them are remembered.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/ns/state.h"

static uint64_t guest_hash(const void *owner, uint32_t h)
{
	const struct ns *ns = owner;

	return ((const struct guest *)slab_at(&ns->guests, h))->node_id;
}

static struct guest *guest_at(const struct ns *ns, uint32_t h)
{
	return slab_at(&ns->guests, h);
}

static struct guest *guest_find(const struct ns *ns, uint64_t node_id)
{
	uint32_t at, h = index_first(&ns->by_node, node_id, &at);

	while (h && guest_at(ns, h)->node_id != node_id)
		h = index_next(&ns->by_node, &at);
	return h ? guest_at(ns, h) : NULL;
}

/* --- strangers, in the order in which they came --------------------------------- */

static void stranger_add(struct guest *g)
{
	struct ns *ns = g->ns;

	chain_append(&ns->waiting, &ns->guests, g->handle);
	ns->n_new++;
	ns->strangers[g->bucket]++;
}

static void stranger_del(struct guest *g)
{
	struct ns *ns = g->ns;

	chain_remove(&ns->waiting, &ns->guests, g->handle);
	ns->n_new--;
	ns->strangers[g->bucket]--;
}

static void guest_end(struct guest *g)
{
	struct ns *ns = g->ns;

	if (g->state == GUEST_NEW) {
		stranger_del(g);
	} else {
		ns->n_here--;
		index_del(&ns->by_node, g->handle);
	}
	loop_io_del(g->io);
	close(g->fd);
	free(g->part);
	g->state = GUEST_FREE;
	slab_del(&ns->guests, g->handle); /* wipes it */
}

/* --- sending ------------------------------------------------------------------ */

static bool guest_write(struct guest *g, const void *buf, size_t len)
{
	if (send(g->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return true;
	guest_end(g);
	return false;
}

/* Return: false: @g is gone */
static bool guest_send(struct guest *g, Ntm__Signal *msg)
{
	uint8_t buf[FRAME_MAX];
	int n = frame_seal(g->node_id, g->tx++, g->aead, &g->down, msg, buf);

	if (n < 0) {
		guest_end(g);
		return false;
	}
	return guest_write(g, buf, (size_t)n);
}

/* something to which it answers */
static bool guest_ask(struct guest *g, Ntm__Signal *msg)
{
	g->state = GUEST_ASKED;
	g->due_s = ns_now_s(g->ns) + NS_ANSWER_S;
	return guest_send(g, msg);
}

static bool send_notification(struct guest *g)
{
	Ntm__Notification body = NTM__NOTIFICATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION;
	msg.notification = &body;
	return guest_ask(g, &msg);
}

static bool send_keep_alive(struct guest *g)
{
	Ntm__KeepAlive body = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	g->ns->stats.keepalives++;
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &body;
	return guest_ask(g, &msg);
}

/* --- receiving ------------------------------------------------------------------ */

static void guest_rest(struct guest *g)
{
	g->state = GUEST_HERE;
	g->due_s = ns_now_s(g->ns) + g->interval_s;
}

static bool register_as(struct guest *g)
{
	struct ns *ns = g->ns;
	struct guest *before = guest_find(ns, g->node_id);

	if (before)
		guest_end(before);
	if (ns->n_here == ns->room) {
		ns->stats.refused++;
		return false;
	}
	if (index_add(&ns->by_node, g->handle))
		return false;
	stranger_del(g);
	ns->n_here++;
	ns->stats.registered++;
	g->state = GUEST_HERE;
	return true;
}

/* its interval, and what we make of it */
static bool on_registration(struct guest *g, uint32_t txn,
			    const Ntm__NotificationRegistration *q)
{
	const struct server_conf *c = g->ns->conf;
	Ntm__NotificationRegistration body =
		NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint32_t s = q->interval_s ? q->interval_s : c->ns_keepalive;

	if (g->state == GUEST_NEW && !register_as(g)) {
		guest_end(g);
		return false;
	}
	if (s > c->ns_keepalive_max)
		s = c->ns_keepalive_max;
	if (s < c->ns_keepalive && s < NS_REGISTER_S)
		s = NS_REGISTER_S;
	g->interval_s = (uint16_t)s;
	guest_rest(g);
	body.interval_s = s;
	body.interval_max_s = c->ns_keepalive_max;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &body;
	return guest_send(g, &msg);
}

/* Return: false: it is gone */
static bool dispatch(struct guest *g, const Ntm__Signal *msg)
{
	if (msg->body_case == NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION)
		return on_registration(g, msg->txn,
				       msg->notification_registration);
	if (msg->body_case == NTM__SIGNAL__BODY_KEEP_ALIVE_ACK &&
	    g->state != GUEST_NEW) {
		guest_rest(g);
		return true;
	}
	g->ns->stats.bad++;
	guest_end(g);
	return false;
}

static bool is_dropped(const struct ns *ns, uint64_t node_id)
{
	for (size_t i = 0; i < NS_DROPPED; i++)
		if (ns->dropped[i] == node_id) /* no Node ID is 0 */
			return true;
	return false;
}

static bool take_hello(struct guest *g, const uint8_t *buf)
{
	struct frame_hello hello;
	struct datagram_keys keys;
	struct ntmc_key kntmns;
	int r;

	frame_hello_get(buf, &hello);
	r = is_dropped(g->ns, hello.node_id)
		    ? -NTM_ENOTFOUND
		    : ns_link_key(g->ns, hello.key_id, hello.node_id, &kntmns,
				  &g->aead, &g->link);
	if (!r) {
		r = frame_keys(&kntmns, g->greeting, hello.random, g->aead,
			       &keys);
		ntmc_key_clear(&kntmns);
	}
	if (r) {
		g->ns->stats.unknown++;
		guest_end(g);
		return false;
	}
	g->node_id = hello.node_id;
	g->up = keys.up;
	g->down = keys.down;
	datagram_keys_clear(&keys);
	return true;
}

/* Return: bytes taken of @buf; 0: more must come; -1: it is gone */
static int take_one(struct guest *g, uint8_t *buf, size_t len)
{
	Ntm__Signal *msg;
	bool here;
	int n;

	if (!g->node_id) {
		if (len < FRAME_HELLO_LEN)
			return 0;
		return take_hello(g, buf) ? FRAME_HELLO_LEN : -1;
	}
	n = frame_len(buf, len);
	if (!n)
		return 0;
	if (n < 0 || g->said++ == NS_FRAMES_S ||
	    frame_open(g->node_id, g->rx, g->aead, &g->up, buf, (size_t)n,
		       &msg)) {
		g->ns->stats.bad++;
		guest_end(g);
		return -1;
	}
	g->rx++;
	here = dispatch(g, msg);
	datagram_free(&msg->base);
	return here ? n : -1;
}

static void keep_part(struct guest *g, const uint8_t *buf, size_t len)
{
	uint8_t *part = len ? malloc(FRAME_MAX) : NULL;

	if (part)
		memcpy(part, buf, len);
	free(g->part);
	g->part = part;
	g->part_len = (uint16_t)len;
	if (len && !part)
		guest_end(g);
}

static void readable(void *arg, int fd, unsigned int events)
{
	struct guest *g = arg;
	uint8_t buf[2 * FRAME_MAX];
	size_t have = g->part_len, at = 0;
	ssize_t got;
	int n;

	(void)events;
	if (have)
		memcpy(buf, g->part, have);
	got = recv(fd, buf + have, sizeof(buf) - have, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		guest_end(g);
		return;
	}
	have += (size_t)got;
	while (at < have) {
		n = take_one(g, buf + at, have - at);
		if (n < 0)
			return;
		if (!n)
			break;
		at += (size_t)n;
	}
	keep_part(g, buf + at, have - at);
}

/* --- coming -------------------------------------------------------------------------- */

/* whom a stranger counts against */
static uint16_t bucket_of(const struct ns *ns, const struct addr *from)
{
	size_t len;
	const uint8_t *ip = addr_ip(from, &len);

	return (uint16_t)(keyhash(&ns->hash, ip, len == 4 ? 3 : 7) %
			  NS_BUCKETS);
}

static void set_options(int fd)
{
	int on = 1, ms = NS_ANSWER_S * 1000, small = 4096;

	/* best effort, each: without them it is only slower to notice */
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	(void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

void guest_new(struct ns *ns, int fd, const struct addr *from)
{
	uint16_t bucket = bucket_of(ns, from);
	struct guest *g;
	uint32_t h = 0;

	ns->stats.accepted++;
	if (ns->strangers[bucket] < NS_STRANGERS_IP) {
		if (ns->n_new == ns->strangers_max) {
			ns->stats.evicted++;
			guest_end(guest_at(ns, ns->waiting.head));
		}
		h = slab_add(&ns->guests);
	}
	if (!h) {
		ns->stats.refused++;
		close(fd);
		return;
	}
	g = guest_at(ns, h);
	g->handle = h;
	g->ns = ns;
	g->fd = fd;
	if (loop_io_add(ns->loop, fd, LOOP_READ, false, readable, g, &g->io)) {
		slab_del(&ns->guests, h);
		ns->stats.refused++;
		close(fd);
		return;
	}
	set_options(fd);
	g->state = GUEST_NEW;
	g->bucket = bucket;
	g->due_s = ns_now_s(ns) + NS_REGISTER_S;
	stranger_add(g);
	ntmc_random(NULL, g->greeting, sizeof(g->greeting));
	guest_write(g, g->greeting, sizeof(g->greeting));
}

/* --- the clock, and the DC's words ------------------------------------------------------ */

void guests_sweep(struct ns *ns)
{
	uint32_t now = ns_now_s(ns), calls = 0;

	ns->slice = ns->slice % NS_SLICES + 1;
	for (uint32_t h = ns->slice; h <= ns->guests.top; h += NS_SLICES) {
		struct guest *g = guest_at(ns, h);

		if (g->state == GUEST_FREE)
			continue;
		if (g->said)
			g->said = 0;
		if (g->state == GUEST_HERE && g->to_call &&
		    calls++ < NS_CALLS_S / NS_SLICES) {
			g->to_call = false;
			send_notification(g);
			continue;
		}
		if (now < g->due_s)
			continue;
		if (g->state == GUEST_HERE) {
			send_keep_alive(g);
			continue;
		}
		ns->stats.silent += g->state == GUEST_ASKED;
		guest_end(g);
	}
}

int guest_notify(struct ns *ns, unsigned int link, uint64_t node_id)
{
	struct guest *g = guest_find(ns, node_id);

	if (!g || g->link != link || !send_notification(g)) {
		ns->stats.absent++;
		return -NTM_EOFFLINE;
	}
	ns->stats.notified++;
	return 0;
}

void guest_drop(struct ns *ns, unsigned int link, uint64_t node_id)
{
	struct guest *g = guest_find(ns, node_id);

	if (g && g->link != link)
		return;
	ns->dropped[ns->n_dropped++ % NS_DROPPED] = node_id;
	ns->stats.dropped++;
	if (g)
		guest_end(g);
}

void guests_call(struct ns *ns, unsigned int link)
{
	for (uint32_t h = 1; h <= ns->guests.top; h++) {
		struct guest *g = guest_at(ns, h);

		if (g->state != GUEST_FREE && g->state != GUEST_NEW &&
		    g->link == link)
			g->to_call = true;
	}
}

int guests_init(struct ns *ns)
{
	keyhash_init(&ns->hash);
	slab_init(&ns->guests, sizeof(struct guest),
		  ns->room + ns->strangers_max);
	index_init(&ns->by_node, guest_hash, ns);
	return 0;
}

void guests_clear(struct ns *ns)
{
	for (uint32_t h = 1; h <= ns->guests.top; h++)
		if (guest_at(ns, h)->state != GUEST_FREE)
			guest_end(guest_at(ns, h));
	slab_clear(&ns->guests);
	index_clear(&ns->by_node);
}
