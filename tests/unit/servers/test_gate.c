/* SPDX-License-Identifier: MIT */
/* test_gate - nodes that reach relay and DC by TLS; the relay is played here */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/gateframe.h"
#include "common/tlshello.h"
#include "servers/gate/gate.h"
#include "servers/gate/splice.h"
#include "servers/role.h"
#include "servers/servercert.h"
#include "servers/sockets.h"
#include "peer.h"

#define MANY 2000

/* struct stream - a node's side */
struct stream {
	struct tls_context *tls;
	struct channel *c;
	bool open, closed;
	int err;
	size_t n, bytes; /* of frames from the relay */
	bool order;
	uint32_t next;
};

static struct site site;
static struct peer node;
static struct role_env env;
static struct gate *gate;
static struct addr at;
static int relay = -1; /* the played relay's socket */
static struct addr relay_from;
static size_t relay_n;
static bool relay_echo;
static struct loop_io *relay_io;
static int played_gms = -1;
/* between the peer, which speaks UDP, and its stream */
static int pump = -1;
static struct addr pump_from;
static struct loop_io *pump_io;

/* --- the stream -------------------------------------------------------------- */

static void on_open(struct channel *c, void *arg)
{
	struct stream *s = arg;

	(void)c;
	s->open = true;
}

static void from_relay(struct stream *s, const struct gateframe *f)
{
	uint32_t number;

	memcpy(&number, f->data + PACKET_HEADER_LEN, sizeof(number));
	s->order &= number >= s->next;
	s->next = number + 1;
	s->n++;
	s->bytes += f->len;
}

static int on_bytes(struct channel *c, uint8_t *data, size_t len, void *arg)
{
	struct stream *s = arg;
	struct gateframe f;
	size_t done = 0;
	int n;

	(void)c;
	while ((n = gateframe_get(data + done, len - done, &f)) > 0) {
		done += (size_t)n;
		if (f.side == GATE_RELAY)
			from_relay(s, &f);
		else
			assert_int_equal(sendto(pump, f.data, f.len, 0,
						&pump_from.sa,
						addr_len(&pump_from)),
					 (ssize_t)f.len);
	}
	return n < 0 ? n : (int)done;
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct stream *s = arg;

	(void)c;
	s->closed = true;
	s->err = err;
	s->c = NULL;
}

static const struct channel_ops ops = {
	.open = on_open, .bytes = on_bytes, .closed = on_closed};

static void stream_start(struct stream *s, bool cert)
{
	memset(s, 0, sizeof(*s));
	s->order = true;
	assert_int_equal(
		tls_context_new(cert ? &node.id : NULL, cert ? node.cert : NULL,
				cert ? node.cert_len : 0, cert ? node.ca : NULL,
				cert ? node.ca_len : 0, NULL, site.ca_fp,
				&s->tls),
		0);
	tls_context_set_roles(s->tls, NTMC_ROLE_RS);
	assert_int_equal(channel_connect(site.loop, s->tls, &at.sa,
					 addr_len(&at), &ops, s, &s->c),
			 0);
}

static bool stream_ready(void *arg)
{
	return ((struct stream *)arg)->open;
}

static bool stream_closed(void *arg)
{
	return ((struct stream *)arg)->closed;
}

static void stream_end(struct stream *s)
{
	if (s->c)
		channel_close(s->c);
	assert_true(site_wait(&site, stream_closed, s));
	tls_context_free(s->tls);
}

static void stream_put(struct stream *s, enum gate_side side,
		       const uint8_t *data, size_t len)
{
	uint8_t *room = channel_room(s->c, GATEFRAME_HEAD + len);

	assert_non_null(room);
	gateframe_put(room, side, len);
	memcpy(room + GATEFRAME_HEAD, data, len);
	channel_put(s->c, GATEFRAME_HEAD + len);
}

static void stream_number(struct stream *s, uint32_t number, size_t len)
{
	uint8_t buf[1500] = {0};

	memcpy(buf + PACKET_HEADER_LEN, &number, sizeof(number));
	stream_put(s, GATE_RELAY, buf, len);
}

static long long number(const char *key)
{
	json_t *o = gate_admin(gate, "status", NULL);
	long long n = json_integer_value(json_object_get(o, key));

	json_decref(o);
	return n;
}

/* --- around it ------------------------------------------------------------------ */

static int udp_socket(struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	int fd, size = 4 << 20;

	assert_int_equal(addr_parse("127.0.0.1", 0, &a), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, out),
			 0);
	return fd;
}

static ssize_t take(int fd, uint8_t *buf, size_t size, struct addr *from)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	ssize_t n = recvfrom(fd, buf, size, MSG_DONTWAIT,
			     (struct sockaddr *)&ss, &len);

	if (n >= 0)
		assert_int_equal(
			addr_from_sockaddr((struct sockaddr *)&ss, len, from),
			0);
	return n;
}

