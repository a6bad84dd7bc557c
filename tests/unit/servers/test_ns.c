/* SPDX-License-Identifier: MIT */
/* test_ns - a whole NS beside a DC: nodes that come, strangers, silence, restarts */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/boxsock.h"
#include "servers/dc/state.h"
#include "servers/ns/state.h"
#include "peer.h"

static struct site site;
static struct peer mn, cn;
static struct role_env env;
static struct ns *ns;
static struct addr ns_addr;

static void ns_begin(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    on = 1;
	struct addr a = ns_addr;

	if (!addr_is_set(&a))
		assert_int_equal(addr_parse("127.0.0.1:0", 0, &a), 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&ss, len, &ns_addr), 0);
	site.conf.ns_port = addr_port(&ns_addr);
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	env.sockets.tcp[0] = fd;
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	assert_int_equal(ns_new(&env, &ns), 0);
}

static bool link_up(void *arg)
{
	(void)arg;
	return ns_link_is_up(ns->links[0]) && notify_usable(site.dc);
}

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	free(site.conf.ns_listen);
	site.conf.ns_listen = strdup("127.0.0.1");
	site.conf.ns_connections = 100;
	site.conf.ns_keepalive = 10;
	site.conf.ns_keepalive_max = 600;
	site.conf.dc_port = addr_port(&site.dc_addr);
	site_add_account(&site, "alice");
	peer_new(&mn, &site, "laptop");
	peer_new(&cn, &site, "desk");
	assert_int_equal(peer_login(&mn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&cn, "alice", SITE_PASSWORD), 0);
	addr_clear(&ns_addr);
	ns_begin();
	assert_true(site_wait(&site, link_up, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ns_free(ns);
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

/* struct guest_end - a node's end of its connection */
struct line {
	int fd;
	uint64_t key_id, node_id, rx, tx;
	struct ntmc_key kntmns;
	struct datagram_keys keys;
};

/* registers CN with the wish for an NS; what the DC names */
static void ask_for_ns(struct line *l)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__RegistrationResponse *r;
	const Ntm__Signal *s;
	struct addr at;

	peer_register(&cn);
	q.wakeup = NTM__WAKEUP__WAKEUP_NS;
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	datagram_pad_registration(&msg);
	s = peer_call(&cn, &msg);
	assert_non_null(s);
	r = s->registration_response;
	assert_int_equal(r->challenge.len, 0);
	assert_true(r->has_ns);
	assert_non_null(r->ns);
	assert_int_equal(r->ns->n_addresses, 1);
	assert_int_equal(addr_from_message(r->ns->addresses[0], &at), 0);
	assert_true(addr_equal(&at, &ns_addr));
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->key_id = r->ns->key_id;
	l->node_id = cn.node_id;
	memcpy(l->kntmns.b, r->ns->key.data, NTMC_KEY_LEN);
}

struct until {
	int fd;
	size_t n;
};

static bool has_bytes(void *arg)
{
	struct until *u = arg;
	uint8_t buf[FRAME_MAX];

	return recv(u->fd, buf, u->n, MSG_PEEK | MSG_DONTWAIT) >= (ssize_t)u->n;
}

static void get(struct line *l, uint8_t *buf, size_t n)
{
	struct until u = {l->fd, n};

	assert_true(site_wait(&site, has_bytes, &u));
	assert_int_equal(recv(l->fd, buf, n, 0), n);
}

static bool has_ended(void *arg)
{
	uint8_t c;

	return recv(((struct line *)arg)->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) ==
	       0;
}

static void dial(struct line *l)
{
	struct frame_hello h = {.key_id = l->key_id, .node_id = l->node_id};
	uint8_t greeting[FRAME_GREETING_LEN], out[FRAME_HELLO_LEN];

	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(l->fd >= 0);
	assert_int_equal(connect(l->fd, &ns_addr.sa, addr_len(&ns_addr)), 0);
	get(l, greeting, sizeof(greeting));
	ntmc_random(NULL, h.random, sizeof(h.random));
	assert_int_equal(frame_keys(&l->kntmns, greeting, h.random,
				    ntmc_aead_preferred(), &l->keys),
			 0);
	l->rx = l->tx = 0;
	frame_hello_put(&h, out);
	assert_int_equal(send(l->fd, out, sizeof(out), 0), sizeof(out));
}

static void say(struct line *l, Ntm__Signal *msg)
{
	uint8_t buf[FRAME_MAX];
	int n = frame_seal(l->node_id, l->tx++, l->keys.aead, &l->keys.up, msg,
			   buf);

	assert_true(n > 0);
	/* byte by byte, too: a stream has no frames */
	assert_int_equal(send(l->fd, buf, 1, 0), 1);
	assert_int_equal(loop_turn(site.loop, false), 0);
	assert_int_equal(send(l->fd, buf + 1, (size_t)n - 1, 0), n - 1);
}

static void say_registration(struct line *l, uint32_t interval_s)
{
	Ntm__NotificationRegistration r = NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	r.interval_s = interval_s;
	msg.txn = 9;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &r;
	say(l, &msg);
}

static void say_ack(struct line *l)
{
	Ntm__KeepAliveAck a = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
	msg.keep_alive_ack = &a;
	say(l, &msg);
}

/* the next frame's kind; @interval_s: of a registration's answer */
static int hear(struct line *l, uint32_t *interval_s)
{
	uint8_t buf[FRAME_MAX];
	Ntm__Signal *msg;
	int kind;
	size_t n;

	get(l, buf, 2);
	n = (size_t)buf[0] << 8 | buf[1];
	get(l, buf + 2, n);
	assert_int_equal(frame_open(l->node_id, l->rx++, l->keys.aead,
				    &l->keys.down, buf, n + 2, &msg),
			 0);
	kind = (int)msg->body_case;
	if (interval_s)
		*interval_s = msg->notification_registration->interval_s;
	datagram_free(&msg->base);
	return kind;
}

static void come(struct line *l)
{
	uint32_t s;

	ask_for_ns(l);
	dial(l);
	say_registration(l, 0);
	assert_int_equal(hear(l, &s),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_int_equal(s, 10);
	assert_int_equal(ns->n_here, 1);
	assert_int_equal(ns->n_new, 0);
}

static void leave(struct line *l)
{
	close(l->fd);
	datagram_keys_clear(&l->keys);
}

static bool has_gone(void *arg)
{
	(void)arg;
	return !ns->n_here;
}

static bool has_route(void *arg)
{
	return ((struct peer *)arg)->route_wait != NULL;
}

/* The way of a direction to who has no mapping: told by the NS, it asks from another
 * address, proves that, and gets its Route Direction. */
static void told_and_fetches(void **state)
{
	Ntm__RouteDirectionRequest q = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT, ask = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;
	struct line l;

	(void)state;
	peer_register(&mn);
	come(&l);
	peer_move(&cn); /* its mapping is gone */
	d.fqdn = cn.fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = 77;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	mn.asked = 77;
	peer_send(&mn, &msg);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	ask.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	ask.route_direction_request = &q;
	s = peer_call(&cn, &ask);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_true(cn.got_len <= cn.sent_len);
	peer_register(&cn);
	ask.txn = 0;
	s = peer_call(&cn, &ask);
	assert_non_null(s);
	assert_true(site_wait(&site, has_route, &cn));
	leave(&l);
}

static const struct boxsock_ops no_ops;

static bool has_notice(void *arg)
{
	const struct peer *p = arg;

	return p->got && p->got->body_case == NTM__SIGNAL__BODY_BOX_NOTICE;
}

/* something waits at the box for a node whose mapping is gone */
static void told_of_the_box(void **state)
{
	Ntm__RouteDirectionRequest q = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__BoxNode one = NTM__BOX_NODE__INIT, *list[1] = {&one};
	Ntm__Signal ask = NTM__SIGNAL__INIT;
	Ntm__BoxNodes nodes = NTM__BOX_NODES__INIT;
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	struct boxsock *box;
	struct line l;
	int fd;

	(void)state;
	come(&l);
	peer_move(&cn);
	assert_int_equal(boxsock_connect(site.dir, &fd), 0);
	assert_int_equal(boxsock_new(site.loop, fd, &no_ops, NULL, &box), 0);
	one.fqdn = cn.fqdn;
	one.serial = 12;
	nodes.n_nodes = 1;
	nodes.nodes = list;
	msg.body_case = NTM__BOX_LINK__BODY_NODES;
	msg.nodes = &nodes;
	assert_int_equal(boxsock_send(box, &msg), 0);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	peer_register(&cn);
	ask.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	ask.route_direction_request = &q;
	assert_non_null(peer_call(&cn, &ask));
	assert_true(site_wait(&site, has_notice, &cn));
	assert_int_equal(cn.got->box_notice->serial, 12);
	boxsock_close(box);
	leave(&l);
}

static void strangers(void **state)
{
	struct line l, other;
	uint8_t junk[64] = {0};

	(void)state;
	come(&l);
	/* a key that nobody has given */
	other = l;
	other.key_id++;
	dial(&other);
	assert_true(site_wait(&site, has_ended, &other));
	close(other.fd);
	/* the right key id, another node's name */
	other = l;
	other.node_id++;
	dial(&other);
	say_registration(&other, 0);
	assert_true(site_wait(&site, has_ended, &other));
	close(other.fd);
	/* what was said on another connection */
	other = l;
	dial(&other);
	other.keys = l.keys;
	say_registration(&other, 0);
	assert_true(site_wait(&site, has_ended, &other));
	close(other.fd);
	/* nothing but noise */
	dial(&other);
	assert_int_equal(send(other.fd, junk, sizeof(junk), 0), sizeof(junk));
	assert_true(site_wait(&site, has_ended, &other));
	close(other.fd);
	/* nobody: it might say hello for ever */
	other.node_id = 0;
	dial(&other);
	assert_true(site_wait(&site, has_ended, &other));
	close(other.fd);
	assert_int_equal(ns->n_here, 1); /* who was here, is */
	assert_int_equal(guest_notify(ns, 0, l.node_id), 0);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	assert_int_equal(guest_notify(ns, 0, l.node_id + 1), -NTM_EOFFLINE);
	leave(&l);
}

static bool all_refused(void *arg)
{
	(void)arg;
	return ns->stats.refused >= 4;
}

static void many_strangers(void **state)
{
	int fds[NS_STRANGERS_IP + 4];

	(void)state;
	for (size_t i = 0; i < NS_STRANGERS_IP + 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(fds[i], &ns_addr.sa, addr_len(&ns_addr)), 0);
	}
	assert_true(site_wait(&site, all_refused, NULL));
	assert_int_equal(ns->n_new, NS_STRANGERS_IP);
	for (size_t i = 0; i < NS_STRANGERS_IP + 4; i++)
		close(fds[i]);
}

/* A flood of strangers takes places from one another, not from nodes that come. */
static void strangers_make_room(void **state)
{
	struct line l, flood[6];

	(void)state;
	ns->strangers_max = 4;
	for (size_t i = 0; i < 6; i++) {
		uint8_t greeting[FRAME_GREETING_LEN];

		flood[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(flood[i].fd, &ns_addr.sa, addr_len(&ns_addr)),
			0);
		get(&flood[i], greeting, sizeof(greeting));
	}
	assert_int_equal(ns->n_new, 4);
	assert_int_equal(ns->stats.evicted, 2);
	assert_true(site_wait(&site, has_ended, &flood[0]));
	assert_true(site_wait(&site, has_ended, &flood[1]));
	ask_for_ns(&l);
	dial(&l);
	say_registration(&l, 0);
	assert_int_equal(hear(&l, NULL),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_true(site_wait(&site, has_ended, &flood[2]));
	assert_int_equal(ns->n_here, 1);
	assert_int_equal(ns->n_new, 3);
	for (size_t i = 0; i < 6; i++)
		close(flood[i].fd);
	leave(&l);
}

/* A node that says far more than a node has to say. */
static void talks_too_much(void **state)
{
	struct line l;

	(void)state;
	come(&l);
	for (int i = 0; i < NS_FRAMES_S; i++)
		say_ack(&l);
	assert_true(site_wait(&site, has_ended, &l));
	assert_int_equal(ns->n_here, 0);
	leave(&l);
}

/* as the clock would do it */
static void pass(uint32_t s)
{
	for (uint32_t h = 1; h <= ns->guests.top; h++) {
		struct guest *g = slab_at(&ns->guests, h);

		if (g->state != GUEST_FREE)
			g->due_s = g->due_s > s ? g->due_s - s : 0;
	}
	for (int i = 0; i < NS_SLICES; i++)
		guests_sweep(ns);
}

static bool has_answered(void *arg)
{
	const struct line *l = arg;

	for (uint32_t h = 1; h <= ns->guests.top; h++) {
		const struct guest *g = slab_at(&ns->guests, h);

		if (g->state == GUEST_HERE && g->node_id == l->node_id)
			return true;
	}
	return false;
}

static void keeps_alive(void **state)
{
	struct line l;

	(void)state;
	come(&l);
	pass(8);
	assert_int_equal(ns->stats.keepalives, 0);
	pass(3);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_KEEP_ALIVE);
	say_ack(&l);
	assert_true(site_wait(&site, has_answered, &l));
	pass(8);
	assert_int_equal(ns->n_here, 1);
	pass(3);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_KEEP_ALIVE);
	pass(NS_ANSWER_S + 1); /* it does not answer */
	assert_int_equal(ns->n_here, 0);
	assert_true(site_wait(&site, has_ended, &l));
	leave(&l);
}

