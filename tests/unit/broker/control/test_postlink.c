/* SPDX-License-Identifier: MIT */
/* test_postlink - when ntm-post is started, and what it is told */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "broker/account.h"
#include "broker/memberlink.h"
#include "broker/posterlink.h"
#include "broker/postlink.h"
#include "broker/resolve.h"
#include "broker/session.h"

static struct worker w;
static struct account account;
static struct postlink *p;
static enum session_state online;
static char rundir[64];
static uint64_t now_ns;

/* --- a keeper -------------------------------------------------------------------- */

static int peer = -1; /* ntm-post's end of the link */
static unsigned int n_starts, n_ends;
static int start_err;
static struct kept {
	char key[KEEPER_KEY_MAX];
	int fd;
} kept[8];

int keeper_post(struct keeper_link *k, enum poster_kind kind, int *fd)
{
	int sv[2];

	(void)k;
	assert_int_equal(kind, POSTER_ITEMS);
	if (start_err)
		return start_err;
	assert_true(peer < 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	peer = sv[1];
	*fd = sv[0];
	n_starts++;
	return 0;
}

int keeper_post_end(struct keeper_link *k, enum poster_kind kind)
{
	(void)k;
	assert_int_equal(kind, POSTER_ITEMS);
	n_ends++;
	return 0;
}

int keeper_socket(struct keeper_link *k, int domain, int type, int protocol,
		  int *fd)
{
	(void)k;
	*fd = socket(domain, type | SOCK_NONBLOCK, protocol);
	return *fd < 0 ? -NTM_ESYSTEM : 0;
}

static struct kept *kept_find(const char *key)
{
	for (size_t i = 0; i < 8; i++)
		if (!strcmp(kept[i].key, key))
			return &kept[i];
	return NULL;
}

int keeper_fd_put(struct keeper_link *k, const char *key, int fd)
{
	struct kept *x = kept_find(key);

	(void)k;
	if (x)
		close(x->fd);
	else
		x = kept_find("");
	strcpy(x->key, key);
	x->fd = dup(fd);
	return 0;
}

int keeper_fd_del(struct keeper_link *k, const char *key)
{
	struct kept *x = kept_find(key);

	(void)k;
	if (!x)
		return -NTM_ENOTFOUND;
	close(x->fd);
	memset(x, 0, sizeof(*x));
	return 0;
}

void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg)
{
	(void)k;
	for (size_t i = 0; i < 8; i++)
		if (kept[i].key[0] &&
		    !strncmp(kept[i].key, prefix, strlen(prefix)))
			fn(arg, kept[i].key, dup(kept[i].fd));
}

void memberlink_items(struct memberlink *m)
{
	(void)m;
}

const char *keeper_rundir(const struct keeper_link *k)
{
	(void)k;
	return rundir;
}

enum session_state session_state(const struct session *s)
{
	(void)s;
	return online;
}

const char *resolve_reverse(struct resolve *r, const struct addr *vip)
{
	char text[ADDR_TEXT_LEN];

	(void)r;
	return strcmp(addr_format_ip(vip, text), "fd6e::9")
		       ? NULL
		       : "desk.bob.example.org";
}

/* --- the test's hands ---------------------------------------------------------------- */

static uint64_t clock_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static int64_t clock_s(void *arg)
{
	(void)arg;
	return 1800000000;
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_turn(w.loop, false), 0);
}

static void pass(unsigned int s)
{
	now_ns += LOOP_S(s);
	turn();
}

static int setup(void **state)
{
	static const uint8_t vip6[16] = {0xfd, 0x6e, [15] = 7};

	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&account, 0, sizeof(account));
	now_ns = LOOP_S(1000);
	n_starts = n_ends = 0;
	start_err = 0;
	online = SESSION_REGISTERING;
	strcpy(rundir, "/tmp/ntm-postlink-XXXXXX");
	assert_non_null(mkdtemp(rundir));
	assert_int_equal(loop_new(&w.loop), 0);
	loop_set_clock(w.loop, clock_ns, clock_s, NULL);
	memcpy(account.cert.vip6, vip6, 16);
	w.account = &account;
	assert_int_equal(postlink_new(&w, &p), 0);
	return 0;
}

static void post_dies(void)
{
	close(peer);
	peer = -1;
	turn();
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	postlink_free(p);
	if (peer >= 0)
		close(peer);
	peer = -1;
	for (size_t i = 0; i < 8; i++)
		if (kept[i].key[0])
			close(kept[i].fd);
	memset(kept, 0, sizeof(kept));
	loop_free(w.loop);
	snprintf(command, sizeof(command), "rm -rf %s", rundir);
	assert_int_equal(system(command), 0);
	return 0;
}

