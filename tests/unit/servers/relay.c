/* SPDX-License-Identifier: MIT */
/* relay - an RS, a DC played by the test, and ends of paths, in one test process */
#include "relay.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keysharing.h"
#include "common/log.h"
#include "servers/cli.h"
#include "servers/sockets.h"
#include "peer.h"

#define WAIT_MS 10000
#define NO_ACK	9999

/* --- clock and waiting ---------------------------------------------------------- */

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t mono(void *arg)
{
	struct relay *r = arg;

	return real_ns() + r->offset_ns;
}

static int64_t wall(void *arg)
{
	struct relay *r = arg;

	return (int64_t)time(NULL) + (int64_t)(r->offset_ns / 1000000000u);
}

bool relay_wait(struct relay *r, bool (*cond)(void *), void *arg)
{
	uint64_t end = real_ns() + WAIT_MS * UINT64_C(1000000);

	while (!cond(arg)) {
		if (real_ns() > end)
			return false;
		assert_int_equal(loop_turn(r->loop, false), 0);
		poll(NULL, 0,
		     1); /* the loop's clock is ours: nothing wakes it */
	}
	return true;
}

struct number {
	struct relay *r;
	const char *key;
	long long n;
};

static bool counts(void *arg)
{
	struct number *n = arg;

	return relay_number(n->r, n->key) >= n->n;
}

bool relay_counts(struct relay *r, const char *key, long long n)
{
	struct number want = {r, key, n};

	return relay_wait(r, counts, &want);
}

long long relay_number(struct relay *r, const char *key)
{
	json_t *st = rs_admin(r->rs, "status", NULL);
	json_t *v = json_object_get(st, key);
	long long n = json_is_true(v) ? 1 : json_integer_value(v);

	assert_non_null(v);
	json_decref(st);
	return n;
}

/* registrations follow the clock: one after the jump shows that it was seen */
static bool registered_since(void *arg)
{
	struct number *n = arg;

	return n->r->n_registrations > (unsigned int)n->n;
}

void relay_later(struct relay *r, unsigned int seconds)
{
	struct number n = {r, NULL, r->n_registrations};

	r->offset_ns += LOOP_S(seconds);
	assert_true(relay_wait(r, registered_since, &n));
	/* and the sweep has been round */
	for (unsigned int i = 0; i < 20; i++) {
		r->offset_ns += LOOP_MS(250);
		assert_int_equal(loop_turn(r->loop, false), 0);
	}
}

/* --- the DC: Signals --------------------------------------------------------------- */

static void dc_send(struct relay *r, const Ntm__Signal *msg)
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = r->id, .counter = r->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n = datagram_seal(&h, r->keys.aead, &r->keys.down, &msg->base, buf);

	assert_true(n > 0);
	assert_int_equal(
		sendto(r->fd, buf, (size_t)n, 0, &r->at4.sa, addr_len(&r->at4)),
		n);
}

static void on_registration(struct relay *r, Ntm__Signal *msg)
{
	Ntm__RelayRegistrationAck ack = NTM__RELAY_REGISTRATION_ACK__INIT;
	Ntm__Signal answer = NTM__SIGNAL__INIT;

	if (r->registration)
		datagram_free(&r->registration->base);
	r->registration = msg;
	r->n_registrations++;
	ack.boot = 1;
	answer.txn = msg->txn;
	answer.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK;
	answer.relay_registration_ack = &ack;
	if (!r->deaf)
		dc_send(r, &answer);
}

static void on_signal(void *arg, int fd, unsigned int events)
{
	struct relay *r = arg;
	struct packet_header h;
	ProtobufCMessage *base;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t buf[2048];
	Ntm__Signal *msg;
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &from_len);

	(void)events;
	if (n < 0 || packet_header_get(buf, (size_t)n, &h) || h.id != r->id ||
	    datagram_open(&h, r->keys.aead, &r->keys.up, buf, (size_t)n,
			  &ntm__signal__descriptor, &base))
		return;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&from, from_len,
					    &r->rs_from),
			 0);
	msg = (Ntm__Signal *)base;
	if (msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION) {
		on_registration(r, msg);
		return;
	}
	assert_int_equal(msg->body_case, NTM__SIGNAL__BODY_ACK);
	if (r->got)
		datagram_free(&r->got->base);
	r->got = msg;
}

