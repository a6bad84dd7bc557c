/* SPDX-License-Identifier: MIT */
/* ends - two ends of items in one process, and the servers between them */
#include "tests/unit/post/ends.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/prekeys.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "tests/unit/post/fixture.h"

#define WAIT_S 20

struct ends w;

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

static json_t *told;

static void on_told(void *arg, const struct web_answer *a)
{
	(void)arg;
	assert_int_equal(a->status, 200);
	told = json_incref(a->json);
}

json_int_t servers_count(const char *json, const char *what)
{
	json_int_t n;

	struct web_server box;
	struct web_call *call;
	struct post_ask ask = {
		.server = &box, .method = "POST", .path = "/test"};
	json_t *j = json_loads(json, 0, NULL);

	assert_non_null(j);
	ask.json = j;
	json_decref(told);
	told = NULL;
	assert_int_equal(post_box(&w.mn.post, &box), 0);
	assert_int_equal(post_ask(&w.mn.post, &ask, on_told, NULL, &call), 0);
	json_decref(j);
	while (!told)
		assert_int_equal(loop_turn(w.loop, true), 0);
	n = json_integer_value(json_object_get(told, what));
	json_decref(told);
	told = NULL;
	return n;
}

json_int_t fault(const char *json)
{
	return servers_count(json, "bytes");
}

/* --- the ends
 * --------------------------------------------------------------------------- */

void end_session(struct end *e)
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

void end_run(struct end *e)
{
	const struct addr *door_at = e->post.door_at;
	const struct ntmc_env *env = e->post.env;

	memset(&e->post, 0, sizeof(e->post));
	e->post.door_at = door_at;
	e->post.env = env;
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

int ends_open(void **state)
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

int ends_close(void **state)
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

json_t *ask(struct end *e, json_t *request)
{
	bool waits;
	char *line = face_command(&e->post, request, &waits);
	json_t *answer = line ? json_loads(line, 0, NULL) : NULL;

	json_decref(request);
	free(line);
	assert_false(waits);
	assert_non_null(answer);
	return answer;
}

/* The newest item of a list; NULL: none. A new reference */
json_t *newest(struct end *e, const char *list)
{
	json_t *answer = ask(e, json_pack("{s:s}", "cmd", list));
	json_t *items = json_object_get(answer, "items");
	json_t *last = json_array_get(items, json_array_size(items) - 1);

	json_incref(last);
	json_decref(answer);
	return last;
}

json_int_t send_item(json_t *what)
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

const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* The receiver asks its box over and over, as notices would make it. */
void turn(uint64_t *next)
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
json_t *await(struct end *e, const char *list, const char *state)
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

void taken(json_t *item)
{
	json_t *answer =
		ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "taken", "id",
				     json_object_get(item, "id")));

	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(item);
}

void outbox_is(const char *state, const char *receiver)
{
	json_t *j = await(&w.mn, "outbox", state);
	json_t *to = json_array_get(json_object_get(j, "to"), 0);

	if (receiver)
		assert_string_equal(text(to, "state"), receiver);
	json_decref(j);
}

void send_big(size_t len)
{
	file_fill(at("%s/big", w.dir), len, 9);
	send_item(json_pack("{s:[s]}", "files", at("%s/big", w.dir)));
}

void big_here(void)
{
	json_t *j = await(&w.cn, "inbox", "here");

	assert_same_files(at("%s/big", w.dir),
			  at("%s/tree/big", text(j, "folder")));
	assert_string_equal(text(j, "title"), "big");
	taken(j);
	outbox_is("done", "received");
}

/* --- clocks ------------------------------------------------------------------------ */

static int64_t ahead;

static int64_t later(void *arg)
{
	(void)arg;
	return ntmc_now(NULL) + ahead;
}

static const struct ntmc_env clock_ahead = {.now = later};

void clock_wrong(struct end *e, int64_t s)
{
	ahead = s;
	e->post.env = s ? &clock_ahead : NULL;
}

void clock_set(struct end *e, int64_t s)
{
	clock_wrong(e, s);
	do { /* an answer from before may come after this one's */
		(void)fault(at("{\"ahead\": %lld}", (long long)s));
	} while (!post_clock_agrees(&w.mn.post));
}

void nobody_sends(void)
{
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
}