static void relay_readable(void *arg, int fd, unsigned int events)
{
	uint8_t buf[2048];
	ssize_t n;

	(void)arg;
	(void)events;
	while ((n = take(fd, buf, sizeof(buf), &relay_from)) >= 0) {
		relay_n++;
		if (relay_echo)
			(void)!sendto(fd, buf, (size_t)n, 0, &relay_from.sa,
				      addr_len(&relay_from));
	}
}

static void pump_readable(void *arg, int fd, unsigned int events)
{
	struct stream *s = arg;
	uint8_t buf[2048];
	ssize_t n;

	(void)events;
	while ((n = take(fd, buf, sizeof(buf), &pump_from)) >= 0)
		if (s->c)
			stream_put(s, GATE_DC, buf, (size_t)n);
	if (s->c)
		channel_flush(s->c);
}

static int gms_listens(void)
{
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.gms_port, &a), 0);
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int setup(void **state)
{
	char error[SOCKETS_ERROR_LEN];
	char dc[ADDR_TEXT_LEN];
	struct addr a;

	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	peer_new(&node, &site, "laptop");
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	relay = udp_socket(&a);
	relay_n = 0;
	relay_echo = true;
	assert_int_equal(loop_io_add(site.loop, relay, LOOP_READ, false,
				     relay_readable, NULL, &relay_io),
			 0);
	site.conf.rs_port = addr_port(&a);
	free(site.conf.rs_listen);
	site.conf.rs_listen = strdup("127.0.0.1");
	free(site.conf.rs_dc);
	addr_format(&site.dc_addr, dc);
	site.conf.rs_dc = strdup(dc);
	site.conf.rs_tls_port = site_free_port();
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.rs_tls_port, &at),
		0);
	site.conf.gms_port = site_free_port();
	free(site.conf.gms_listen);
	site.conf.gms_listen = strdup("127.0.0.1");
	played_gms = gms_listens();
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	assert_int_equal(sockets_bind(role_find("gate"), &site.conf, site.dir,
				      &env.sockets, error),
			 0);
	close(env.sockets.admin);
	assert_int_equal(gate_new(&env, &gate), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_free(gate);
	loop_io_del(relay_io);
	close(relay);
	close(played_gms);
	peer_free(&node);
	site_free(&site);
	return 0;
}

/* --- tests ---------------------------------------------------------------------------- */

/* a session with the DC, as if by UDP; the DC sees the gate */
static void to_the_dc(void **state)
{
	struct stream s;
	struct addr to;

	(void)state;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	pump = udp_socket(&to);
	assert_int_equal(loop_io_add(site.loop, pump, LOOP_READ, false,
				     pump_readable, &s, &pump_io),
			 0);
	site.dc_addr = to;
	peer_move(&node);
	peer_register(&node);
	assert_non_null(peer_keep_alive(&node));
	assert_int_equal(number("nodes"), 1);
	assert_int_equal(site_dc_number(&site, "online"), 1);
	loop_io_del(pump_io);
	close(pump);
	stream_end(&s);
}

static bool all_back(void *arg)
{
	return ((struct stream *)arg)->n >= MANY;
}

/* the AS through the same port: whoever asks for it has its own TLS with it */
static void to_the_as(void **state)
{
	(void)state;
	site.as_addr = at;
	site.alpn = TLSHELLO_AS;
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(node.code, 0);
	assert_int_equal(peer_login_cert(&node), 0);
	assert_int_equal(node.code, 0);
	assert_int_equal(number("logins"), 2);
	/* and only whoever asks for it: the relay's gate is no AS */
	site.alpn = NULL;
	assert_int_not_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(number("logins"), 2);
	site.alpn = "h2";
	assert_int_not_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(number("logins"), 2);
}

/* --- the GMS through the same port: what it lets live stays --------------------------- */

static uint64_t ahead_ns;

static uint64_t mono(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return LOOP_S((uint64_t)t.tv_sec) + (uint64_t)t.tv_nsec + ahead_ns;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return time(NULL);
}

/* so much later; the played GMS says a byte, if it is to. Return: what the node reads */
static ssize_t later(int fd, int gms, unsigned int s, bool says)
{
	char byte;
	ssize_t n = -1;

	ahead_ns += LOOP_S((uint64_t)s);
	if (says)
		assert_int_equal(send(gms, "x", 1, MSG_NOSIGNAL), 1);
	for (int i = 0; i < 1000 && n < 0; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		assert_int_equal(loop_turn(site.loop, false), 0);
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
		if (n < 0 && !says && i == 50)
			break;
		nanosleep(&ms, NULL);
	}
	return n;
}

