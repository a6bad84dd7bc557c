/* SPDX-License-Identifier: MIT */
/* test_exit_share - what one account leaves to the others of an exit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/exit/share.h"
#include "tests/unit/servers/exit_rig.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

/* In debt: its hosts wait, what it sends is dropped later, and all is paid by time. */
static void test_rate(void **state)
{
	uint32_t wait = 10000;
	struct shares *all;
	struct share *a, *b;
	bool others = false;
	uint64_t now = S, sent = 0;

	(void)state;
	assert_int_equal(shares_new(1000000, &all), 0);
	a = share_get(all, 1);
	b = share_get(all, 2);
	assert_ptr_equal(share_get(all, 1), a);
	share_put(all, a);
	assert_true(share_turn(all, a, now, &wait, &others));
	while (share_up(all, a, now, 1000))
		sent += 1000;
	assert_in_range(sent, 250000, 252000); /* what may come at once */
	/* the other way is another one; what is under way there passes, until it is far
	 * too much */
	assert_true(share_turn(all, a, now, &wait, &others));
	sent = 0;
	while (share_down(all, a, now, 1000))
		sent += 1000;
	assert_in_range(sent, 2240000, 2260000);
	assert_false(share_turn(all, a, now, &wait, &others));
	assert_in_range(wait, 1990, 2010); /* down to what may come at once */
	assert_false(others);
	/* another one's is its own */
	assert_true(share_up(all, b, now, 1000));
	/* a second is worth a second */
	now += 3 * S;
	sent = 0;
	for (int i = 0; i < 1000; i++, now += 10 * MS)
		while (share_up(all, a, now, 1000))
			sent += 1000;
	assert_in_range(sent, 9900000, 10300000);
	for (int i = 0; i < 64; i++)
		shares_round(all);
	assert_true(share_turn(all, a, now, &wait, &others));
	share_put(all, a);
	share_put(all, b);
	shares_free(all);
}

/* Who has had its part of a round waits for the others, and owes what it had beyond. */
static void test_rounds(void **state)
{
	uint32_t wait = 10000;
	struct shares *all;
	struct share *a, *b;
	bool others = false;

	(void)state;
	assert_int_equal(shares_new(0, &all), 0);
	a = share_get(all, 1);
	b = share_get(all, 0);
	assert_true(share_down(all, a, S, 3 * SHARE_QUANTUM - 1));
	assert_true(share_down(all, b, S, SHARE_QUANTUM / 2));
	assert_false(share_turn(all, a, S, &wait, &others));
	assert_true(others);
	assert_int_equal(wait, 10000);
	assert_true(share_turn(all, b, S, &wait, &others));
	shares_round(all);
	assert_false(share_turn(all, a, S, &wait, &others));
	shares_round(all);
	assert_true(share_turn(all, a, S, &wait, &others));
	/* who has used up its day has no turn at all */
	share_close(a, true);
	others = false;
	assert_false(share_turn(all, a, S, &wait, &others));
	assert_false(others);
	assert_false(share_up(all, a, S, 1));
	assert_false(share_down(all, a, S, 1));
	share_put(all, a);
	share_put(all, b);
	shares_free(all);
}

static void account(struct rig *r, const uint8_t vip4[4], uint32_t number,
		    bool closed)
{
	struct seam_control c = {.mark = SEAM_CONTROL,
				 .op = SEAM_ACCOUNT,
				 .closed = closed,
				 .account = number};

	memcpy(c.vip4, vip4, 4);
	assert_int_equal(write(r->fd, &c, sizeof(c)), sizeof(c));
}

static void ask(struct rig *r, const uint8_t node[4], uint16_t from,
		uint16_t port)
{
	struct made m;

	udp_make(&m, false, node, rig_host4, from, port, "?");
	rig_send(r, &m);
}

/* the same; the host gets it */
static void reach(struct rig *r, const uint8_t node[4], int host, uint16_t port)
{
	char c[2];

	ask(r, node, 5000, port);
	rig_await(r, host);
	assert_int_equal(recv(host, c, sizeof(c), 0), 1);
}

/* an account whose day is used up is told so, and on the next day goes on */
static void test_day(void **state)
{
	uint16_t port;
	struct rig r;
	int host = rig_host(false, SOCK_DGRAM, &port);
	char c[2];

	(void)state;
	rig_open(&r, 8);
	reach(&r, rig_node4, host, port);
	account(&r, rig_node4, 7, true);
	ask(&r, rig_node4, 5000, port);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.over_day, 1);
	assert_int_equal(recv(host, c, sizeof(c), MSG_DONTWAIT), -1);
	/* another account is another one */
	reach(&r, rig_other4, host, port);
	/* two nodes of one account */
	account(&r, rig_other4, 7, true);
	ask(&r, rig_other4, 5000, port);
	rig_prohibited(&r, false);
	account(&r, rig_node4, 7, false);
	ask(&r, rig_other4, 5000, port);
	rig_await(&r, host);
	close(host);
	rig_close(&r);
}

/* and its open connections end, wherever in them the node is by then */
static void test_day_ends(void **state)
{
	uint16_t port;
	struct made m;
	struct rig r;
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 8);
	reach(&r, rig_node4, host, port);
	account(&r, rig_node4, 7, true);
	tcp_make(&m, rig_node4, rig_host4, 5000, 80, 1000, 777000, 0x10, "GET");
	rig_send(&r, &m);
	assert_true(rig_next(&r));
	assert_int_equal(r.in.proto, IPPROTO_TCP);
	assert_memory_equal(r.in.src, rig_host4, 4);
	assert_int_equal(get16(r.pkt + r.in.l4), 80);
	assert_int_equal(get16(r.pkt + r.in.l4 + 2), 5000);
	assert_int_equal(r.pkt[r.in.l4 + 13] & 0x04, 0x04);
	assert_int_equal(get32(r.pkt + r.in.l4 + 4), 777000);
	assert_int_equal(get32(r.pkt + r.in.l4 + 8), 1003);
	/* a new one is refused */
	tcp_make(&m, rig_node4, rig_host4, 5001, 80, 1000, 0, 0x02, "");
	rig_send(&r, &m);
	rig_prohibited(&r, false);
	close(host);
	rig_close(&r);
}

/* @n ports of a node. Return: sockets that there are */
static uint64_t open_ports(struct rig *r, const uint8_t node[4], int n,
			   uint16_t port)
{
	for (int i = 0; i < n; i++) {
		ask(r, node, (uint16_t)(6000 + i), port);
		assert_int_equal(net_turn(r->net, 0), 0);
		while (read(r->fd, r->pkt, sizeof(r->pkt)) > 0)
			; /* refusals */
	}
	return r->stats.sockets;
}

/* One takes half of all sockets, the next one a part of the rest; the last test, as the
 * limit does not come back. */
static void test_sockets(void **state)
{
	const uint64_t max = 340; /* 660 but those that are kept back */
	struct rlimit few = {660, 660};
	uint64_t n, more;
	uint16_t port;
	struct rig r;
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rig_open(&r, 1000);
	n = open_ports(&r, rig_node4, 400, port);
	assert_int_equal(n, max / 2);
	more = open_ports(&r, rig_other4, 400, port);
	assert_int_equal(more - n, max / 4);
	/* as one account they have too much */
	account(&r, rig_node4, 7, false);
	account(&r, rig_other4, 7, false);
	rig_nothing(&r);
	ask(&r, rig_other4, 9000, port);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.sockets, more);
	close(host);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),	cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_day),	cmocka_unit_test(test_day_ends),
		cmocka_unit_test(test_sockets),
	};

	rig_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
