/* SPDX-License-Identifier: MIT */
/*
 * test_chat - members talk, their ntm-posts played: who gets what, order, marks, crashes
 *
 * The played ntm-post answers as docs/control.md says, and keeps what it is to send; a
 * test delivers it, or does not.
 */
#include "seats.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#include <sqlite3.h>

#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"

/**
 * struct office - a seat's ntm-post
 * @sent:  requests "send", in order; @inbox: items that are here
 * @deaf:  it answers no "send"; @lies: the key that it has pinned for all names
 * @bad:   a name whose certificate is none
 */
struct office {
	int fd;
	struct loop_io *io;
	json_t *sent, *inbox;
	bool deaf;
	const uint8_t *lies;
	const char *bad;
	unsigned int whos, items;
	json_int_t others; /* items of no group, numbers from 1 on */
};

static struct office offices[SEATS];
static struct node nodes[SEATS];
static struct part parts[SEATS];
static char dir[32], rundirs[SEATS][64];

/* --- the played ntm-post ------------------------------------------------------------------- */

static json_t *who(struct office *o, const char *name)
{
	char key[NTMC_BASE64URL_LEN(NTMC_KEY_LEN) + 3];

	/* it looks names up: the first answer is that it is doing so */
	if (o->whos++ % 2 == 0)
		return json_pack("{s:b, s:s}", "ok", 0, "error", "AGAIN");
	if (o->bad && !strcmp(o->bad, name))
		return json_pack("{s:b, s:s}", "ok", 0, "error", "CERT");
	for (int i = 0; i < SEATS; i++) {
		if (strcmp(nodes[i].who.fqdn, name))
			continue;
		ntmc_base64url_encode(o->lies ? o->lies
					      : nodes[i].who.id->ed_pub,
				      NTMC_KEY_LEN, key);
		return json_pack("{s:b, s:[{s:s, s:s}]}", "ok", 1, "devices",
				 "name", name, "key", key);
	}
	return json_pack("{s:b, s:s}", "ok", 0, "error", "NONAME");
}

static json_t *send_take(struct office *o, const json_t *j)
{
	const char *item = json_string_value(json_object_get(j, "item"));
	const char *service = json_string_value(json_object_get(j, "service"));
	const char *file = json_string_value(
		json_array_get(json_object_get(j, "files"), 0));
	json_t *other;
	size_t i;

	if (file && strcmp(file, "/there"))
		return json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				 "NOTFOUND", "text", "no such file");
	json_array_foreach(o->sent, i, other)
	{
		const char *it =
			json_string_value(json_object_get(other, "item"));

		if (item && it && !strcmp(item, it) &&
		    !strcmp(service, json_string_value(json_object_get(
					     other, "service"))))
			return json_pack("{s:b, s:s}", "ok", 0, "error",
					 "EXISTS");
	}
	json_array_append_new(o->sent, json_deep_copy(j));
	return json_pack("{s:b, s:i}", "ok", 1, "bytes", 12345);
}

/* a page: 1000 items, of which most are none of groups */
static json_t *inbox(struct office *o, json_int_t after)
{
	json_t *page = json_array(), *item;
	size_t i;

	while (o->others > after && json_array_size(page) < 1000)
		json_array_append_new(page,
				      json_pack("{s:I, s:s}", "id", ++after,
						"application", "ntm"));
	json_array_foreach(o->inbox, i, item) if (json_array_size(page) < 1000)
		json_array_append(page, item);
	return json_pack("{s:b, s:o}", "ok", 1, "items", page);
}

static json_t *answer(struct office *o, const json_t *j)
{
	const char *cmd = json_string_value(json_object_get(j, "cmd"));
	json_t *item;
	size_t i;

	if (!strcmp(cmd, "who"))
		return who(o, json_string_value(json_object_get(j, "name")));
	if (!strcmp(cmd, "send"))
		return o->deaf ? NULL : send_take(o, j);
	if (!strcmp(cmd, "inbox"))
		return inbox(o,
			     json_integer_value(json_object_get(j, "after")));
	assert_string_equal(cmd, "taken");
	json_array_foreach(o->inbox, i,
			   item) if (json_equal(json_object_get(item, "id"),
						json_object_get(j, "id")))
	{
		json_array_remove(o->inbox, i);
		break;
	}
	return json_pack("{s:b}", "ok", 1);
}