static void to_the_gms(void **state)
{
	struct tls_context *tls;
	struct tls_session *s;
	char hello[TLSHELLO_PEEK];
	int fd, gms = -1;

	(void)state;
	assert_int_equal(
		tls_context_new(NULL, NULL, 0, NULL, 0, NULL, site.ca_fp, &tls),
		0);
	tls_context_set_alpn(tls, TLSHELLO_GMS);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, &at.sa, addr_len(&at)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(tls_session_new(tls, fd, false, false, &s), 0);
	assert_int_equal(tls_handshake(s), TLS_WANT_READ);
	loop_set_clock(site.loop, mono, wall, NULL);
	for (int i = 0; i < 1000 && gms < 0; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		assert_int_equal(loop_turn(site.loop, false), 0);
		gms = accept(played_gms, NULL, NULL);
		nanosleep(&ms, NULL);
	}
	assert_true(gms >= 0);
	assert_int_equal(later(fd, gms, 0, true), 1);
	assert_true(recv(gms, hello, sizeof(hello), 0) > 5);
	assert_int_equal(hello[0], 22); /* a handshake, as it came */
	assert_int_equal(number("groups"), 1);
	assert_int_equal(later(fd, gms, SPLICE_SETTLED_S + 1, false), -1);
	assert_int_equal(later(fd, gms, CHANNEL_TAKEN_S, true), 1);
	assert_int_equal(later(fd, gms, SPLICE_IDLE_S - 10, true), 1);
	assert_int_equal(later(fd, gms, SPLICE_IDLE_S - 10, false), -1);
	assert_int_equal(later(fd, gms, 20, false),
			 0); /* silent for too long */
	loop_set_clock(site.loop, NULL, NULL, NULL);
	close(gms);
	close(fd);
	tls_session_free(s);
	tls_context_free(tls);
}

#define STRANGERS CHANNEL_HALF_OPEN_SOURCE

/* handshakes with the AS that go no further, from an address that is no node's */
static void strangers(int fd[static STRANGERS])
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct tls_context *tls;

	from.sin_addr.s_addr = htonl(0x7f000009);
	assert_int_equal(
		tls_context_new(NULL, NULL, 0, NULL, 0, NULL, site.ca_fp, &tls),
		0);
	tls_context_set_alpn(tls, TLSHELLO_AS);
	for (int i = 0; i < STRANGERS; i++) {
		struct tls_session *s;

		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(
			bind(fd[i], (struct sockaddr *)&from, sizeof(from)), 0);
		assert_int_equal(connect(fd[i], &at.sa, addr_len(&at)), 0);
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
		assert_int_equal(tls_session_new(tls, fd[i], false, false, &s),
				 0);
		assert_int_equal(tls_handshake(s), TLS_WANT_READ);
		tls_session_free(s);
	}
	tls_context_free(tls);
}

static bool all_led(void *arg)
{
	(void)arg;
	return number("logins") >= STRANGERS;
}

/* One stranger has all that one source may have, at the gate and at the AS; somebody
 * else logs in all the same. */
static void strangers_at_the_as(void **state)
{
	int fd[STRANGERS];

	(void)state;
	strangers(fd);
	assert_true(site_wait(&site, all_led, NULL));
	for (int i = 0; i < 20; i++) /* the AS has taken them, too */
		assert_int_equal(loop_turn(site.loop, false), 0);
	site.as_addr = at;
	site.alpn = TLSHELLO_AS;
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(node.code, 0);
	for (int i = 0; i < STRANGERS; i++)
		close(fd[i]);
}

/* One certificate is not good for the places of all. */
static void greedy(void **state)
{
	struct stream s[GATE_STREAMS_NODE + 2];

	(void)state;
	for (int i = 0; i < GATE_STREAMS_NODE + 2; i++) {
		stream_start(&s[i], true);
		assert_true(site_wait(&site, stream_ready, &s[i]));
	}
	assert_true(site_wait(&site, stream_closed, &s[0]));
	assert_true(site_wait(&site, stream_closed, &s[1]));
	assert_int_equal(number("replaced"), 2);
	assert_int_equal(number("nodes"), GATE_STREAMS_NODE);
	for (int i = 2; i < GATE_STREAMS_NODE + 2; i++)
		assert_false(s[i].closed);
	for (int i = 0; i < GATE_STREAMS_NODE + 2; i++)
		stream_end(&s[i]);
}

/* in order and whole, whatever their sizes; a run leaves by one call */
static void to_the_relay(void **state)
{
	struct stream s;
	size_t bytes = 0;

	(void)state;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	for (uint32_t i = 0; i < MANY; i++) {
		size_t len = i % 7 ? 120 : 24 + i % 1200;

		stream_number(&s, i, len);
		bytes += len;
		if (i % 50 == 49) {
			size_t want = i + 1;

			channel_flush(s.c);
			while (s.n < want)
				assert_int_equal(loop_turn(site.loop, true), 0);
		}
	}
	assert_true(site_wait(&site, all_back, &s));
	assert_true(s.order);
	assert_int_equal(s.n, MANY);
	assert_int_equal(s.bytes, bytes);
	assert_int_equal(relay_n, MANY);
	assert_int_equal(number("lost"), 0);
	stream_end(&s);
}

