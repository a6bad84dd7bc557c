/* SPDX-License-Identifier: MIT */
/* ns_site - an NS beside a DC with two nodes, and connections of theirs to it */
#include "ns_site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct site site;
struct peer mn, cn;
static struct role_env env;
struct ns *ns;
struct addr ns_addr;

void ns_begin(void)
{
	int fd = site_listen(&ns_addr);

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

bool link_up(void *arg)
{
	(void)arg;
	return ns_link_is_up(ns->links[0]) && notify_usable(site.dc);
}

int setup(void **state)
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

int teardown(void **state)
{
	(void)state;
	ns_free(ns);
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

void ask_for_ns(struct line *l)
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

void get(struct line *l, uint8_t *buf, size_t n)
{
	struct until u = {l->fd, n};

	assert_true(site_wait(&site, has_bytes, &u));
	assert_int_equal(recv(l->fd, buf, n, 0), n);
}

bool has_ended(void *arg)
{
	uint8_t c;

	return recv(((struct line *)arg)->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) ==
	       0;
}

void dial(struct line *l)
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

void say(struct line *l, Ntm__Signal *msg)
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

void say_registration(struct line *l, uint32_t interval_s)
{
	Ntm__NotificationRegistration r = NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	r.interval_s = interval_s;
	msg.txn = 9;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &r;
	say(l, &msg);
}

void say_ack(struct line *l)
{
	Ntm__KeepAliveAck a = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
	msg.keep_alive_ack = &a;
	say(l, &msg);
}

int hear(struct line *l, uint32_t *interval_s)
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

void come(struct line *l)
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

void leave(struct line *l)
{
	close(l->fd);
	datagram_keys_clear(&l->keys);
}
