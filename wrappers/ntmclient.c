/* SPDX-License-Identifier: MIT */
/* ntmclient - items for programs, over post.sock (docs/control.md) */
#include "wrappers/ntmclient.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/post/manifest.h"
#include "wrappers/client.h"
#include "wrappers/items.h"

#define WATCH_LINE 512 /* an answer of `wait` is shorter */

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void take(const json_t *j, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%s", text(j, key));
}

/* @request is taken. Return: 0 and @answer, or an error with what there is of it */
static int ask(json_t *request, unsigned int limit_s, json_t **answer)
{
	int err =
		request ? client_call_to(CLIENT_POST, request, limit_s, answer)
			: -NTM_ENOMEM;

	if (!request)
		*answer = NULL;
	json_decref(request);
	return err;
}

/* Member @key of @j. What is no UTF-8 is in no JSON: left out, others would get the item,
 * or the rest of it. Return: 0, or INVAL and @why */
static int set_text(json_t *j, const char *key, const char *value, char *why,
		    size_t size)
{
	if (!value || !json_object_set_new(j, key, json_string(value)))
		return 0;
	snprintf(why, size, "%s: it is no UTF-8 text", key);
	return -NTM_EINVAL;
}

/* The same of a list; @what each of them is */
static int set_list(json_t *j, const char *key, const char *const *list,
		    const char *what, char *why, size_t size)
{
	json_t *to = json_array();
	size_t i;

	json_object_set_new(j, key, to);
	for (i = 0; list[i]; i++)
		if (json_array_append_new(to, json_string(list[i]))) {
			snprintf(why, size, "%s %zu is no UTF-8 text", what,
				 i + 1);
			return -NTM_EINVAL;
		}
	return 0;
}

static int order_put(json_t *j, const struct ntm_items_order *order, char *why,
		     size_t size)
{
	int err = 0;

	if (order->to)
		err = set_list(j, "to", order->to, "receiver", why, size);
	if (!err && order->files)
		err = set_list(j, "files", order->files, "the path of file",
			       why, size);
	if (!err)
		err = set_text(j, "text", order->text, why, size);
	if (!err)
		err = set_text(j, "message", order->message, why, size);
	if (!err)
		err = set_text(j, "application", order->application, why, size);
	if (!err)
		err = set_text(j, "service", order->service, why, size);
	return err ? err : set_text(j, "item", order->item, why, size);
}

int ntm_items_send(const struct ntm_items_order *order, int64_t *id, char *why,
		   size_t why_size)
{
	json_t *j = json_pack("{s:s}", "cmd", "send"), *answer;
	char nobody[1];
	int err;

	if (!why) {
		why = nobody;
		why_size = sizeof(nobody);
	}
	err = j ? order_put(j, order, why, why_size) : 0;
	if (err) {
		json_decref(j);
		return err;
	}
	err = ask(j, CLIENT_LIMIT_S, &answer);
	if (!err)
		*id = number(answer, "id");
	else
		snprintf(why, why_size, "%s", client_text(err, answer));
	json_decref(answer);
	return err;
}

static int error_of(const json_t *j)
{
	const char *name = text(j, "error");
	int i;

	for (i = 1; *name && i < 256; i++)
		if (!strcmp(err_name(i), name))
			return -i;
	return 0;
}

static void item_take(const json_t *j, struct ntm_item *o)
{
	memset(o, 0, sizeof(*o));
	o->id = number(j, "id");
	take(j, "from", o->peer, sizeof(o->peer));
	take(j, "application", o->application, sizeof(o->application));
	take(j, "service", o->service, sizeof(o->service));
	take(j, "item", o->item, sizeof(o->item));
	take(j, "state", o->state, sizeof(o->state));
	take(j, "title", o->title, sizeof(o->title));
	take(j, "message", o->message, sizeof(o->message));
	take(j, "folder", o->folder, sizeof(o->folder));
	o->size = (uint64_t)number(j, "size");
	o->moved = (uint64_t)(number(j, "sent") + number(j, "fetched"));
	o->at = number(j, "at") + number(j, "created");
	o->expires = number(j, "expires");
	o->error = error_of(j);
}