/* nobody but nodes of the domain */
static void without_certificate(void **state)
{
	struct stream s;

	(void)state;
	stream_start(&s, false);
	assert_true(site_wait(&site, stream_closed, &s));
	assert_int_equal(number("refused"), 1);
	assert_int_equal(number("nodes"), 0);
	assert_int_equal(relay_n, 0);
	stream_end(&s);
}

static void servers_certificate(void **state)
{
	struct servercert cert;
	struct stream s = {.order = true};

	(void)state;
	assert_int_equal(servercert_load(site.dir, "dc", &cert), 0);
	assert_int_equal(channel_connect(site.loop, cert.tls, &at.sa,
					 addr_len(&at), &ops, &s, &s.c),
			 0);
	assert_true(site_wait(&site, stream_closed, &s));
	assert_int_equal(number("refused"), 1);
	servercert_clear(&cert);
}

/* whoever is not understood loses its own stream and nothing else */
static void malformed(void **state)
{
	static const uint8_t bad[][8] = {
		{0, PACKET_HEADER_LEN - 1, GATE_RELAY},
		{0, PACKET_HEADER_LEN, GATE_SIDES},
		{0xff, 0xff, GATE_DC},
	};
	struct stream good, s;
	uint8_t *room;

	(void)state;
	stream_start(&good, true);
	assert_true(site_wait(&site, stream_ready, &good));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		stream_start(&s, true);
		assert_true(site_wait(&site, stream_ready, &s));
		room = channel_room(s.c, sizeof(bad[i]));
		memcpy(room, bad[i], sizeof(bad[i]));
		channel_put(s.c, sizeof(bad[i]));
		channel_flush(s.c);
		assert_true(site_wait(&site, stream_closed, &s));
		assert_int_equal(number("malformed"), i + 1);
		stream_end(&s);
	}
	assert_int_equal(number("nodes"), 1);
	assert_false(good.closed);
	stream_end(&good);
}

/* more than it can take at once: the rest is lost, in order, and it goes on */
static void flooded(void **state)
{
	static uint8_t buf[1200];
	struct stream s;
	size_t before = 0;

	(void)state;
	relay_echo = false;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	stream_number(&s, 0, 100);
	channel_flush(s.c);
	while (!relay_n)
		assert_int_equal(loop_turn(site.loop, true), 0);
	/* far more than socket and queue hold, while nobody's turn comes */
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(buf + PACKET_HEADER_LEN, &i, sizeof(i));
		(void)!sendto(relay, buf, sizeof(buf), 0, &relay_from.sa,
			      addr_len(&relay_from));
	}
	while (s.n < 50)
		assert_int_equal(loop_turn(site.loop, true), 0);
	assert_true(s.n < 20000);
	assert_true(s.order);
	relay_echo = true;
	before = s.n;
	/* what is echoed while the socket is full yet is lost as well */
	for (uint32_t i = 30000; s.next < 30000; i++) {
		stream_number(&s, i, 100);
		channel_flush(s.c);
		assert_int_equal(loop_turn(site.loop, true), 0);
	}
	assert_true(s.order && s.n > before);
	stream_end(&s);
}

static bool over_limit(void *arg)
{
	(void)arg;
	return number("over_source_limit") >= 4;
}

/* who connects and says nothing, or a byte now and then, has a few places */
static void half_open(void **state)
{
	int fds[CHANNEL_HALF_OPEN_SOURCE + 4];
	const size_t n = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], &at.sa, addr_len(&at)), 0);
		assert_int_equal(send(fds[i], "\x16", 1, MSG_NOSIGNAL), 1);
	}
	assert_true(site_wait(&site, over_limit, NULL));
	assert_int_equal(number("half_open"), CHANNEL_HALF_OPEN_SOURCE);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(to_the_dc, setup, teardown),
		cmocka_unit_test_setup_teardown(to_the_as, setup, teardown),
		cmocka_unit_test_setup_teardown(to_the_gms, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_at_the_as, setup,
						teardown),
		cmocka_unit_test_setup_teardown(greedy, setup, teardown),
		cmocka_unit_test_setup_teardown(to_the_relay, setup, teardown),
		cmocka_unit_test_setup_teardown(without_certificate, setup,
						teardown),
		cmocka_unit_test_setup_teardown(servers_certificate, setup,
						teardown),
		cmocka_unit_test_setup_teardown(malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(flooded, setup, teardown),
		cmocka_unit_test_setup_teardown(half_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