/* The second connection of a node takes the place of its first. */
static void comes_again(void **state)
{
	struct line l, again;
	uint32_t s;

	(void)state;
	come(&l);
	again = l;
	dial(&again);
	say_registration(&again, 5000);
	assert_int_equal(hear(&again, &s),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_int_equal(s, 600); /* the longest there is */
	assert_true(site_wait(&site, has_ended, &l));
	assert_int_equal(ns->n_here, 1);
	leave(&l);
	leave(&again);
}

/* The NS is new, the node's key of before is good; the DC is new: all are told. */
static void restarts(void **state)
{
	struct line l;
	uint32_t s;

	(void)state;
	come(&l);
	ns_free(ns);
	assert_true(site_wait(&site, has_ended, &l));
	close(l.fd);
	ns_begin();
	assert_true(site_wait(&site, link_up, NULL));
	dial(&l);
	say_registration(&l, 60);
	assert_int_equal(hear(&l, &s),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_int_equal(s, 60);
	site_stop_dc(&site);
	site_start_dc(&site);
	assert_true(site_wait(&site, link_up, NULL));
	pass(0);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	assert_int_equal(ns->n_here, 1);
	leave(&l);
}

static void direct(struct peer *p, struct peer *to)
{
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	d.fqdn = to->fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = 78;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	p->asked = 78;
	peer_send(p, &msg);
}

static bool has_answer(void *arg)
{
	const struct peer *p = arg;

	return p->got && p->got->txn == p->asked;
}

/* The NS lacks it: nobody waits for it as for one that is woken. */
static void absent(void **state)
{
	struct line l;
	uint64_t start;

	(void)state;
	peer_register(&mn);
	come(&l);
	leave(&l);
	assert_true(site_wait(&site, has_gone, NULL));
	cn.silent = true;
	start = loop_now_exact(site.loop);
	direct(&mn, &cn);
	assert_true(site_wait(&site, has_answer, &mn));
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ACK);
	assert_int_equal(mn.got->ack->code, NTM_EOFFLINE);
	assert_true(loop_now_exact(site.loop) - start < LOOP_MS(2500));
	assert_int_equal(site.dc->notify->absent, 1);
}

static bool told_twice(void *arg)
{
	struct line *l = arg;

	return ns->stats.notified >= 2 || has_ended(l);
}

/* What a withdrawal means to nodes that an NS keeps: who met the withdrawn one is
 * woken; it itself loses its connection, and comes no more. */
static void withdrawn(void **state)
{
	struct line l, again;
	struct peer bob;

	(void)state;
	site_add_account(&site, "bob");
	peer_new(&bob, &site, "phone");
	assert_int_equal(peer_login(&bob, "bob", SITE_PASSWORD), 0);
	peer_register(&bob);
	come(&l);
	direct(&bob, &cn);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	assert_true(site_wait(&site, has_route, &cn));
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, told_twice, &l));
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	assert_int_equal(ns->n_here, 1);
	site_admin(&site, "device-revoke", cn.fqdn);
	/* woken first, to hear why */
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	assert_true(site_wait(&site, has_ended, &l));
	assert_int_equal(ns->n_here, 0);
	again = l;
	dial(&again);
	say_registration(&again, 0);
	assert_true(site_wait(&site, has_ended, &again));
	assert_int_equal(ns->n_here, 0);
	close(again.fd);
	leave(&l);
	peer_free(&bob);
}