static void log_in(void)
{
	account.logged_in = true;
	postlink_logged_in(p);
	online = SESSION_ONLINE;
	postlink_online(p);
	turn();
}

static void says(const char *text)
{
	assert_true(send(peer, text, strlen(text), 0) > 0);
	turn();
}

static void hears(const char *event, long long serial)
{
	char buf[POSTERLINK_MESSAGE_MAX];
	ssize_t n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *o = n > 0 ? json_loadb(buf, (size_t)n, 0, NULL) : NULL;

	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "event")),
			    event);
	assert_int_equal(json_integer_value(json_object_get(o, "serial")),
			 serial);
	json_decref(o);
}

static void hears_nothing(void)
{
	char buf[64];

	assert_true(recv(peer, buf, sizeof(buf), MSG_DONTWAIT) < 0);
}

/* it read @events messages and ends */
static void goes(unsigned int events, unsigned int again_s)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "{\"say\":\"idle\",\"events\":%u,\"again_s\":%u}", events,
		 again_s);
	says(text);
	post_dies();
}

/* --- tests ------------------------------------------------------------------------------- */

static void once_after_login(void **state)
{
	(void)state;
	postlink_online(p); /* nobody is logged in */
	assert_int_equal(n_starts, 0);
	log_in();
	assert_int_equal(n_starts, 1);
	hears("start", 0);
	goes(1, 0);
	postlink_online(p);
	assert_int_equal(n_starts, 1);
	/* a renewal: it looks again */
	postlink_logged_in(p);
	assert_int_equal(n_starts, 2);
}

static void notices(void **state)
{
	(void)state;
	log_in();
	hears("start", 0);
	postlink_serial(p, 5);
	hears("notice", 5);
	postlink_serial(p, 5);
	postlink_serial(p, 0);
	hears_nothing();
	goes(2, 0);
	assert_int_equal(n_starts, 1);
	postlink_serial(p, 0);
	assert_int_equal(n_starts, 1);
	postlink_serial(p, 6);
	assert_int_equal(n_starts, 2);
	hears("start", 6);
	/* what it has not read starts it again */
	says("{\"say\":\"idle\",\"events\":1}");
	postlink_serial(p, 7);
	post_dies();
	assert_int_equal(n_starts, 3);
	hears("start", 7);
	postlink_policy(p);
	hears("policy", 0);
	postlink_online(p);
	hears("online", 0);
	postlink_logged_in(p);
	hears("session", 0);
}

/* A saved session: the list's number is known before the worker is online. Whoever
 * is started for it can be asked, too. */
static void number_first(void **state)
{
	(void)state;
	account.logged_in = true;
	postlink_serial(p, 5);
	assert_int_equal(n_starts, 1);
	hears("start", 5);
	assert_non_null(kept_find("post/l/post"));
	assert_non_null(kept_find("post/l/tcp6"));
}

/* Who is at the other end of a connection: the worker's word, or that it has none */
static void who(void **state)
{
	static const char *const asked[] = {"fd6e::9", "fd6e::8", "nonsense"};
	char buf[POSTERLINK_MESSAGE_MAX], text[128];
	json_t *o;

	(void)state;
	log_in();
	hears("start", 0);
	for (size_t i = 0; i < 3; i++) {
		ssize_t n;

		snprintf(text, sizeof(text),
			 "{\"say\":\"who\",\"address\":\"%s\"}", asked[i]);
		says(text);
		n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
		assert_true(n > 0);
		o = json_loadb(buf, (size_t)n, 0, NULL);
		assert_string_equal(
			json_string_value(json_object_get(o, "event")), "who");
		assert_string_equal(
			json_string_value(json_object_get(o, "address")),
			asked[i]);
		if (i)
			assert_null(
				json_string_value(json_object_get(o, "name")));
		else
			assert_string_equal(
				json_string_value(json_object_get(o, "name")),
				"desk.bob.example.org");
		json_decref(o);
	}
	says("{\"say\":\"who\"}");
	hears_nothing();
	/* they count as messages that it has read */
	goes(4, 0);
	assert_int_equal(n_starts, 1);
}

