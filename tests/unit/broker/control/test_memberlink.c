/* SPDX-License-Identifier: MIT */
/* test_memberlink - when ntm-member is started, and again after it has died */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/account.h"
#include "broker/login.h"
#include "broker/session.h"
#include "broker/memberlink.h"
#include "broker/poster.h"

static struct worker w;
static struct account account;
static struct memberlink *m;
static char rundir[64];
static uint64_t now_ns;
static int peer = -1, kept = -1;
static unsigned int n_starts, n_renewals, n_looks;

void session_look(struct session *s)
{
	(void)s;
	n_looks++;
}

void login_renew_now(struct login *l)
{
	(void)l;
	n_renewals++;
}

int keeper_post(struct keeper_link *k, enum poster_kind kind, int *fd)
{
	int sv[2];

	(void)k;
	assert_int_equal(kind, POSTER_GROUPS);
	assert_true(peer < 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	peer = sv[1];
	*fd = sv[0];
	n_starts++;
	return 0;
}

int keeper_post_end(struct keeper_link *k, enum poster_kind kind)
{
	(void)k, (void)kind;
	return 0;
}

int keeper_fd_put(struct keeper_link *k, const char *key, int fd)
{
	(void)k;
	if (!strcmp(key, "member/l/member"))
		kept = fd;
	return 0;
}

int keeper_fd_del(struct keeper_link *k, const char *key)
{
	(void)k, (void)key;
	return 0;
}

void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg)
{
	(void)k, (void)prefix, (void)fn, (void)arg;
}

const char *keeper_rundir(const struct keeper_link *k)
{
	(void)k;
	return rundir;
}

static uint64_t clock_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static void pass(unsigned int s)
{
	now_ns += LOOP_S(s);
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_turn(w.loop, false), 0);
}

static void dies(void)
{
	close(peer);
	peer = -1;
	pass(0);
}

static void says(const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), 0), strlen(text));
	pass(0);
}

static int connects(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/" MEMBERLINK_SOCKET,
		 rundir);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	pass(0);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&account, 0, sizeof(account));
	now_ns = LOOP_S(1000);
	n_starts = n_renewals = n_looks = 0;
	strcpy(rundir, "/tmp/ntm-memberlink-XXXXXX");
	assert_non_null(mkdtemp(rundir));
	account.state_dir = rundir;
	account.logged_in = true;
	w.account = &account;
	assert_int_equal(loop_new(&w.loop), 0);
	loop_set_clock(w.loop, clock_ns, NULL, NULL);
	assert_int_equal(memberlink_new(&w, &m), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	memberlink_free(m);
	if (peer >= 0)
		close(peer);
	peer = -1;
	loop_free(w.loop);
	snprintf(command, sizeof(command), "rm -r %s", rundir);
	return system(command);
}

static void make_store(void)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "mkdir %s/member && : >%s/member/groups.db", rundir, rundir);
	assert_int_equal(system(command), 0);
}

/* who asks starts it, also without a login; it ends, and nobody misses it */
static void test_asked(void **state)
{
	int fd;

	(void)state;
	account.logged_in = false;
	memberlink_online(m);
	memberlink_session(m);
	pass(0);
	assert_int_equal(n_starts, 0);
	assert_true(kept >= 0);
	fd = connects();
	assert_int_equal(n_starts, 1);
	/* it takes the connection, and finds nothing to do */
	assert_true(close(accept(kept, NULL, NULL)) == 0);
	says("{\"say\":\"idle\"}");
	dies();
	pass(100);
	assert_int_equal(n_starts, 1);
	close(fd);
}

/* a device that is in groups has it, whatever happens to it */
static void test_kept(void **state)
{
	unsigned int i;

	(void)state;
	make_store();
	memberlink_online(m);
	assert_int_equal(n_starts, 1);
	says("{\"say\":\"keep\"}");
	dies();
	pass(0);
	assert_int_equal(n_starts, 2);
	/* over and over: later and later, and no later than a minute */
	for (i = 1; i <= 32; i *= 2) {
		dies();
		pass(i - 1);
		assert_int_equal(peer, -1);
		pass(1);
		assert_true(peer >= 0);
	}
	dies();
	pass(60);
	assert_true(peer >= 0);
	says("nonsense");
	assert_true(peer >= 0);
}

/* an item for it comes while none runs, and while one ends */
static void test_items(void **state)
{
	char buf[64] = "";

	(void)state;
	memberlink_items(m);
	assert_int_equal(n_starts, 1);
	memberlink_items(m);
	assert_true(recv(peer, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(buf, "{\"event\":\"items\"}");
	says("{\"say\":\"items\"}");
	says("{\"say\":\"items\"}"); /* once too often */
	says("{\"say\":\"idle\"}");
	dies();
	pass(10);
	assert_int_equal(n_starts, 1);
	memberlink_items(m);
	assert_int_equal(n_starts, 2);
	memberlink_items(m);
	says("{\"say\":\"idle\"}");
	dies(); /* and has not read it */
	pass(1);
	assert_int_equal(n_starts, 3);
	says("{\"say\":\"idle\"}");
	dies(); /* this one began with it */
	pass(60);
	assert_int_equal(n_starts, 3);
}

/* a login that names the domain's GMS is asked for, by that word alone */
static void test_renews(void **state)
{
	(void)state;
	close(connects());
	assert_int_equal(n_starts, 1);
	says("{\"say\":\"keep\"}");
	assert_int_equal(n_renewals, 0);
	says("{\"say\":\"renew\"}");
	assert_int_equal(n_renewals, 1);
}

/* a GMS has gone: is the DC the one that it was? */
static void test_looks(void **state)
{
	(void)state;
	close(connects());
	says("{\"say\":\"keep\"}");
	assert_int_equal(n_looks, 0);
	says("{\"say\":\"look\"}");
	assert_int_equal(n_looks, 1);
	assert_int_equal(n_renewals, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_asked),	T(test_kept),  T(test_items),
		T(test_renews), T(test_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
