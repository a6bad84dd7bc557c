/* SPDX-License-Identifier: MIT */
/* test_general - packets of hosts without NTMobile: by the exit's tunnel, and by no other */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static const struct dp_range slice = {{198, 18, 0, 0}, 15};
static const uint8_t host4[4] = {203, 0, 113, 80};
static const uint8_t host6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 80};
/* nobody's virtual addresses, but virtual */
static const uint8_t other4[4] = {198, 19, 3, 4};
static const uint8_t other6[16] = {0xfd, 0x6e, 9, [15] = 9};

static int setup(void **state)
{
	struct net *net = calloc(1, sizeof(*net));

	if (!net)
		return -1;
	net_up(net, true);
	for (int i = 0; i < 2; i++)
		datapath_set_virtual(net->n[i].dp, &slice, 1);
	*state = net;
	return 0;
}

static int teardown(void **state)
{
	net_down(*state);
	free(*state);
	return 0;
}

static size_t collect(struct net *net, int i)
{
	struct packet_list *list = calloc(1, sizeof(*list));
	size_t n;

	assert_non_null(list);
	net_settle(net);
	net_collect(net, i, list);
	n = list->n;
	packet_list_clear(list);
	free(list);
	return n;
}

static void send_to(struct net *net, int i, const uint8_t *dst4,
		    const uint8_t *dst6)
{
	struct spec s = net_spec(i, 4, 17, 10);

	s.dst = dst4;
	net_send(net, i, &s);
	s = net_spec(i, 6, 17, 10);
	s.dst = dst6;
	net_send(net, i, &s);
}

static void send_from(struct net *net, int i, const uint8_t *src4,
		      const uint8_t *src6)
{
	struct spec s = net_spec(i, 4, 17, 10);

	s.src = src4;
	net_send(net, i, &s);
	s = net_spec(i, 6, 17, 10);
	s.src = src6;
	net_send(net, i, &s);
}

/* a is a node, b its exit: both ways */
static void test_through_the_exit(void **state)
{
	struct net *net = *state;

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	datapath_serve_exit(net->n[1].dp);
	send_to(net, 0, host4, host6);
	assert_int_equal(collect(net, 1), 2);
	send_from(net, 1, host4, host6);
	assert_int_equal(collect(net, 0), 2);
	/* the exit's own addresses are those of any peer */
	send_from(net, 1, vip4_b, vip6_b);
	assert_int_equal(collect(net, 0), 2);
	assert_int_equal(net_counters(net, 0).bad_source, 0);
}

/* without an exit general packets go nowhere, and the owner is asked */
static void test_without_an_exit(void **state)
{
	struct net *net = *state;

	datapath_serve_exit(net->n[1].dp);
	send_to(net, 0, host4, host6);
	assert_int_equal(collect(net, 1), 0);
	assert_int_equal(net->n[0].asked, 2);
	assert_int_equal(collect(net, 0), 2); /* ICMP: unreachable */
	/* and none is taken from a peer that is not our exit */
	send_from(net, 1, host4, host6);
	assert_int_equal(collect(net, 0), 0);
	assert_int_equal(net_counters(net, 0).bad_source, 2);
}

/* what is virtual does not go to the exit, nor come from it */
static void test_virtual_addresses(void **state)
{
	struct net *net = *state;

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	datapath_serve_exit(net->n[1].dp);
	send_to(net, 0, other4, other6);
	assert_int_equal(collect(net, 1), 0);
	assert_int_equal(collect(net, 0), 2); /* ICMP: unreachable */
	send_from(net, 1, other4, other6);
	assert_int_equal(collect(net, 0), 0);
	assert_int_equal(net_counters(net, 0).bad_source, 2);
}

/* an exit that sends as this very host, as its neighbours, or as a crowd */
static void test_special_sources(void **state)
{
	static const uint8_t bad4[][4] = {{127, 0, 0, 1},
					  {0, 0, 0, 0},
					  {224, 0, 0, 1},
					  {255, 255, 255, 255}};
	static const uint8_t bad6[][16] = {{[15] = 1},
					   {0xfe, 0x80, [15] = 1},
					   {0xff, 2, [15] = 1},
					   {[10] = 0xff, 0xff, 198, 18, 0, 1}};
	struct net *net = *state;

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	datapath_serve_exit(net->n[1].dp);
	for (size_t i = 0; i < 4; i++)
		send_from(net, 1, bad4[i], bad6[i]);
	assert_int_equal(collect(net, 0), 0);
	assert_int_equal(net_counters(net, 0).bad_source, 8);
}

/* a foreign slice that nobody named: the address of a live peer is still its own */
static void test_a_peer_of_another_slice(void **state)
{
	static const uint8_t foreign4[4] = {203, 0, 113, 7}, none[16] = {0};
	struct net *net = *state;
	struct dp_tunnel *t;

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	datapath_serve_exit(net->n[1].dp);
	assert_int_equal(dp_tunnel_new(net->n[0].dp, none, foreign4, NULL, &t),
			 0);
	send_from(net, 1, foreign4, host6);
	assert_int_equal(collect(net, 0), 1);
	assert_int_equal(net_counters(net, 0).bad_source, 1);
	dp_tunnel_close(t, false);
}

/* only our lease may go out, through the exit too; and at the exit only the node's */
static void test_sources_of_the_node(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 10);

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	datapath_serve_exit(net->n[1].dp);
	s.src = other4;
	s.dst = host4;
	net_send(net, 0, &s);
	assert_int_equal(collect(net, 1), 0);
	assert_int_equal(net_counters(net, 0).bad_lease, 1);
	/* a node whose broker lets it pass all the same */
	datapath_set_lease(net->n[0].dp, other6, other4);
	net_send(net, 0, &s);
	assert_int_equal(collect(net, 1), 0);
	assert_int_equal(net_counters(net, 1).bad_source, 1);
}

/* a tunnel that ends is nobody's exit any more */
static void test_closed(void **state)
{
	struct net *net = *state;

	datapath_set_exit(net->n[0].dp, net->n[0].t);
	dp_tunnel_close(net->n[0].t, false);
	net->n[0].t = NULL;
	send_to(net, 0, host4, host6);
	net_settle(net);
	assert_int_equal(net->n[0].asked, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_through_the_exit),
		T(test_without_an_exit),
		T(test_virtual_addresses),
		T(test_special_sources),
		T(test_a_peer_of_another_slice),
		T(test_sources_of_the_node),
		T(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