static bool has_ack(void *arg)
{
	struct relay *r = arg;

	return r->got && r->got->txn == r->txn;
}

uint32_t relay_tell(struct relay *r, Ntm__Signal *msg)
{
	msg->txn = ++r->txn;
	dc_send(r, msg);
	if (!relay_wait(r, has_ack, r))
		return NO_ACK;
	return r->got->ack->code;
}

static void set_end(Ntm__RelayEnd *e, const char *account, const char *proven,
		    struct addr *room)
{
	const uint8_t *ip;
	size_t len;

	ntm__relay_end__init(e);
	e->account = (char *)account;
	if (!proven)
		return;
	assert_int_equal(addr_parse(proven, 1, room), 0);
	ip = addr_ip(room, &len);
	e->proven = (ProtobufCBinaryData){len, (uint8_t *)ip};
}

uint32_t relay_direct(struct relay *r, uint64_t path_id,
		      const struct ntmc_key *kpunch, const char *proven_mn,
		      const char *proven_cn)
{
	Ntm__RelayDirection d = NTM__RELAY_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RelayEnd mn, cn;
	struct addr a, b;

	set_end(&mn, "alice", proven_mn, &a);
	set_end(&cn, "bob", proven_cn, &b);
	d.path_id = path_id;
	d.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)kpunch->b};
	d.aead = NTMC_AES_256_GCM;
	d.mn = &mn;
	d.cn = &cn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = &d;
	return relay_tell(r, &msg);
}

/* --- the DC: the channel -------------------------------------------------------------- */

void relay_share_key(struct relay *r)
{
	struct keysharing k = {.key = &r->key,
			       .aead = NTMC_AES_256_GCM,
			       .lifetime_s = 7 * 86400};

	ntmc_random(NULL, &r->id, sizeof(r->id));
	ntmc_key_random(NULL, &r->key);
	assert_int_equal(
		datagram_relay_keys(&r->key, r->id, NTMC_AES_256_GCM, &r->keys),
		0);
	r->key_acked = false;
	k.id = r->id;
	k.txn = ++r->txn;
	assert_int_equal(keysharing_send(r->link, &k), 0);
}

static void dc_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct relay *r = arg;

	assert_non_null(peer);
	assert_int_equal(peer->kind, NTMC_CERT_SERVER);
	assert_int_equal(peer->roles, NTMC_ROLE_RS);
	r->link = c;
	r->n_links++;
	channel_set_idle(c, 0);
	if (r->share)
		relay_share_key(r);
}

static void dc_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct relay *r = arg;

	(void)c;
	assert_int_equal(msg->body_case, NTM__ENVELOPE__BODY_ACK);
	r->key_acked = true;
	r->key_code = msg->ack->code;
}

static void dc_closed(struct channel *c, int err, void *arg)
{
	struct relay *r = arg;

	(void)err;
	if (r->link == c)
		r->link = NULL;
}

static const struct channel_ops dc_ops = {
	.open = dc_open, .message = dc_message, .closed = dc_closed};

/* --- start and stop ---------------------------------------------------------------------- */

static int bound(int type, unsigned int port)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    one = 1;

	in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&in4, sizeof(in4)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void dc_start(struct relay *r)
{
	unsigned int port = site_free_port();

	snprintf(r->dc_text, sizeof(r->dc_text), "127.0.0.1:%u", port);
	r->fd = bound(SOCK_DGRAM, port);
	assert_int_equal(loop_io_add(r->loop, r->fd, LOOP_READ, false,
				     on_signal, r, &r->io),
			 0);
	assert_int_equal(servercert_load(r->dir, "dc", &r->cert), 0);
	assert_int_equal(channel_listen_take(r->loop, r->cert.tls,
					     bound(SOCK_STREAM, port), &dc_ops,
					     r, &r->listener),
			 0);
	r->share = true;
}

