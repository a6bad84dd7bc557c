/* SPDX-License-Identifier: MIT */
/*
 * test_direct - items straight from one ntm-post to another, whose worker the test plays
 *
 * Between them is a relay of the test's own that counts, cuts and stops.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/absent.h"
#include "broker/post/arrival.h"
#include "broker/post/door.h"
#include "broker/post/link.h"
#include "broker/post/outbox_impl.h"
#include "common/addr.h"
#include "common/log.h"
#include "tests/unit/post/disk.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define LEGS_MAX 32
#define NEVER	 UINT64_MAX

/* one connection through the relay; @pair[0]: who came, @pair[1]: the door */
struct leg {
	int pair[2];
	struct loop_io *io[2];
};

/* @up, @down: bytes to the door and back, all in all; both are cut where @cut_up,
 * @cut_down say, once; @stop_up: nothing more goes there. @closed: nobody gets in */
static struct relay {
	int fd, door;
	struct loop_io *io;
	struct addr at, door_at;
	struct leg legs[LEGS_MAX];
	size_t n_legs;
	uint64_t up, down, cut_up, cut_down, stop_up;
	bool closed;
} r;

static struct worker_played {
	int fd;
	struct loop_io *io;
	const char *name; /* who it says is there */
	unsigned int asked;
} played;

/* --- the relay
 * ------------------------------------------------------------------------------- */

static void leg_close(struct leg *l)
{
	for (int i = 0; i < 2; i++) {
		if (!l->io[i])
			continue;
		loop_io_del(l->io[i]);
		close(l->pair[i]);
		l->io[i] = NULL;
	}
}

static void pass(struct leg *l, int from)
{
	uint64_t *n = from ? &r.down : &r.up;
	uint64_t *cut = from ? &r.cut_down : &r.cut_up;
	size_t want = 65536;
	char buf[65536];
	ssize_t got;

	if (*cut - *n < want)
		want = (size_t)(*cut - *n);
	if (!from && r.stop_up - r.up < want)
		want = (size_t)(r.stop_up - r.up);
	if (!want) {
		loop_io_set(l->io[from], 0);
		return;
	}
	got = recv(l->pair[from], buf, want, MSG_DONTWAIT);
	/* both are on this loop: what the other has not read yet fits */
	if (got > 0 &&
	    send(l->pair[!from], buf, (size_t)got, MSG_NOSIGNAL) != got)
		got = -1; /* it has hung up */
	if (got > 0)
		*n += (uint64_t)got;
	if (got <= 0 || *n == *cut) {
		if (*n == *cut)
			*cut = NEVER;
		leg_close(l);
	}
}

static void on_leg(void *arg, int fd, unsigned int events)
{
	struct leg *l = arg;

	(void)events;
	pass(l, fd == l->pair[1]);
}

static int dial(const struct addr *to)
{
	int size = 8 << 20, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
	return fd;
}

static void on_relay(void *arg, int fd, unsigned int events)
{
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	struct leg *l = &r.legs[r.n_legs++ % LEGS_MAX];

	(void)arg, (void)events;
	assert_true(s >= 0);
	if (r.closed) {
		close(s);
		return;
	}
	l->pair[0] = s;
	l->pair[1] = dial(&r.door_at);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_io_add(w.loop, l->pair[i], LOOP_READ,
					     false, on_leg, l, &l->io[i]),
				 0);
}