static void on_call(void *arg, int fd, unsigned int events)
{
	static char line[200000];
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	size_t len = 0;
	char *text;
	json_t *j, *a;

	(void)events;
	assert_true(s >= 0);
	fcntl(s, F_SETFL, O_NONBLOCK);
	/* the caller writes from the same loop */
	while (!memchr(line, '\n', len)) {
		ssize_t n = recv(s, line + len, sizeof(line) - len, 0);

		if (n > 0)
			len += (size_t)n;
		else
			seats_step();
	}
	j = json_loadb(line, len, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(j);
	a = answer(arg, j);
	if (a) {
		text = json_dumps(a, JSON_COMPACT);
		assert_int_equal(send(s, text, strlen(text), 0), strlen(text));
		assert_int_equal(send(s, "\n", 1, 0), 1);
		free(text);
	}
	json_decref(a);
	json_decref(j);
	close(s);
}

static void office_open(int i)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct office *o = &offices[i];

	*o = (struct office){.sent = json_array(), .inbox = json_array()};
	assert_true(snprintf(un.sun_path, sizeof(un.sun_path), "%s/post.sock",
			     rundirs[i]) < (int)sizeof(un.sun_path));
	o->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(o->fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(o->fd, 16), 0);
	assert_int_equal(loop_io_add(site.loop, o->fd, LOOP_READ, false,
				     on_call, o, &o->io),
			 0);
}