static int list(const char *cmd, const char *application, ntm_item_fn *fn,
		void *arg)
{
	struct ntm_item item = {.id = 0};
	json_t *answer, *j;
	size_t i, n;
	int err;

	do {
		err = ask(json_pack("{s:s, s:I}", "cmd", cmd, "after",
				    (json_int_t)item.id),
			  CLIENT_LIMIT_S, &answer);
		n = err ? 0 : json_array_size(json_object_get(answer, "items"));
		json_array_foreach(json_object_get(answer, "items"), i, j)
		{
			if (err)
				break;
			item_take(j, &item);
			if (!application ||
			    !strcmp(item.application, application))
				err = fn(arg, &item);
		}
		json_decref(answer);
	} while (!err && n);
	return err;
}

int ntm_items_inbox(const char *application, ntm_item_fn *fn, void *arg)
{
	return list("inbox", application, fn, arg);
}

int ntm_items_outbox(const char *application, ntm_item_fn *fn, void *arg)
{
	return list("outbox", application, fn, arg);
}

static int get(const char *cmd, int64_t id, struct ntm_item *out)
{
	json_t *answer, *j;
	int err = ask(json_pack("{s:s, s:I}", "cmd", cmd, "id", (json_int_t)id),
		      CLIENT_LIMIT_S, &answer);

	j = json_array_get(json_object_get(answer, "items"), 0);
	if (!err && !j)
		err = -NTM_ENOTFOUND;
	if (!err)
		item_take(j, out);
	json_decref(answer);
	return err;
}

int ntm_items_inbox_get(int64_t id, struct ntm_item *out)
{
	return get("inbox", id, out);
}

int ntm_items_outbox_get(int64_t id, struct ntm_item *out)
{
	return get("outbox", id, out);
}

int ntm_items_receivers(int64_t id, ntm_item_receiver_fn *fn, void *arg)
{
	struct ntm_item_receiver r;
	json_t *answer, *item, *j;
	size_t i;
	int err;

	err = ask(
		json_pack("{s:s, s:I}", "cmd", "outbox", "id", (json_int_t)id),
		CLIENT_LIMIT_S, &answer);
	item = json_array_get(json_object_get(answer, "items"), 0);
	if (!err && !item)
		err = -NTM_ENOTFOUND;
	json_array_foreach(json_object_get(item, "to"), i, j)
	{
		if (err)
			break;
		memset(&r, 0, sizeof(r));
		take(j, "name", r.name, sizeof(r.name));
		take(j, "state", r.state, sizeof(r.state));
		r.at = number(j, "at");
		r.error = error_of(j);
		err = fn(arg, &r);
	}
	json_decref(answer);
	return err;
}

static int simple(const char *cmd, int64_t id)
{
	json_t *answer;
	int err = ask(json_pack("{s:s, s:I}", "cmd", cmd, "id", (json_int_t)id),
		      CLIENT_LIMIT_S, &answer);

	json_decref(answer);
	return err;
}

int ntm_items_cancel(int64_t id)
{
	return simple("cancel", id);
}

/* --- waiting
 * -------------------------------------------------------------------------------- */

int ntm_items_wait(int64_t *seen)
{
	json_t *answer;
	int err = ask(json_pack("{s:s, s:I}", "cmd", "wait", "seen",
				(json_int_t)*seen),
		      0, &answer);

	if (!err)
		*seen = number(answer, "changes");
	json_decref(answer);
	return err;
}

/* The next change is told after @seen. */
static int watch_ask(int fd, json_int_t seen)
{
	json_t *j = json_pack("{s:s, s:I}", "cmd", "wait", "seen", seen);
	int err = j ? client_send(fd, j) : -NTM_ENOMEM;

	json_decref(j);
	return err;
}

int ntm_items_watch(int *fd)
{
	int64_t seen = 0;
	int err = ntm_items_wait(
		&seen); /* why nobody answers, where nobody does */

	if (err)
		return err;
	*fd = client_connect(CLIENT_POST);
	if (*fd < 0)
		return *fd;
	err = watch_ask(*fd, 0);
	if (err)
		close(*fd);
	return err;
}