static int listener(struct addr *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(addr_parse("127.0.0.1:0", 0, at), 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

/* --- CN's worker
 * ---------------------------------------------------------------------------- */

static void on_link(void *arg, int fd, unsigned int events)
{
	char buf[512], answer[512];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *j = n > 0 ? json_loadb(buf, (size_t)n, 0, NULL) : NULL;

	(void)arg, (void)events;
	if (!strcmp(text(j, "say"), "who")) {
		played.asked++;
		snprintf(answer, sizeof(answer),
			 "{\"event\":\"who\",\"address\":\"%s\"%s%s%s}",
			 text(j, "address"), played.name ? ",\"name\":\"" : "",
			 played.name ? played.name : "",
			 played.name ? "\"" : "");
		assert_true(send(fd, answer, strlen(answer), 0) > 0);
	}
	json_decref(j);
}

static void door_make(void)
{
	int sv[2], fd = dup(r.door);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	played.fd = sv[0];
	assert_int_equal(loop_io_add(w.loop, sv[0], LOOP_READ, false, on_link,
				     NULL, &played.io),
			 0);
	assert_int_equal(link_open(&w.cn.post, sv[1], &w.cn.post.link), 0);
	assert_int_equal(door_open(&w.cn.post, &fd, 1, &w.cn.post.door), 0);
}

static void played_end(void)
{
	loop_io_del(played.io);
	close(played.fd);
}

static int setup(void **state)
{
	int err = ends_open(state);

	memset(&r, 0, sizeof(r));
	r.cut_up = r.cut_down = r.stop_up = NEVER;
	played = (struct worker_played){.name = MN};
	r.door = listener(&r.door_at);
	r.fd = listener(&r.at);
	assert_int_equal(loop_io_add(w.loop, r.fd, LOOP_READ, false, on_relay,
				     NULL, &r.io),
			 0);
	w.mn.post.door_at = &r.at;
	door_make();
	return err;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < LEGS_MAX; i++)
		leg_close(&r.legs[i]);
	loop_io_del(r.io);
	close(r.fd);
	close(r.door);
	played_end();
	return ends_close(state);
}

/* --- tests
 * ------------------------------------------------------------------------------ */

static void went(const char *by)
{
	json_t *j = newest(&w.mn, "outbox");

	assert_string_equal(
		text(json_array_get(json_object_get(j, "to"), 0), "by"), by);
	json_decref(j);
}

static void test_straight(void **state)
{
	json_int_t before = fault("{}");
	json_t *j;

	(void)state;
	send_big(3000000);
	big_here();
	went("direct");
	send_item(json_pack("{s:s, s:s}", "text", "hello", "message",
			    "gr\xc3\xbc\xc3\x9f 100%"));
	j = await(&w.cn, "inbox", "here");
	assert_string_equal(text(j, "message"), "gr\xc3\xbc\xc3\x9f 100%");
	taken(j);
	outbox_is("done", "received");
	went("direct");
	assert_int_equal(fault("{}"), before);
	assert_in_range(r.up, 3000000, 3000000 + 20000);
}

/* "I have it" is said when it is on the disk; see test_order. */
static void test_order(void **state)
{
	json_t *j = NULL;

	(void)state;
	disk_watch(w.cn.state);
	send_big(300000);
	do { /* nobody asks servers meanwhile */
		assert_int_equal(loop_turn(w.loop, true), 0);
		json_decref(j);
		j = newest(&w.cn, "inbox");
	} while (strcmp(text(j, "state"), "here") || !disk.said);
	json_decref(j);
	disk_in_order();
	disk_watch(NULL);
	big_here();
	went("direct");
}

/* The connection breaks, anywhere: it goes on at the very byte. */
static void test_cut(void **state)
{
	static const uint64_t cuts[] = {100000, 100500, 700001, 1999999};
	size_t i;

	(void)state;
	send_big(2000000);
	for (i = 0; i < ARRAY_LEN(cuts); i++) {
		uint64_t next = 0;

		r.cut_up = cuts[i];
		while (r.cut_up != NEVER)
			turn(&next);
	}
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 0);
	/* four times a header and the keys; of the blob not a byte */
	assert_in_range(r.up, 2000000, 2000000 + 20000);
}

/* What it said last is lost: it says so again, and nothing is sent again. */
static void test_word_lost(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	send_big(2000000);
	while (r.up < 1000000)
		turn(&next);
	r.cut_down = r.down + 250; /* within the answer to the completion */
	j = await(&w.cn, "inbox", "here");
	outbox_is("done", "received");
	went("direct");
	taken(j);
	assert_true(r.cut_down == NEVER);
	assert_in_range(r.up, 2000000, 2000000 + 20000);
}

