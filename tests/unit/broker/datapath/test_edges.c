/* SPDX-License-Identifier: MIT */
/* test_edges - what the kernel's side of the data path is told, and when it breaks */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"

/* A TUN whose interface was deleted: an error at each read. */
static void test_tun_breaks(void **state)
{
	struct net *net = *state;

	shutdown(net->n[0].tun, SHUT_RDWR);
	net_settle(net);
	assert_int_equal(net->n[0].broken, 1);
	net_settle(net);
	assert_int_equal(net->n[0].broken, 1); /* said once */
	assert_int_equal(net->n[1].broken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, net_setup_bare, net_teardown)
		T(test_tun_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