int ntm_items_watched(int fd)
{
	char line[WATCH_LINE];
	const char *end;
	json_int_t seen;
	json_t *j;
	ssize_t n;

	n = recv(fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -NTM_EAGAIN
							 : -NTM_ECLOSED;
	end = memchr(line, '\n', (size_t)n);
	if (!end)
		return !n			   ? -NTM_ECLOSED
		       : (size_t)n == sizeof(line) ? -NTM_EDECODE
						   : -NTM_EAGAIN;
	n = end + 1 - line;
	if (recv(fd, line, (size_t)n, MSG_DONTWAIT) != n)
		return -NTM_ECLOSED;
	j = json_loadb(line, (size_t)n, 0, NULL);
	seen = number(j, "changes");
	n = json_is_true(json_object_get(j, "ok"));
	json_decref(j);
	return n ? watch_ask(fd, seen) : -NTM_EDECODE;
}

/* --- taking
 * --------------------------------------------------------------------------------- */

int ntm_items_fetch(int64_t id)
{
	return simple("fetch", id);
}

int ntm_items_taken(int64_t id)
{
	return simple("taken", id);
}

int ntm_items_drop(int64_t id)
{
	return simple("drop", id);
}

/* *@item of the inbox, if it is here */
static int here(int64_t id, struct ntm_item *item)
{
	int err = ntm_items_inbox_get(id, item);

	if (err)
		return err;
	return strcmp(item->state, "here") ? -NTM_ESTATE : 0;
}

/* What is in the tree came from others: not a link is followed out of it. */
static int file_open(const char *folder, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
			       .resolve = RESOLVE_BENEATH};
	char tree[sizeof(((struct ntm_item *)0)->folder) + 8];
	int dir, fd;

	snprintf(tree, sizeof(tree), "%s/tree", folder);
	dir = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -NTM_ENOTFOUND;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0)
		fd = errno == EACCES ? -NTM_EPERM
		     : errno == EMFILE || errno == ENFILE || errno == ENOSYS
			     ? -NTM_ESYSTEM
			     : -NTM_ENOTFOUND;
	close(dir);
	return fd;
}

static int file_read(int fd, void *buf, size_t size, size_t *len)
{
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -NTM_ENOTFOUND;
	*len = (size_t)st.st_size;
	if (*len > size)
		return -NTM_ETOOBIG;
	while (done < *len) {
		n = read(fd, (char *)buf + done, *len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -NTM_ESTORE;
		done += (size_t)n;
	}
	return 0;
}

int ntm_items_read(int64_t id, const char *path, void *buf, size_t size,
		   size_t *len)
{
	struct ntm_item item;
	int err = here(id, &item), fd;

	if (err)
		return err;
	fd = file_open(item.folder, path ? path : "text");
	if (fd < 0)
		return fd;
	err = file_read(fd, buf, size, len);
	close(fd);
	return err;
}

int ntm_items_place(int64_t id, const char *folder, enum ntm_items_exists how,
		    ntm_items_placed_fn *fn, void *arg)
{
	const struct place_way way = {
		.how = how == NTM_ITEMS_OVERWRITE ? PLACE_OVERWRITE
		       : how == NTM_ITEMS_RENAME  ? PLACE_RENAME
						  : PLACE_REFUSE,
	};
	struct place_list placed = {NULL, 0};
	struct placed *record = NULL;
	struct ntm_item item;
	int err = here(id, &item);
	size_t i;

	if (!err)
		err = placed_open(item.folder, &record);
	if (!err)
		err = here(id, &item); /* who had it before may have taken it */
	if (!err)
		err = place_tree(item.folder, record, folder, &way, &placed);
	for (i = 0; err >= 0 && fn && i < placed.n; i++)
		fn(arg, placed.path[i]);
	place_list_clear(&placed);
	if (err >= 0)
		err = err ? -NTM_EEXISTS : ntm_items_taken(id);
	placed_close(record);
	return err;
}

/* --- errors
 * --------------------------------------------------------------------------------- */

#define SAME(name)                                                             \
	static_assert((int)NTM_ITEMS_##name == -(int)NTM_E##name,              \
		      "ntmclient.h numbers errors as err.def does")
SAME(NOMEM);
SAME(INVAL);
SAME(SYSTEM);
SAME(AGAIN);
SAME(CLOSED);
SAME(TIMEOUT);
SAME(LIMIT);
SAME(DECODE);
SAME(AUTH);
SAME(NONAME);
SAME(POLICY);
SAME(CERT);
SAME(PIN);
SAME(NOLOGIN);
SAME(STORE);
SAME(TOOBIG);
SAME(EXISTS);
SAME(NOTFOUND);
SAME(NOBROKER);
SAME(PERM);
SAME(STATE);
SAME(CHANGED);
SAME(DECLINED);
static_assert(NTM_ITEMS_TEXT_MAX == ITEM_TEXT_MAX,
	      "a text is as long as ntm-post lets it be");

const char *ntm_items_error(int err)
{
	return client_text(err, NULL);
}