static void office_close(int i)
{
	struct office *o = &offices[i];

	loop_io_del(o->io);
	close(o->fd);
	json_decref(o->sent);
	json_decref(o->inbox);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void node_up(int i)
{
	struct node *n = &nodes[i];
	struct part *p = &parts[i];

	memset(n, 0, sizeof(*n));
	memset(p, 0, sizeof(*p));
	n->loop = site.loop;
	n->rundir = n->who.dir = rundirs[i];
	n->who.id = (struct ntmc_identity *)seats[i].setup.id;
	n->store = seats[i].store;
	p->node = n;
	p->m = seats[i].m;
	DL_APPEND(n->parts, p);
	snprintf(n->who.fqdn, sizeof(n->who.fqdn), "%s",
		 group_find(member_group(seats[i].m), member_index(seats[i].m))
			 ->fqdn);
	assert_int_equal(postcall_open(n, &n->post), 0);
	assert_int_equal(papers_open(n, &n->papers), 0);
	assert_int_equal(chat_open(n, &n->chat), 0);
}

static void node_down(int i)
{
	struct node *n = &nodes[i];

	n->ending = true;
	if (!n->chat)
		return;
	papers_close(n->papers);
	chat_close(n->chat);
	postcall_close(n->post);
	n->chat = NULL;
}

static int setup(void **state)
{
	int r = seats_setup(state);

	strcpy(dir, "/tmp/chat.XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < SEATS; i++) {
		snprintf(rundirs[i], sizeof(rundirs[i]), "%s/%d", dir, i);
		assert_int_equal(mkdir(rundirs[i], 0700), 0);
		office_open(i);
		memset(&nodes[i], 0, sizeof(nodes[i]));
	}
	for (int i = 1; i < 3; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(3);
	for (int i = 0; i < 3; i++)
		node_up(i);
	return r;
}

static int teardown(void **state)
{
	char cmd[64];

	for (int i = 0; i < SEATS; i++) {
		node_down(i);
		office_close(i);
	}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	return seats_teardown(state);
}

/* --- what is asked ------------------------------------------------------------------------------ */

static struct chat_line *line_at(int i, int64_t after)
{
	struct chat_line *l;
	int64_t n;

	return chatstore_next(chat_store(nodes[i].chat), member_id(parts[i].m),
			      after, 0, &n, &l)
		       ? NULL
		       : l;
}

/* "text|text", by number */
static const char *lines(int i)
{
	static char all[4096];
	struct chat_line *l;
	int64_t n = 0;

	*all = '\0';
	while ((l = line_at(i, n))) {
		n = l->n;
		assert_true(strlen(all) + strlen(l->w.text) + 2 < sizeof(all));
		strcat(strcat(all, *all ? "|" : ""), l->w.text);
		chat_line_free(l);
	}
	return all;
}

static int64_t say(int i, const char *text, const char *file)
{
	int64_t n;

	assert_int_equal(chat_say(nodes[i].chat, &parts[i], text, file, &n), 0);
	return n;
}

static enum chat_state state_of(int i, int64_t n)
{
	struct chat_line *l = line_at(i, n - 1);
	enum chat_state s = l->state;

	chat_line_free(l);
	return s;
}

struct waited {
	int i;
	int64_t n;
	enum chat_state state;
};

static bool has_come(void *arg)
{
	struct waited *w = arg;

	return state_of(w->i, w->n) == w->state;
}

static void becomes(int i, int64_t n, enum chat_state state)
{
	struct waited w = {i, n, state};

	assert_true(seats_turn(has_come, &w));
}

static bool is_for(const json_t *request, const char *name)
{
	const json_t *to;
	size_t i;

	json_array_foreach(
		json_object_get(request, "to"), i,
		to) if (!strcmp(json_string_value(to), name)) return true;
	return false;
}

/* Request @k of @from comes to @to, if it is for it. Return: it is */
static bool deliver(int from, size_t k, int to)
{
	json_t *j = json_array_get(offices[from].sent, k);
	struct office *o = &offices[to];
	const char *text = json_string_value(json_object_get(j, "text"));
	char folder[80], path[128];
	int fd;

	assert_non_null(j);
	if (!is_for(j, nodes[to].who.fqdn) || !text)
		return false;
	snprintf(folder, sizeof(folder), "%s/in%u", rundirs[to], ++o->items);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(path, sizeof(path), "%s/tree", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/tree/text", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	json_array_append_new(
		o->inbox,
		json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I}", "id", o->items,
			  "from", nodes[from].who.fqdn, "application",
			  PAPERS_APPLICATION, "service",
			  json_string_value(json_object_get(j, "service")),
			  "state", "here", "folder", folder, "at",
			  (json_int_t)node_now(&nodes[to])));
	papers_fetch(nodes[to].papers);
	return true;
}

static bool is_empty(void *arg)
{
	return !json_array_size(((struct office *)arg)->inbox);
}

