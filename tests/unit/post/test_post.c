/* SPDX-License-Identifier: MIT */
/*
 * test_post - items from one ntm-post to another, with servers played by servers.py
 *
 * Both ends run in this process, on one loop, as they do in two of their own: only
 * their state folders and the servers are between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/post/prekeys.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/file.h"
#include "common/log.h"
#include "tests/unit/common/pki.h"
#include "tests/unit/post/fixture.h"

#define MN     "laptop.mn.example.org"
#define CN     "desk.cn.example.org"
#define WAIT_S 20

struct end {
	const char *fqdn;
	char *state;
	struct post post;
};

static struct world {
	char dir[64];
	struct pki *pki;
	pid_t servers;
	uint16_t port;
	struct loop *loop;
	struct end mn, cn;
} w;

/* --- the servers
 * ------------------------------------------------------------------------ */

static void server_pem(char *path, size_t size)
{
	char key[512], cert[NTMC_PEM_MAX];
	struct pki_id id;

	/* one name is enough: the two servers are one here */
	pki_issue(w.pki, NTMC_CERT_SERVER, "box.example.org", NTMC_ROLE_CS, -60,
		  86400, &id);
	assert_int_equal(ntmc_identity_pem(&id.id, key, sizeof(key)), 0);
	assert_int_equal(ntmc_cert_pem(id.der, id.len, cert, sizeof(cert)), 0);
	snprintf(path, size, "%s/server.pem", w.dir);
	file_put(path, at("%s%s", key, cert), strlen(key) + strlen(cert));
}

static void servers_start(void)
{
	char pem[256], line[32] = "";
	int out[2];

	server_pem(pem, sizeof(pem));
	assert_int_equal(pipe(out), 0);
	w.servers = fork();
	assert_true(w.servers >= 0);
	if (!w.servers) {
		dup2(out[1], STDOUT_FILENO);
		execl("/usr/bin/python3", "python3",
		      "tests/unit/post/servers.py", pem, NULL);
		_exit(127);
	}
	close(out[1]);
	assert_true(read(out[0], line, sizeof(line) - 1) > 0);
	close(out[0]);
	w.port = (uint16_t)atoi(line);
	assert_true(w.port);
}

static bool told;
static json_int_t told_bytes;

static void on_told(void *arg, const struct web_answer *a)
{
	(void)arg;
	assert_int_equal(a->status, 200);
	told_bytes = json_integer_value(json_object_get(a->json, "bytes"));
	told = true;
}

/* A fault for the servers. Return: bytes of blobs they have moved so far */
static json_int_t fault(const char *json)
{
	struct web_server box;
	struct web_call *call;
	struct post_ask ask = {
		.server = &box, .method = "POST", .path = "/test"};
	json_t *j = json_loads(json, 0, NULL);

	assert_non_null(j);
	ask.json = j;
	told = false;
	assert_int_equal(post_box(&w.mn.post, &box), 0);
	assert_int_equal(post_ask(&w.mn.post, &ask, on_told, NULL, &call), 0);
	json_decref(j);
	while (!told)
		assert_int_equal(loop_turn(w.loop, true), 0);
	return told_bytes;
}

/* --- the ends
 * --------------------------------------------------------------------------- */

static void end_session(struct end *e)
{
	Ntm__State__Session s = NTM__STATE__SESSION__INIT;
	uint8_t token[WHO_TOKEN_LEN] = {7}, dc[STATEFILE_ADDR_MAX];
	ProtobufCBinaryData dc_data;
	struct pki_id id;
	struct addr a;

	pki_issue(w.pki, NTMC_CERT_NODE, e->fqdn, 0, -60, 86400, &id);
	assert_int_equal(
		ntmc_identity_save(&id.id, at("%s/identity.key", e->state)), 0);
	assert_int_equal(addr_parse("127.0.0.1:4502", 0, &a), 0);
	dc_data.len = statefile_addr_put(&a, dc);
	dc_data.data = dc;
	s.fqdn = (char *)e->fqdn;
	s.certificate = (ProtobufCBinaryData){id.len, id.der};
	s.ca = (ProtobufCBinaryData){w.pki->ca_len, w.pki->ca_der};
	s.token = (ProtobufCBinaryData){sizeof(token), token};
	s.dc = &dc_data;
	s.n_dc = 1;
	s.box_port = w.port;
	assert_int_equal(statefile_save(e->state, "session", &s.base), 0);
}

