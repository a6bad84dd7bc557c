/* SPDX-License-Identifier: MIT */
/* test_gate_through - AS and GMS through the gate's port; the GMS is played */
#include "gate_site.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/tlshello.h"
#include "servers/gate/splice.h"

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
	assert_int_equal(gate_number("logins"), 2);
	/* and only whoever asks for it: the relay's gate is no AS */
	site.alpn = NULL;
	assert_int_not_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(gate_number("logins"), 2);
	site.alpn = "h2";
	assert_int_not_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(gate_number("logins"), 2);
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

/* a node asks for the GMS at the gate. @fd: the node's end; Return: the GMS's */
static int led(int *fd)
{
	struct tls_context *tls;
	struct tls_session *s;
	int gms = -1;

	assert_int_equal(
		tls_context_new(NULL, NULL, 0, NULL, 0, NULL, site.ca_fp, &tls),
		0);
	tls_context_set_alpn(tls, TLSHELLO_GMS);
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*fd, &at.sa, addr_len(&at)), 0);
	fcntl(*fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(tls_session_new(tls, *fd, false, false, &s), 0);
	assert_int_equal(tls_handshake(s), TLS_WANT_READ);
	for (int i = 0; i < 1000 && gms < 0; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		assert_int_equal(loop_turn(site.loop, false), 0);
		gms = accept(played_gms, NULL, NULL);
		nanosleep(&ms, NULL);
	}
	assert_true(gms >= 0);
	tls_session_free(s);
	tls_context_free(tls);
	return gms;
}

static void to_the_gms(void **state)
{
	char hello[TLSHELLO_PEEK];
	int fd, gms;

	(void)state;
	loop_set_clock(site.loop, mono, wall, NULL);
	gms = led(&fd);
	assert_int_equal(later(fd, gms, 0, true), 1);
	assert_true(recv(gms, hello, sizeof(hello), 0) > 5);
	assert_int_equal(hello[0], 22); /* a handshake, as it came */
	assert_int_equal(gate_number("groups"), 1);
	assert_int_equal(later(fd, gms, SPLICE_SETTLED_S + 1, false), -1);
	assert_int_equal(later(fd, gms, CHANNEL_TAKEN_S, true), 1);
	assert_int_equal(later(fd, gms, SPLICE_IDLE_S - 10, true), 1);
	assert_int_equal(later(fd, gms, SPLICE_IDLE_S - 10, false), -1);
	assert_int_equal(later(fd, gms, 20, false),
			 0); /* silent for too long */
	loop_set_clock(site.loop, NULL, NULL, NULL);
	close(gms);
	close(fd);
}

/* Whom the GMS ends has no place at the gate any more, though the node keeps its end open:
 * a member's moments later, a stranger's, which nobody let stay, when it would be let. */
static void ended_by_the_gms(void **state)
{
	(void)state;
	loop_set_clock(site.loop, mono, wall, NULL);
	for (int settled = 0; settled < 2; settled++) {
		unsigned int wait =
			settled ? CHANNEL_FINISH_S : SPLICE_SETTLED_S;
		char hello[TLSHELLO_PEEK];
		int fd, gms = led(&fd);

		/* or the kernel would break the connection */
		assert_int_equal(later(fd, gms, 0, true), 1);
		assert_true(recv(gms, hello, sizeof(hello), 0) > 5);
		if (settled)
			assert_int_equal(
				later(fd, gms, SPLICE_SETTLED_S + 1, false),
				-1);
		assert_int_equal(gate_number("half_open"), !settled);
		close(gms);
		assert_int_equal(later(fd, -1, 0, false), 0);
		assert_int_equal(later(fd, -1, wait - 1, false), 0);
		assert_int_equal(gate_number("sessions"), 1);
		assert_int_equal(later(fd, -1, 2, false), 0);
		assert_int_equal(gate_number("sessions"), 0);
		close(fd);
	}
	loop_set_clock(site.loop, NULL, NULL, NULL);
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
	return gate_number("logins") >= STRANGERS;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, gate_setup, gate_teardown)
		T(to_the_as),
		T(to_the_gms),
		T(ended_by_the_gms),
		T(strangers_at_the_as),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