static bool has_sent(void *arg)
{
	return json_array_size(((struct office *)arg)->sent);
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_talk(void **state)
{
	struct chat_line *l;
	int64_t n;

	(void)state;
	/* nobody has taken 2500 files that came before */
	offices[2].others = offices[2].items = 2500;
	n = say(0, "hello", NULL);
	assert_int_equal(state_of(0, n), CHAT_WAITS);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(deliver(0, 0, 1));
	assert_true(deliver(0, 0, 2));
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_true(seats_turn(is_empty, &offices[2]));
	assert_string_equal(lines(1), "hello");
	/* the same once more is nothing new */
	assert_true(deliver(0, 0, 1));
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_string_equal(lines(1), "hello");
	/* an answer stands behind what it answers */
	n = say(1, "hello yourself", NULL);
	becomes(1, n, CHAT_SENT);
	l = line_at(1, n - 1);
	assert_int_equal(l->w.clock, 2);
	assert_int_equal(l->to, 2);
	chat_line_free(l);
}

static void test_marks(void **state)
{
	uint32_t read[CHATSTORE_READS];
	struct chat_line *l;
	int64_t n = say(0, "hello", NULL);

	(void)state;
	becomes(0, n, CHAT_SENT);
	deliver(0, 0, 1);
	deliver(0, 0, 2);
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_true(seats_turn(is_empty, &offices[2]));
	assert_int_equal(chat_seen(nodes[2].chat, &parts[2], 1, false), 0);
	assert_int_equal(state_of(2, 1), CHAT_OLD); /* nobody hears of it */
	assert_int_equal(chat_seen(nodes[1].chat, &parts[1], 1, true), 0);
	assert_int_equal(state_of(1, 1), CHAT_SHOWN);
	assert_true(seats_turn(has_sent, &offices[1]));
	becomes(1, 1, CHAT_OLD);
	assert_false(deliver(1, 0, 2)); /* it is the author's alone */
	assert_true(deliver(1, 0, 0));
	assert_true(seats_turn(is_empty, &offices[0]));
	l = line_at(0, n - 1);
	assert_int_equal(chatstore_readers(chat_store(nodes[0].chat),
					   l->w.group, l->w.id, read),
			 1);
	assert_int_equal(read[0], member_index(parts[1].m));
	chat_line_free(l);
	assert_int_equal(json_array_size(offices[2].sent), 0);
}

/* what waited when somebody was removed, or came, is not for them */
static void test_to_whom(void **state)
{
	int64_t n;

	(void)state;
	offices[0].deaf = true;
	n = say(0, "two of us", NULL);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	seats_together(2);
	seat_add(3, 0);
	seats_together(2);
	node_down(0); /* and it died in between */
	offices[0].deaf = false;
	node_up(0);
	node_up(3);
	chat_work(nodes[0].chat);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(deliver(0, 0, 1));
	assert_false(deliver(0, 0, 2));
	assert_false(deliver(0, 0, 3));
	n = say(0, "three of us", NULL);
	becomes(0, n, CHAT_SENT);
	assert_true(deliver(0, 1, 3));
	assert_false(deliver(0, 1, 2));
}

/* a coordinator that shows another key for a name reads nothing, and says nothing */
static void test_another_key(void **state)
{
	struct ntmc_identity eve;
	struct chat_line *l;
	int64_t n;

	(void)state;
	ntmc_identity_new(NULL, &eve);
	offices[0].lies = offices[1].lies = eve.ed_pub;
	n = say(0, "secret", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 0);
	l = line_at(0, n - 1); /* and the person is told */
	assert_non_null(strstr(l->why, "another key"));
	assert_non_null(strstr(l->why, "(and 1 more)"));
	chat_line_free(l);
	n = say(2, "of the third", NULL);
	becomes(2, n, CHAT_SENT);
	assert_true(deliver(2, 0, 1));
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_string_equal(lines(1), "");
	ntmc_identity_clear(&eve);
}

/* one member whose certificate is none gets nothing, and holds up nobody */
static void test_no_certificate(void **state)
{
	struct chat_line *l;
	int64_t n;

	(void)state;
	offices[0].bad = nodes[1].who.fqdn;
	n = say(0, "all of us", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(deliver(0, 0, 2));
	assert_false(deliver(0, 0, 1));
	l = line_at(0, n - 1);
	assert_non_null(strstr(l->why, "certificate"));
	chat_line_free(l);
}

/* a message that waits and is damaged is passed over */
static void test_damaged(void **state)
{
	char path[128];
	int64_t n;
	sqlite3 *db;

	(void)state;
	offices[0].deaf = true;
	say(0, "damaged", NULL);
	n = say(0, "whole", NULL);
	node_down(0);
	snprintf(path, sizeof(path), "%s/chat.db", rundirs[0]);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "UPDATE line SET body = zeroblob(200)"
				      " WHERE n = (SELECT min(n) FROM line)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	offices[0].deaf = false;
	node_up(0);
	chat_work(nodes[0].chat);
	becomes(0, n, CHAT_SENT);
	assert_true(deliver(0, 0, 1));
}

static void test_strangers(void **state)
{
	int64_t n = say(2, "before", NULL);

	(void)state;
	becomes(2, n, CHAT_SENT);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	seats_together(2);
	deliver(2, 0, 1); /* it comes when its author is no member any more */
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_string_equal(lines(1), "");
	assert_int_equal(chat_item(nodes[1].chat, nodes[0].who.fqdn,
				   CHAT_MESSAGE, "{}", 2),
			 -NTM_EDECODE);
}

/* a message of an epoch that we have not heard of waits */
static void test_ahead(void **state)
{
	int64_t n;

	(void)state;
	seat_offline(&seats[1]);
	assert_int_equal(
		seat_submit(&seats[0],
			    &(struct group_change){.kind = GROUP_REFRESH}),
		0);
	n = say(0, "of tomorrow", NULL);
	becomes(0, n, CHAT_SENT);
	assert_true(deliver(0, 0, 1));
	for (int i = 0; i < 50; i++)
		seats_step();
	assert_int_equal(json_array_size(offices[1].inbox), 1);
	assert_string_equal(lines(1), "");
	seat_online(&seats[1]);
	seats_together(3);
	chat_look(nodes[1].chat);
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_string_equal(lines(1), "of tomorrow");
}

/* one that comes before our own welcome has been looked at waits, too */
static void test_expected(void **state)
{
	struct paper like = {.state = PAPER_AGREED, .handed = true};
	int64_t n;

	(void)state;
	n = say(0, "welcome", NULL);
	becomes(0, n, CHAT_SENT);
	DL_DELETE(nodes[1].parts, &parts[1]); /* it is not in yet */
	memcpy(like.i.id, member_id(parts[1].m), sizeof(like.i.id));
	like.i.expires = node_now(&nodes[1]) + 1000;
	assert_int_equal(papers_add(nodes[1].papers, &like), 0);
	assert_true(deliver(0, 0, 1));
	for (int i = 0; i < 50; i++)
		seats_step();
	assert_int_equal(json_array_size(offices[1].inbox), 1);
	DL_APPEND(nodes[1].parts, &parts[1]);
	papers_fetch(nodes[1].papers);
	assert_true(seats_turn(is_empty, &offices[1]));
	assert_string_equal(lines(1), "welcome");
}

static void test_files(void **state)
{
	struct chat_line *l;
	int64_t n = say(0, NULL, "/there");

	(void)state;
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 2);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(offices[0].sent, 0), "application")),
		"ntm");
	assert_false(deliver(0, 0, 1)); /* ntm-post's business */
	assert_true(deliver(0, 1, 1));
	assert_true(seats_turn(is_empty, &offices[1]));
	l = line_at(1, 0);
	assert_int_equal(l->w.kind, CHAT_FILE);
	assert_int_equal(l->w.size, 12345);
	assert_string_equal(l->w.text, "there");
	chat_line_free(l);
	n = say(0, NULL, "/not/there");
	becomes(0, n, CHAT_FAILED);
	l = line_at(0, n - 1);
	assert_string_equal(l->why, "no such file");
	chat_line_free(l);
	/* the next one is not held up */
	n = say(0, "after it", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(chat_say(nodes[0].chat, &parts[0], NULL, "there", &n),
			 -NTM_EINVAL);
	assert_int_equal(chat_say(nodes[0].chat, &parts[0], "", NULL, &n),
			 -NTM_EINVAL);
}

/* a clock that somebody sets to the end of time does not stop ours */
static void test_clock(void **state)
{
	struct chatword w = {.epoch = 1, .clock = CHAT_CLOCK_MAX};
	struct chat_line *l;
	char *text;
	int64_t n = say(0, "one", NULL);

	(void)state;
	becomes(0, n, CHAT_SENT);
	assert_true(deliver(0, 0, 1)); /* so that 1 knows 0's key */
	assert_true(seats_turn(is_empty, &offices[1]));
	memcpy(w.group, member_id(parts[0].m), sizeof(w.group));
	strcpy(w.text, "last of all");
	text = chatword_put(&w);
	assert_int_equal(chat_item(nodes[1].chat, nodes[0].who.fqdn,
				   CHAT_MESSAGE, text, strlen(text)),
			 0);
	free(text);
	l = line_at(1, 1);
	assert_int_equal(l->w.clock, 2);
	chat_line_free(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_talk),		T(test_marks),	   T(test_to_whom),
		T(test_another_key),	T(test_strangers), T(test_ahead),
		T(test_expected),	T(test_files),	   T(test_clock),
		T(test_no_certificate), T(test_damaged),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