static void alarms(void **state)
{
	(void)state;
	log_in();
	goes(1, 30);
	pass(29);
	assert_int_equal(n_starts, 1);
	pass(2);
	assert_int_equal(n_starts, 2);
	goes(1, 30);
	/* logged out: nothing is sent or fetched */
	account.logged_in = false;
	postlink_logged_out(p);
	pass(100);
	assert_int_equal(n_starts, 2);
}

static void deaths(void **state)
{
	unsigned int wait = 1;

	(void)state;
	log_in();
	says("{\"say\":\"busy\"}");
	post_dies();
	pass(0);
	assert_int_equal(n_starts, 2); /* at once, then slower */
	for (unsigned int n = 2; n < 10; n++) {
		post_dies();
		pass(wait - 1);
		assert_int_equal(n_starts, n);
		pass(1);
		assert_int_equal(n_starts, n + 1);
		wait = wait * 2 > 60 ? 60 : wait * 2;
	}
	/* one that ran for long is forgiven */
	pass(61);
	post_dies();
	pass(0);
	assert_int_equal(n_starts, 11);
	/* and one that has done its work */
	goes(1, 0);
	pass(1000);
	assert_int_equal(n_starts, 11);
	/* nonsense is no word */
	postlink_serial(p, 1);
	says("{\"say\":7}");
	says("[[[");
	says("{\"say\":\"idle\",\"events\":\"x\",\"again_s\":-5}");
	post_dies();
	assert_int_equal(n_starts, 13);
}

static int knock(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/" POSTLINK_SOCKET,
		 rundir);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	turn();
	return fd;
}

static void connections(void **state)
{
	struct stat st;
	char path[128];
	int fd;

	(void)state;
	log_in();
	snprintf(path, sizeof(path), "%s/" POSTLINK_SOCKET, rundir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_non_null(kept_find("post/l/post"));
	assert_non_null(kept_find("post/l/tcp6"));
	assert_null(kept_find("post/l/tcp4")); /* we have none */
	fd = knock();			       /* it runs: its own business */
	close(accept(kept_find("post/l/post")->fd, NULL, NULL));
	close(fd);
	goes(1, 0);
	assert_int_equal(n_starts, 1);
	fd = knock();
	assert_int_equal(n_starts, 2);
	close(accept(kept_find("post/l/post")->fd, NULL, NULL));
	close(fd);
}

/* who asks is answered, also without a login; not over and over by one that dies */
static void logged_out(void **state)
{
	int fd, next;

	(void)state;
	fd = knock();
	assert_int_equal(n_starts, 1);
	says("{\"say\":\"busy\"}");
	post_dies();
	pass(0);
	assert_int_equal(n_starts, 2);
	post_dies();
	assert_int_equal(n_starts, 2);
	pass(1);
	assert_int_equal(n_starts, 3);
	next = kept_find("post/l/post")->fd;
	close(accept(next, NULL, NULL));
	close(fd);
	goes(1, 30);
	pass(100); /* nothing is done without a login */
	assert_int_equal(n_starts, 3);
}

/* a worker dies, ntm-post goes on */
static void next_worker(void **state)
{
	(void)state;
	log_in();
	hears("start", 0);
	postlink_free(p);
	assert_int_equal(postlink_new(&w, &p), 0);
	online = SESSION_REGISTERING;
	log_in();
	assert_int_equal(n_starts, 1);
	hears("session", 0);
	hears("online", 0);
	postlink_serial(p, 9);
	hears("notice", 9);
	says("{\"say\":\"busy\"}");
	assert_non_null(kept_find("post/link"));
	post_dies();
	assert_int_equal(n_starts, 2);
	/* one runs whose link is lost: it is ended, another one comes */
	post_dies();
	start_err = -NTM_EEXISTS;
	pass(1);
	assert_int_equal(n_ends, 1);
	start_err = 0;
	pass(1);
	assert_int_equal(n_starts, 3);
}

static void other_addresses(void **state)
{
	(void)state;
	log_in();
	account.cert.vip6[15] = 8;
	account.cert.vip4[0] = 127;
	account.cert.vip4[3] = 9;
	postlink_logged_in(p);
	assert_int_equal(n_ends, 1);
	assert_non_null(kept_find("post/l/tcp4"));
	says("{\"say\":\"idle\",\"events\":2}");
	post_dies();
	postlink_logged_in(p); /* the same once more */
	assert_int_equal(n_ends, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(once_after_login), T(notices),
		T(number_first),     T(who),
		T(alarms),	     T(deaths),
		T(connections),	     T(logged_out),
		T(next_worker),	     T(other_addresses),
	};

	return cmocka_run_group_tests_name("postlink", tests, NULL, NULL);
}