static void end_run(struct end *e)
{
	memset(&e->post, 0, sizeof(e->post));
	e->post.loop = w.loop;
	assert_int_equal(post_open(&e->post, e->state, e->state), 0);
	assert_true(e->post.who.logged_in);
	post_work(&e->post);
}

static void end_open(struct end *e, const char *fqdn, const char *name)
{
	e->fqdn = fqdn;
	e->state = strdup(at("%s/%s", w.dir, name));
	mkdir(e->state, 0700);
	end_session(e);
	end_run(e);
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	folder_make(w.dir);
	w.pki = pki_new("example.org");
	servers_start();
	assert_int_equal(loop_new(&w.loop), 0);
	end_open(&w.mn, MN, "mn");
	end_open(&w.cn, CN, "cn");
	file_put(at("%s/policy", w.cn.state), "allow mn.example.org\n", 21);
	who_load_policy(&w.cn.post.who);
	while (prekeys_busy(w.cn.post.prekeys))
		assert_int_equal(loop_turn(w.loop, true), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	post_close(&w.mn.post);
	post_close(&w.cn.post);
	loop_free(w.loop);
	kill(w.servers, SIGTERM);
	waitpid(w.servers, NULL, 0);
	pki_free(w.pki);
	free(w.mn.state);
	free(w.cn.state);
	folder_remove(w.dir);
	return 0;
}

/* --- asking as clients do
 * ---------------------------------------------------------------- */

static json_t *ask(struct end *e, json_t *request)
{
	json_t *answer = face_command(&e->post, request);

	json_decref(request);
	assert_non_null(answer);
	return answer;
}

/* The newest item of a list; NULL: none. A new reference */
static json_t *newest(struct end *e, const char *list)
{
	json_t *answer = ask(e, json_pack("{s:s}", "cmd", list));
	json_t *items = json_object_get(answer, "items");
	json_t *last = json_array_get(items, json_array_size(items) - 1);

	json_incref(last);
	json_decref(answer);
	return last;
}

static json_int_t send_item(json_t *what)
{
	json_t *answer, *last;
	json_int_t id;

	json_object_set_new(what, "cmd", json_string("send"));
	if (!json_object_get(what, "to"))
		json_object_set_new(what, "to", json_pack("[s]", CN));
	answer = ask(&w.mn, what);
	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s", json_dumps(answer, 0));
	id = json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
	last = newest(&w.mn, "outbox");
	assert_int_equal(json_integer_value(json_object_get(last, "id")), id);
	json_decref(last);
	return id;
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* The receiver asks its box over and over, as notices would make it. */
static void turn(uint64_t *next)
{
	uint64_t now = loop_now_exact(w.loop);

	if (now >= *next) {
		*next = now + LOOP_MS(100);
		inbox_sync(w.cn.post.inbox);
		inbox_sync(w.mn.post.inbox);
	}
	assert_int_equal(loop_turn(w.loop, false), 0);
}

/* Until the newest item of the list is in the state. A new reference */
static json_t *await(struct end *e, const char *list, const char *state)
{
	uint64_t end = loop_now_exact(w.loop) + LOOP_S(WAIT_S), next = 0;
	json_t *j = NULL;

	do {
		json_decref(j);
		turn(&next);
		j = newest(e, list);
		if (loop_now_exact(w.loop) > end)
			fail_msg("%s is not %s: %s", list, state,
				 j ? json_dumps(j, 0) : "nothing");
	} while (!j || strcmp(text(j, "state"), state));
	return j;
}

static void taken(json_t *item)
{
	json_t *answer =
		ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "taken", "id",
				     json_object_get(item, "id")));

	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(item);
}

static void outbox_is(const char *state, const char *receiver)
{
	json_t *j = await(&w.mn, "outbox", state);
	json_t *to = json_array_get(json_object_get(j, "to"), 0);

	if (receiver)
		assert_string_equal(text(to, "state"), receiver);
	json_decref(j);
}

/* --- tests
 * ------------------------------------------------------------------------------ */