/* Nobody gets through any more: by the Cache Server, and from there the rest alone. */
static void test_fall_back(void **state)
{
	uint64_t next = 0;

	(void)state;
	send_big(2000000);
	r.cut_up = 1200000;
	while (r.cut_up != NEVER)
		turn(&next);
	r.closed = true;
	big_here();
	went("server");
	assert_in_range(fault("{}"), 2000000, 2000000 + 800000 + 65552 + 4096);
}

/* The Cache Server hears that it may forget its part. */
static void forgotten(void)
{
	uint64_t next = 0, end = loop_now_exact(w.loop) + LOOP_S(10);

	while (servers_count("{}", "cancelled") != 1) {
		assert_true(loop_now_exact(w.loop) < end);
		turn(&next);
	}
}

/* The Cache Server has its key and some of it, and is gone: who is online by the next try
 * gets it straight, and that server is told to forget its part. */
static void test_back(void **state)
{
	uint64_t next = 0;

	(void)state;
	r.closed = true;
	fault("{\"cut\": 500000}");
	send_big(2000000);
	while (fault("{}") < 500000)
		turn(&next);
	r.closed = false;
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 500000);
	forgotten();
}

/* Of several who have a key there all get it there, and it stays one item. */
static void test_several(void **state)
{
	uint64_t next = 0;

	(void)state;
	r.closed = true;
	fault("{\"cut\": 500000}");
	file_fill(at("%s/big", w.dir), 2000000, 9);
	send_item(json_pack("{s:[s], s:[s, s]}", "files", at("%s/big", w.dir),
			    "to", CN, MN));
	while (fault("{}") < 500000)
		turn(&next);
	r.closed = false;
	json_decref(await(&w.cn, "inbox", "here"));
	went("server");
	assert_int_equal(servers_count("{}", "cancelled"), 0);
}

static void look(struct sending *s)
{
	uint64_t next = 0;

	assert_non_null(s->look);
	loop_timer_arm(s->look, 0);
	do {
		turn(&next);
	} while (!loop_timer_armed(s->look) || s->looking);
}

/* The Cache Server is getting a large one when its receiver comes online. */
static void test_look(void **state)
{
	struct sending *s;
	unsigned int looks;
	uint64_t next = 0;

	(void)state;
	r.closed = true;
	fault("{\"hold\": 1000000}");
	send_big(24000000);
	while (fault("{}") < 1000000)
		turn(&next);
	s = outbox_job_find(w.mn.post.outbox, 1);
	assert_non_null(s);
	looks = s->looks;
	look(s); /* nobody: it goes on as it was */
	assert_int_equal(s->looks, looks + 1);
	assert_non_null(s->call);
	r.closed = false;
	loop_timer_arm(s->look, 0);
	big_here();
	went("direct");
	assert_in_range(fault("{}"), 1000000, 1000000 + 65536);
	forgotten();
}

/* ... and goes again before it has all: the rest by the server, from there on. */
static void test_look_in_vain(void **state)
{
	uint64_t next = 0, up;

	(void)state;
	r.closed = true;
	fault("{\"hold\": 1000000}");
	send_big(24000000);
	while (fault("{}") < 1000000)
		turn(&next);
	r.closed = false;
	r.cut_up = up = r.up + 3000000;
	loop_timer_arm(outbox_job_find(w.mn.post.outbox, 1)->look, 0);
	while (r.cut_up != NEVER)
		turn(&next);
	r.closed = true;
	fault("{\"hold\": null}");
	big_here();
	went("server");
	/* all of it went up there, and of that the receiver has fetched the rest */
	assert_in_range(fault("{}"), 2 * 24000000 - 3000000 - 70000,
			2 * 24000000 - 3000000 + 200000);
}