static void init_folder(struct relay *r)
{
	struct cli c = {.domain = SITE_DOMAIN, .user = "root"};
	int null = open("/dev/null", O_WRONLY), saved = dup(STDOUT_FILENO);

	strcpy(r->dir, "/tmp/ntm-relay-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	strcpy(c.dir, r->dir);
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	assert_int_equal(cli_init(&c), 0);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(null);
}

void relay_new(struct relay *r)
{
	char path[128], error[SERVERCONF_ERROR_LEN];

	log_set_level(getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR);
	memset(r, 0, sizeof(*r));
	init_folder(r);
	snprintf(path, sizeof(path), "%s/ntm-server.conf", r->dir);
	assert_int_equal(serverconf_load(path, &r->conf, error), 0);
	assert_int_equal(loop_new(&r->loop), 0);
	loop_set_clock(r->loop, mono, wall, r);
	dc_start(r);
	r->conf.rs_port = site_free_port();
	r->conf.rs_other_port = site_free_port();
	free(r->conf.rs_listen);
	r->conf.rs_listen = strdup("127.0.0.1, ::1");
	r->conf.rs_dc = strdup(r->dc_text);
	r->conf.rs_threads = 2;
	r->conf.rs_paths = 64;
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)r->conf.rs_port, &r->at4), 0);
	assert_int_equal(addr_parse("::1", (uint16_t)r->conf.rs_port, &r->at6),
			 0);
}

static bool is_up(void *arg)
{
	struct relay *r = arg;

	return r->n_registrations && relay_number(r, "links_up") == 1;
}

void relay_start(struct relay *r)
{
	char error[SOCKETS_ERROR_LEN];

	r->env.loop = r->loop;
	r->env.dir = r->dir;
	r->env.conf = &r->conf;
	if (sockets_bind(role_find("rs"), &r->conf, r->dir, &r->env.sockets,
			 error))
		fail_msg("%s", error);
	close(r->env.sockets.admin);
	r->env.sockets.admin = -1;
	assert_int_equal(rs_new(&r->env, &r->rs), 0);
	assert_true(relay_wait(r, is_up, r));
}

void relay_stop(struct relay *r)
{
	rs_free(r->rs);
	r->rs = NULL;
	assert_int_equal(loop_turn(r->loop, false), 0);
}