static void test_text(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s}", "text", "hello\n"));
	j = await(&w.cn, "inbox", "here");
	assert_string_equal(text(j, "from"), MN);
	assert_string_equal(text(j, "service"), "text");
	assert_same_files(at("%s/post/out.1/text", w.mn.state),
			  at("%s/tree/text", text(j, "folder")));
	outbox_is("done", "received");
	taken(j);
	assert_null(newest(&w.cn, "inbox"));
}

static void send_big(size_t len)
{
	file_fill(at("%s/big", w.dir), len, 9);
	send_item(json_pack("{s:[s]}", "files", at("%s/big", w.dir)));
}

static void big_here(void)
{
	json_t *j = await(&w.cn, "inbox", "here");

	assert_same_files(at("%s/big", w.dir),
			  at("%s/tree/big", text(j, "folder")));
	assert_string_equal(text(j, "title"), "big");
	taken(j);
	outbox_is("done", "received");
}

static void test_big(void **state)
{
	(void)state;
	send_big(3000000);
	big_here();
}

/* Connections break on the way there and on the way here: nothing goes twice. */
static void test_cut(void **state)
{
	json_int_t before = fault("{\"cut\": 700000}"), after;

	(void)state;
	send_big(2000000);
	outbox_is("waiting", NULL);
	(void)fault("{\"cut\": 1000001}");
	big_here();
	after = fault("{}");
	/* twice the blob, and what of a chunk had come before the cut */
	assert_in_range(after - before, 4000000, 4000000 + 2 * 65552 + 4096);
}

static void test_servers_ill(void **state)
{
	(void)state;
	(void)fault("{\"fail\": 3}");
	send_big(100000);
	big_here();
}

/* Both ends end in the middle, without a word, and begin again. */
static void test_restart(void **state)
{
	uint64_t next = 0;
	int i;

	(void)state;
	send_big(4000000);
	for (i = 0; i < 40; i++) {
		int k;

		for (k = 0; k < 3 + i; k++)
			turn(&next);
		post_close(&w.mn.post);
		post_close(&w.cn.post);
		end_run(&w.mn);
		end_run(&w.cn);
	}
	big_here();
}

static void test_held(void **state)
{
	json_t *j, *answer;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "POLICY");
	answer = ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "fetch", "id",
				      json_object_get(j, "id")));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(j);
	big_here();
}

/* A server that changes the blob: refused, and the sender sees it. */
static void test_forged(void **state)
{
	struct stat st;
	json_t *j;

	(void)state;
	(void)fault("{\"flip\": true}");
	send_big(1000);
	j = await(&w.cn, "inbox", "refused");
	assert_string_equal(text(j, "error"), "AUTH");
	assert_int_not_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
	json_decref(j);
	outbox_is("done", "refused");
}

static void test_cancel(void **state)
{
	json_t *answer;
	json_int_t id;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "held"));
	id = 1;
	answer = ask(&w.mn, json_pack("{s:s, s:I}", "cmd", "cancel", "id", id));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	outbox_is("cancelled", NULL);
	while ((answer = newest(&w.cn, "inbox"))) {
		uint64_t next = 0;

		json_decref(answer);
		turn(&next);
	}
}

static void test_nobody(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s, s:[s]}", "text", "hi", "to",
			    "nobody.example.org"));
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "NONAME");
	json_decref(j);
}

/* The receiver's key is not the one that was pinned. */
static void test_other_key(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	post_close(&w.cn.post);
	end_session(&w.cn); /* as after the device was made anew */
	unlink(at("%s/post/post.db", w.cn.state));
	unlink(at("%s/post/post.db-wal", w.cn.state));
	unlink(at("%s/post/post.db-shm", w.cn.state));
	end_run(&w.cn);
	while (prekeys_busy(w.cn.post.prekeys))
		assert_int_equal(loop_turn(w.loop, true), 0);
	send_item(json_pack("{s:s}", "text", "two"));
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(
		text(json_array_get(json_object_get(j, "to"), 0), "error"),
		"PIN");
	json_decref(j);
}

static void test_changed(void **state)
{
	json_t *j;

	(void)state;
	send_big(300000);
	file_fill(at("%s/big", w.dir), 300000, 10);
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "CHANGED");
	json_decref(j);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_text),	TEST(test_big),	    TEST(test_cut),
		TEST(test_servers_ill), TEST(test_restart), TEST(test_held),
		TEST(test_forged),	TEST(test_cancel),  TEST(test_nobody),
		TEST(test_other_key),	TEST(test_changed),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
