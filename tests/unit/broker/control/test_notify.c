/* SPDX-License-Identifier: MIT */
/* test_notify - whole control planes: an NS that comes, goes, lies, and what then */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/notify.h"
#include "common/frame.h"
#include "tests/unit/broker/control/story.h"

#define INTERVAL_S 60
#define LONGEST_S  1740

/* an NS on loopback: TCP is real here, the clock is not */
static struct played {
	int listener, fd;
	struct addr at;
	struct loop_io *listens, *io;
	uint64_t node_id, rx, tx;
	struct datagram_keys keys;
	uint8_t greeting[FRAME_GREETING_LEN], buf[4 * FRAME_MAX];
	size_t have;
	bool greeted;
	unsigned int registered, acks;
	uint32_t wanted_s;
} ns;

/* The program's, in place of libc's: nobody is led to a loopback address, so the NS has
 * a name that means it here. */
int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	if (to->sa_family == AF_INET)
		to = &ns.at.sa;
	return (int)syscall(SYS_connect, fd, to, len);
}

static void ns_send(const Ntm__Signal *msg)
{
	uint8_t out[FRAME_MAX];
	int n = frame_seal(ns.node_id, ns.tx++, ns.keys.aead, &ns.keys.down,
			   msg, out);

	assert_true(n > 0);
	assert_int_equal(send(ns.fd, out, (size_t)n, MSG_NOSIGNAL), n);
}

static void ns_notify(void)
{
	Ntm__Notification body = NTM__NOTIFICATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION;
	msg.notification = &body;
	ns_send(&msg);
}

static void ns_keep_alive(void)
{
	Ntm__KeepAlive body = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &body;
	ns_send(&msg);
}

static void on_frame(const Ntm__Signal *s)
{
	Ntm__NotificationRegistration body =
		NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	if (s->body_case != NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION) {
		ns.acks++;
		return;
	}
	ns.registered++;
	ns.wanted_s = s->notification_registration->interval_s;
	body.interval_s = ns.wanted_s ? ns.wanted_s : INTERVAL_S;
	body.interval_max_s = LONGEST_S;
	msg.txn = s->txn;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &body;
	ns_send(&msg);
}

static void on_hello(void)
{
	struct frame_hello h;
	struct ntmc_key key;

	frame_hello_get(ns.buf, &h);
	assert_int_equal(h.key_id, 7);
	memset(&key, 7, sizeof(key));
	assert_int_equal(frame_keys(&key, ns.greeting, h.random,
				    NTMC_CHACHA20_POLY1305, &ns.keys),
			 0);
	ns.node_id = h.node_id;
	ns.greeted = true;
}

static size_t ns_take(void)
{
	Ntm__Signal *msg;
	int n;

	if (!ns.greeted) {
		if (ns.have < FRAME_HELLO_LEN)
			return 0;
		on_hello();
		return FRAME_HELLO_LEN;
	}
	n = frame_len(ns.buf, ns.have);
	assert_true(n >= 0);
	if (n) {
		assert_int_equal(frame_open(ns.node_id, ns.rx++, ns.keys.aead,
					    &ns.keys.up, ns.buf, (size_t)n,
					    &msg),
				 0);
		on_frame(msg);
		datagram_free(&msg->base);
	}
	return (size_t)n;
}

static void ns_hang_up(void)
{
	if (ns.fd < 0)
		return;
	loop_io_del(ns.io);
	close(ns.fd);
	ns.fd = -1;
}

static void readable(void *arg, int fd, unsigned int events)
{
	ssize_t got = recv(fd, ns.buf + ns.have, sizeof(ns.buf) - ns.have,
			   MSG_DONTWAIT);
	size_t n;

	(void)arg;
	(void)events;
	if (got <= 0) {
		ns_hang_up();
		return;
	}
	ns.have += (size_t)got;
	while ((n = ns_take())) {
		ns.have -= n;
		memmove(ns.buf, ns.buf + n, ns.have);
	}
}

