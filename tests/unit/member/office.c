/* SPDX-License-Identifier: MIT */
/* office - seats with a node each, and a played ntm-post: it takes items, a test delivers them */
#include "office.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/member/chat.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"

struct office offices[SEATS];
struct node nodes[SEATS];
struct part parts[SEATS];
char rundirs[SEATS][64];
static char dir[32];

/* --- the played ntm-post ------------------------------------------------------------------- */

static json_t *refused(const char *error)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", error);
}

static json_t *key_of(struct office *o, const char *name)
{
	char key[NTMC_BASE64URL_LEN(NTMC_KEY_LEN) + 3];

	for (int i = 0; i < SEATS; i++) {
		if (strcmp(nodes[i].who.fqdn, name))
			continue;
		ntmc_base64url_encode(o->lies ? o->lies
					      : nodes[i].who.id->ed_pub,
				      NTMC_KEY_LEN, key);
		return json_pack("{s:b, s:[{s:s, s:s}]}", "ok", 1, "devices",
				 "name", name, "key", key);
	}
	for (size_t i = 0; i < o->n_known; i++) {
		if (strcmp(o->known[i].fqdn, name))
			continue;
		ntmc_base64url_encode(o->known[i].ed_pub, NTMC_KEY_LEN, key);
		return json_pack("{s:b, s:[{s:s, s:s}]}", "ok", 1, "devices",
				 "name", name, "key", key);
	}
	return refused("NONAME");
}

static json_t *who(struct office *o, const char *name)
{
	/* it looks names up: the first answer is that it is doing so */
	if (o->whos++ % 2 == 0)
		return refused("AGAIN");
	if (o->bad && !strcmp(o->bad, name))
		return refused("CERT");
	if (o->away && !strcmp(o->away, name))
		return refused("UNREACHABLE");
	return key_of(o, name);
}

/* nobody is asked */
static json_t *pinned(struct office *o, const json_t *j)
{
	const char *key;
	json_t *a, *kept;

	if (o->unmet)
		return refused("NOTFOUND");
	a = key_of(o, json_string_value(json_object_get(j, "name")));
	kept = json_object_get(json_array_get(json_object_get(a, "devices"), 0),
			       "key");
	key = json_string_value(json_object_get(j, "key"));
	if (!strcmp(json_string_value(kept), key))
		return a;
	json_decref(a);
	return refused("PIN");
}

static json_t *send_take(struct office *o, const json_t *j)
{
	const char *item = json_string_value(json_object_get(j, "item"));
	const char *service = json_string_value(json_object_get(j, "service"));
	const char *file = json_string_value(
		json_array_get(json_object_get(j, "files"), 0));
	json_t *other;
	size_t i;

	if (file && o->stuck && !strcmp(file, o->stuck)) {
		o->stuck_tries++;
		return refused("STORE");
	}
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
		return json_object_get(j, "key")
			       ? pinned(o, j)
			       : who(o, json_string_value(
						json_object_get(j, "name")));
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

static bool is_for(const json_t *request, const char *name)
{
	const json_t *to;
	size_t i;

	json_array_foreach(
		json_object_get(request, "to"), i,
		to) if (!strcmp(json_string_value(to), name)) return true;
	return false;
}

bool office_deliver(int from, size_t k, int to)
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

bool office_is_empty(void *arg)
{
	return !json_array_size(((struct office *)arg)->inbox);
}

bool office_has_sent(void *arg)
{
	return json_array_size(((struct office *)arg)->sent);
}

/* --- nodes ------------------------------------------------------------------------------------ */

void office_node_up(int i)
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

void office_node_down(int i)
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

int offices_setup(void **state)
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
		office_node_up(i);
	return r;
}

int offices_teardown(void **state)
{
	char cmd[64];

	for (int i = 0; i < SEATS; i++) {
		office_node_down(i);
		office_close(i);
	}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	return seats_teardown(state);
}