void relay_free(struct relay *r)
{
	char command[128];

	if (r->rs)
		relay_stop(r);
	channel_listener_close(r->listener);
	loop_io_del(r->io);
	assert_int_equal(loop_turn(r->loop, false), 0);
	loop_free(r->loop);
	servercert_clear(&r->cert);
	close(r->fd);
	if (r->got)
		datagram_free(&r->got->base);
	if (r->registration)
		datagram_free(&r->registration->base);
	serverconf_clear(&r->conf);
	snprintf(command, sizeof(command), "rm -rf %s", r->dir);
	assert_int_equal(system(command), 0);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void end_open(struct end *e)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	e->fd = socket(e->rs.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(e->fd >= 0);
	assert_int_equal(connect(e->fd, &e->rs.sa, addr_len(&e->rs)), 0);
	assert_int_equal(getsockname(e->fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&ss, len, &e->self), 0);
}

void end_new(struct end *e, struct relay *r, int family, uint64_t id,
	     const struct ntmc_key *kpunch)
{
	memset(e, 0, sizeof(*e));
	e->relay = r;
	e->rs = family == AF_INET ? r->at4 : r->at6;
	e->id = id;
	e->sent_ms = 1000;
	assert_int_equal(
		datagram_punch_keys(kpunch, id, NTMC_AES_256_GCM, &e->keys), 0);
	end_open(e);
}

void end_free(struct end *e)
{
	close(e->fd);
}

void end_move(struct end *e)
{
	int old = e->fd;

	end_open(e); /* first, or the kernel may give the same port again */
	close(old);
}

void end_send_punch(struct end *e, bool cookie, bool leave, size_t padding)
{
	static uint8_t zeros[PACKET_SIGNAL_MAX];
	struct packet_header h = {.type = PACKET_HOLE_PUNCH, .id = e->id};
	Ntm__HolePunch q = NTM__HOLE_PUNCH__INIT;
	int n;

	q.sent_ms = ++e->sent_ms;
	if (cookie)
		q.cookie = (ProtobufCBinaryData){16, e->cookie};
	q.leave = leave;
	q.padding = (ProtobufCBinaryData){padding, zeros};
	ntmc_random(NULL, &h.counter, sizeof(h.counter));
	n = datagram_seal(&h, NTMC_AES_256_GCM, &e->keys.up, &q.base, e->punch);
	assert_true(n > 0);
	e->punch_len = (size_t)n;
	assert_int_equal(send(e->fd, e->punch, e->punch_len, 0), n);
}

bool end_take_ack(struct end *e)
{
	struct packet_header h;
	ProtobufCMessage *base;
	uint8_t buf[2048];
	size_t n = end_receive(e, buf, 2000);
	Ntm__HolePunchAck *ack;

	if (!n)
		return false;
	assert_int_equal(packet_header_get(buf, n, &h), 0);
	assert_int_equal(h.type, PACKET_HOLE_PUNCH_ACK);
	assert_int_equal(h.id, e->id);
	assert_int_equal(datagram_open(&h, NTMC_AES_256_GCM, &e->keys.down, buf,
				       n, &ntm__hole_punch_ack__descriptor,
				       &base),
			 0);
	ack = (Ntm__HolePunchAck *)base;
	assert_int_equal(ack->sent_ms, e->sent_ms);
	e->ack_len = n;
	e->bound = ack->bound;
	e->echo = ack->echo;
	e->peer_bound = ack->peer_bound;
	e->peer_code = ack->peer_code;
	e->code = ack->code;
	e->has_cookie = ack->cookie.len == 16;
	if (e->has_cookie)
		memcpy(e->cookie, ack->cookie.data, 16);
	assert_int_equal(addr_from_message(ack->observed, &e->observed), 0);
	assert_int_equal(ack->lifetime_s, 60);
	datagram_free(base);
	return true;
}

bool end_punch(struct end *e, bool cookie)
{
	end_send_punch(e, cookie, false, 100);
	return end_take_ack(e);
}

void end_bind(struct end *e)
{
	assert_true(end_punch(e, false));
	if (!e->bound || e->echo) {
		assert_true(e->has_cookie);
		assert_true(end_punch(e, true));
	}
	assert_true(e->bound && !e->echo);
}

/* a Path ID's bit 0 names the receiver */
size_t end_packet(uint64_t id, size_t len, uint8_t fill, uint8_t *buf)
{
	struct packet_header h = {
		.type = PACKET_DATA, .id = id ^ 1, .counter = fill};

	memset(buf, fill, len);
	packet_header_put(&h, buf);
	return len;
}

void end_send(struct end *e, size_t len, uint8_t fill)
{
	uint8_t buf[2048];

	end_packet(e->id, len, fill, buf);
	assert_int_equal(send(e->fd, buf, len, 0), len);
}

size_t end_receive(struct end *e, uint8_t buf[static 2048], int ms)
{
	struct pollfd p = {.fd = e->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	n = recv(e->fd, buf, 2048, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

bool end_gets(struct end *e, size_t len, uint8_t fill)
{
	uint8_t buf[2048], want[2048];

	end_packet(e->id ^ 1, len, fill, want);
	return end_receive(e, buf, 2000) == len && !memcmp(buf, want, len);
}

void end_gets_nothing(struct end *e, const char *counter, long long n)
{
	uint8_t buf[2048];

	assert_true(relay_counts(e->relay, counter, n));
	assert_int_equal(end_receive(e, buf, 0), 0);
}

void relay_pair(struct relay *r, uint64_t path_id, struct ntmc_key *kpunch,
		struct end *mn, struct end *cn, bool bind)
{
	ntmc_key_random(NULL, kpunch);
	assert_int_equal(
		relay_direct(r, path_id, kpunch, "127.0.0.1", "127.0.0.1"), 0);
	end_new(mn, r, AF_INET, path_id, kpunch);
	end_new(cn, r, AF_INET, path_id | 1, kpunch);
	if (!bind)
		return;
	end_bind(mn);
	end_bind(cn);
}