/* An NS that says every moment that it is full, and that it is not. */
static void fickle(void **state)
{
	Ntm__NotifierRegistration q = NTM__NOTIFIER_REGISTRATION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct notifier *s = &site.dc->notify->list[0];
	uint8_t change = site.dc->relays_change;
	Ntm__Address a, *list = &a;

	(void)state;
	addr_to_message(&ns_addr, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a);
	q.n_addresses = 1;
	q.addresses = &list;
	msg.body_case = NTM__ENVELOPE__BODY_NOTIFIER_REGISTRATION;
	msg.notifier_registration = &q;
	for (uint32_t i = 0; i < 20; i++) {
		q.room = i % 2 ? 100 : 0;
		assert_true(notify_link_message(site.dc, s->channel, &msg));
	}
	assert_int_equal(site.dc->relays_change, change);
	notify_sweep(site.dc, loop_now(site.loop));
	assert_int_equal(site.dc->relays_change, change);
	notify_sweep(site.dc, loop_now(site.loop) + LOOP_S(NOTIFIER_NEWS_S));
	assert_int_equal(site.dc->relays_change, (uint8_t)(change + 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(told_and_fetches), T(told_of_the_box),     T(strangers),
		T(many_strangers),   T(keeps_alive),	     T(comes_again),
		T(restarts),	     T(strangers_make_room), T(talks_too_much),
		T(absent),	     T(withdrawn),	     T(fickle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