static void comes(void *arg, int fd, unsigned int events)
{
	int on = 1;

	(void)arg;
	(void)events;
	ns_hang_up();
	ns.fd = accept(fd, NULL, NULL);
	assert_true(ns.fd >= 0);
	setsockopt(ns.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ns.rx = ns.tx = ns.have = 0;
	ns.greeted = false;
	memset(ns.greeting, 9, sizeof(ns.greeting));
	assert_int_equal(loop_io_add(world.loop, ns.fd, LOOP_READ, false,
				     readable, NULL, &ns.io),
			 0);
	assert_int_equal(send(ns.fd, ns.greeting, sizeof(ns.greeting), 0),
			 sizeof(ns.greeting));
}

/* again on the port of before, if there was one */
static void ns_start(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int on = 1;

	if (!addr_is_set(&ns.at))
		assert_int_equal(addr_parse("127.0.0.1:0", 0, &ns.at), 0);
	ns.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(ns.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(ns.listener, &ns.at.sa, addr_len(&ns.at)), 0);
	assert_int_equal(listen(ns.listener, 8), 0);
	assert_int_equal(getsockname(ns.listener, (struct sockaddr *)&ss, &len),
			 0);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&ss, len, &ns.at), 0);
	assert_int_equal(loop_io_add(world.loop, ns.listener, LOOP_READ, false,
				     comes, NULL, &ns.listens),
			 0);
}

static void ns_stop(void)
{
	loop_io_del(ns.listens);
	close(ns.listener);
	ns.listener = -1;
}

/* what was sent has come, and is answered: that takes real time, not the test's */
static void acked(unsigned int n)
{
	for (int i = 0; i < 50000 && ns.acks < n; i++) {
		assert_int_equal(loop_turn(world.loop, false), 0);
		usleep(100);
	}
	assert_int_equal(ns.acks, n);
}

static struct notify_status status(void)
{
	struct notify_status s;

	notify_status(a->w.notify, &s);
	return s;
}

static bool is_up(void *arg)
{
	(void)arg;
	return status().state == NOTIFY_UP;
}

static bool is_off(void *arg)
{
	(void)arg;
	return status().state == NOTIFY_OFF;
}

/* its NAT forgets after 28 s: an NS does better, and it finds that out itself */
static void begin(void)
{
	struct addr named;

	memset(&ns, 0, sizeof(ns));
	ns.fd = -1;
	ns_start();
	node_kill(b);
	dc_keepalive(world.dc, 25, 120);
	assert_int_equal(addr_parse("192.0.2.5:4505", 0, &named), 0);
	dc_notifier(world.dc, &named);
	nat_set(a, "198.51.100.7", NAT_ANY, NAT_PORT);
	nat_forgets(a, 28, 0);
	node_move(a, A4B, NULL);
	assert_true(world_until(&world, 300000, is_up, NULL));
	assert_int_equal(status().interval_s, INTERVAL_S);
}

static void end(void)
{
	ns_hang_up();
	if (ns.listener >= 0)
		ns_stop();
	datagram_keys_clear(&ns.keys);
}

/* An NS that says every moment that somebody wants it. */
static void test_told_in_vain(void **state)
{
	unsigned int before;

	(void)state;
	begin();
	before = dc_fetched(world.dc);
	for (unsigned int i = 1; i <= 100; i++) {
		ns_notify();
		acked(i);
		world_run(&world, 50);
	}
	/* 5 s of it: once a second, and the first */
	assert_in_range(dc_fetched(world.dc) - before, 4, 6);
	end();
}

/* Silence: the NAT's, if the NS is there; else the NS's. */
static void test_silence(void **state)
{
	(void)state;
	begin();
	world_run(&world, INTERVAL_S * 1000);
	ns_keep_alive();
	acked(1);
	world_run(&world, 1000);
	assert_int_equal(status().alive_s, INTERVAL_S);
	assert_int_equal(status().interval_s, 2 * INTERVAL_S);
	/* the machine of the NS dies, without a word */
	ns_stop();
	world_run(&world, (2 * INTERVAL_S + 15) * 1000);
	assert_int_not_equal(status().state, NOTIFY_UP);
	assert_int_equal(status().alive_s, INTERVAL_S);
	assert_int_equal(status().dead_s, 0);
	assert_int_equal(status().interval_s, 2 * INTERVAL_S);
	ns_start();
	assert_true(world_until(&world, 60000, is_up, NULL));
	assert_int_equal(ns.wanted_s, 2 * INTERVAL_S);
	/* silence, and the NS is there: it was the NAT */
	world_run(&world, (2 * INTERVAL_S + 15) * 1000);
	assert_true(world_until(&world, 60000, is_up, NULL));
	assert_int_equal(status().dead_s, 2 * INTERVAL_S);
	assert_int_equal(status().interval_s, INTERVAL_S);
	end();
}

/* The machine of the servers is away for a minute: nodes do not give it up for good. */
static void test_away(void **state)
{
	(void)state;
	begin();
	ns_stop();
	ns_hang_up();
	assert_true(world_until(&world, 120000, is_off, NULL));
	world_run(&world, 1000);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
	ns_start();
	assert_true(world_until(&world, 2400000, is_up, NULL));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_told_in_vain),
		T(test_silence),
		T(test_away),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
