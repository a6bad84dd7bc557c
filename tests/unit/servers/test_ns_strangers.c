/* SPDX-License-Identifier: MIT */
/* test_ns_strangers - an NS and connections that do not, or must not, register */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ns_site.h"

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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(strangers),
		T(many_strangers),
		T(strangers_make_room),
		T(talks_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