/* Who could not be reached is not looked for again at once. */
static void test_absent(void **state)
{
	uint64_t next = 0;

	(void)state;
	loop_io_del(r.io);
	close(r.fd);
	send_item(json_pack("{s:s}", "text", "one"));
	while (!absent_is(w.mn.post.absent, CN, loop_now(w.loop)))
		turn(&next);
	outbox_is("done", "received");
	went("server");
	r.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r.fd, &r.at.sa, addr_len(&r.at)), 0);
	assert_int_equal(listen(r.fd, 8), 0);
	assert_int_equal(loop_io_add(w.loop, r.fd, LOOP_READ, false, on_relay,
				     NULL, &r.io),
			 0);
	absent_put(w.mn.post.absent, CN, loop_now(w.loop) + LOOP_S(ABSENT_S));
	send_item(json_pack("{s:s}", "text", "two"));
	outbox_is("done", "received");
	went("server");
	assert_int_equal(r.n_legs, 0);
	while (absent_is(w.mn.post.absent, CN, loop_now(w.loop)))
		turn(&next);
	send_item(json_pack("{s:s}", "text", "three"));
	outbox_is("done", "received");
	went("direct");
}

/* Both ends end in the middle, without a word, and begin again. */
static void test_restart(void **state)
{
	uint64_t next = 0;
	int i, k;

	(void)state;
	send_big(4000000);
	for (i = 0; i < 12; i++) {
		for (k = 0; k < 3 + 4 * i; k++)
			turn(&next);
		post_close(&w.mn.post);
		post_close(&w.cn.post);
		played_end();
		end_run(&w.cn);
		door_make();
		end_run(&w.mn);
	}
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 0);
}

static void test_not_allowed(void **state)
{
	json_t *j;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "POLICY");
	json_decref(j);
	outbox_is("waiting", NULL);
	went("server");
	assert_in_range(r.down, 0, 0); /* not a word */
}

/* Whose address it is nobody knows, or another one's: not read, or not believed. */
static void test_nobody_knows(void **state)
{
	(void)state;
	played.name = NULL;
	send_big(1000);
	big_here();
	went("server");
	assert_int_not_equal(played.asked, 0);
	assert_in_range(r.down, 0, 0);
	played.name = "tablet.mn.example.org"; /* allowed, as its account is */
	send_big(2000);
	big_here();
	went("server");
}

/* A name that is given to another item: what was said of the old one is not believed. */
static void test_name_again(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s, s:s}", "text", "one", "item", "x"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	went("direct");
	post_close(&w.mn.post);
	unlink(at("%s/post/post.db", w.mn.state));
	unlink(at("%s/post/post.db-wal", w.mn.state));
	unlink(at("%s/post/post.db-shm", w.mn.state));
	end_run(&w.mn);
	send_item(json_pack("{s:s, s:s}", "text", "two", "item", "x"));
	j = await(&w.cn, "inbox", "here");
	file_get(at("%s/tree/text", text(j, "folder")), "two");
	taken(j);
	outbox_is("done", "received");
	went("server");
}

static void test_cancel(void **state)
{
	uint64_t next = 0;
	struct stat st;
	json_t *j;

	(void)state;
	send_big(2000000);
	r.stop_up = 500000;
	while (r.up < r.stop_up)
		turn(&next);
	assert_int_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
	j = ask(&w.mn, json_pack("{s:s, s:i}", "cmd", "cancel", "id", 1));
	assert_true(json_is_true(json_object_get(j, "ok")));
	json_decref(j);
	r.stop_up = NEVER;
	outbox_is("cancelled", NULL);
	assert_null(newest(&w.cn, "inbox"));
	assert_int_not_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
}

/* how many of MN's items have gone straight */
static size_t straight(void)
{
	json_t *answer = ask(&w.mn, json_pack("{s:s}", "cmd", "outbox")), *j;
	size_t n = 0, i;

	json_array_foreach(json_object_get(answer, "items"), i, j) n +=
		!strcmp(text(j, "state"), "done") &&
		!strcmp(text(json_array_get(json_object_get(j, "to"), 0), "by"),
			"direct");
	json_decref(answer);
	return n;
}

static size_t here(void)
{
	json_t *answer = ask(&w.cn, json_pack("{s:s}", "cmd", "inbox"));
	size_t n = json_array_size(json_object_get(answer, "items"));

	json_decref(answer);
	return n;
}

/* Of many small ones each is a part of a request, on connections that stay; an answer
 * that is lost is asked for again, and nothing is here twice. */
static void test_together(void **state)
{
	uint64_t next = 0;
	char words[32];
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(words, sizeof(words), "text %d", i);
		send_item(json_pack("{s:s}", "text", words));
		if (i == 50)
			r.cut_down = r.down + 100;
	}
	while (straight() < 100)
		turn(&next);
	assert_true(r.cut_down == NEVER);
	assert_int_equal(here(), 100);
	assert_int_equal(fault("{}"), 0);
	assert_in_range(r.n_legs, 2, 8);
}

/* so many items from MN, which nobody has taken */
static void rows_fill(int n)
{
	struct store *st = w.cn.post.store;
	char item[16];

	assert_int_equal(store_begin(st), 0);
	while (n--) {
		snprintf(item, sizeof(item), "row-%d", n);
		store_bind_text(st, IN_DIRECT_NEW, 1, MN);
		store_bind_text(st, IN_DIRECT_NEW, 2, "ntm");
		store_bind_text(st, IN_DIRECT_NEW, 3, "text");
		store_bind_text(st, IN_DIRECT_NEW, 4, item);
		store_bind_text(st, IN_DIRECT_NEW, 5, "");
		store_bind_int(st, IN_DIRECT_NEW, 6, 1);
		store_bind_int(st, IN_DIRECT_NEW, 7, post_now(&w.cn.post));
		store_bind_int(st, IN_DIRECT_NEW, 8, INT64_MAX);
		assert_int_equal(store_run(st, IN_DIRECT_NEW), 0);
	}
	assert_int_equal(store_commit(st), 0);
}

static void row_taken(int64_t id)
{
	struct store *st = w.cn.post.store;

	store_bind_int(st, IN_STATE, 1, id);
	store_bind_int(st, IN_STATE, 2, IN_TAKEN);
	store_bind_int(st, IN_STATE, 3, 0);
	store_bind_text(st, IN_STATE, 4, "");
	assert_int_equal(store_run(st, IN_STATE), 0);
}

/* Of one device so many may wait, and no more; what is taken makes room. */
static void test_waiting(void **state)
{
	int i;

	(void)state;
	rows_fill(ARRIVAL_WAITING_MAX - 1);
	send_item(json_pack("{s:s}", "text", "the last one"));
	outbox_is("done", "received");
	went("direct");
	send_item(json_pack("{s:s}", "text", "one too many"));
	outbox_is("done", "received");
	went("server");
	for (i = 1; i <= 10; i++)
		row_taken(i);
	for (i = 0; i < 9; i++) {
		send_item(json_pack("{s:s}", "text", "there is room"));
		outbox_is("done", "received");
		went("direct");
	}
	send_item(json_pack("{s:s}", "text", "and none again"));
	outbox_is("done", "received");
	went("server");
}

/* What is no text is no message here, as it is none at a Cache Server. */
static void test_message(void **state)
{
	const char *to = CN;
	struct outbox_order o = {.ids = {"ntm", "text", "x1"}, .to = &to};
	struct pack_result what;
	int64_t id;

	(void)state;
	o.n_to = 1;
	o.text = "one";
	o.message = "gr\xfc";
	assert_int_equal(outbox_send(w.mn.post.outbox, &o, &id, &what), 0);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", NULL);
	went("server");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_straight),	 TEST(test_order),
		TEST(test_cut),		 TEST(test_word_lost),
		TEST(test_fall_back),	 TEST(test_back),
		TEST(test_several),	 TEST(test_look),
		TEST(test_look_in_vain), TEST(test_restart),
		TEST(test_not_allowed),	 TEST(test_nobody_knows),
		TEST(test_name_again),	 TEST(test_cancel),
		TEST(test_absent),	 TEST(test_together),
		TEST(test_waiting),	 TEST(test_message),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
