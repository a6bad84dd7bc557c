/* SPDX-License-Identifier: MIT */
/* face_cmd - the requests of post.sock */
#include <stdlib.h>
#include <string.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/lookup.h"
#include "broker/post/outbox.h"
#include "broker/post/prekeys.h"
#include "common/jsontext.h"
#include "common/plain.h"

#define PATHS_MAX   4096
#define MESSAGE_MAX 256

static json_t *refuse(int err, const char *why)
{
	return json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			 "text", why && *why ? why : err_text(err));
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* --- send
 * ----------------------------------------------------------------------------- */

/* The strings of array @key; *@n of them. NULL: none, or no strings */
static const char **strings(const json_t *j, const char *key, size_t max,
			    size_t *n)
{
	const json_t *list = json_object_get(j, key);
	const char **out;
	size_t i;

	*n = json_array_size(list);
	if (!*n || *n > max)
		return NULL;
	out = calloc(*n, sizeof(*out));
	for (i = 0; out && i < *n; i++) {
		out[i] = json_string_value(json_array_get(list, i));
		if (!out[i]) {
			free(out);
			return NULL;
		}
	}
	return out;
}

static int id_take(const json_t *j, const char *key, const char *dflt,
		   char out[static 65])
{
	const char *s = text(j, key);

	if (!*s)
		s = dflt;
	if (!post_id_ok(s))
		return -NTM_EINVAL;
	strcpy(out, s);
	return 0;
}

static int ids_take(struct post *p, const json_t *j, bool is_text,
		    struct post_ids *ids)
{
	uint8_t id[ITEM_ID_LEN];
	char item[NTMC_BASE64URL_LEN(ITEM_ID_LEN) + 3];
	int err;

	ntmc_random(p->env, id, sizeof(id));
	ntmc_base64url_encode(id, sizeof(id), item);
	err = id_take(j, "application", "ntm", ids->application);
	if (!err)
		err = id_take(j, "service", is_text ? "text" : "file",
			      ids->service);
	return err ? err : id_take(j, "item", item, ids->item);
}

/* Names in the form they have in certificates; in place. */
static int names_check(const char **to, size_t n, char (*out)[FQDN_MAX + 1])
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (fqdn_normalize(to[i], out[i]) || !strchr(out[i], '.'))
			return -NTM_EINVAL;
		to[i] = out[i];
	}
	return 0;
}

static json_t *sent(int err, int64_t id, const struct outbox_order *order,
		    const struct pack_result *r)
{
	if (err == -NTM_EEXISTS && !*r->why)
		return refuse(err, "an item with these IDs exists already");
	if (err)
		return refuse(err, r->why);
	return json_pack(
		"{s:b, s:I, s:s, s:I, s:I, s:I, s:I, s:s}", "ok", 1, "id",
		(json_int_t)id, "item", order->ids.item, "files",
		(json_int_t)r->files, "folders", (json_int_t)r->folders,
		"bytes", (json_int_t)r->payload, "left_out",
		(json_int_t)r->left_out, "first_left_out", r->first_left_out);
}

static json_t *cmd_send(struct post *p, const json_t *j)
{
	struct outbox_order o = {.text = NULL};
	struct pack_result *r = calloc(1, sizeof(*r));
	char(*names)[FQDN_MAX + 1] =
		calloc(OUTBOX_RECEIVERS_MAX, sizeof(*names));
	const char **to, **paths;
	json_t *answer;
	int64_t id = 0;
	int err;

	o.message = text(j, "message");
	if (json_is_string(json_object_get(j, "text")))
		o.text = text(j, "text");
	to = strings(j, "to", OUTBOX_RECEIVERS_MAX, &o.n_to);
	paths = strings(j, "files", PATHS_MAX, &o.n_paths);
	if (!r || !names)
		answer = refuse(-NTM_ENOMEM, NULL);
	else if (!p->who.logged_in)
		answer = refuse(-NTM_ENOLOGIN, NULL);
	else if (!p->who.n_box)
		answer = refuse(-NTM_ENOTFOUND,
				"this domain has no box: items cannot be sent "
				"or received in it");
	else if (!to || names_check(to, o.n_to, names))
		answer = refuse(-NTM_EINVAL, "name one to 64 receivers, as "
					     "device.account.domain or "
					     "account.domain");
	else if ((!paths || o.text) && (!o.text || o.n_paths))
		answer = refuse(-NTM_EINVAL, "name files, or give a text");
	else if ((o.text && (!*o.text || strlen(o.text) > ITEM_TEXT_MAX)) ||
		 strlen(o.message) > MESSAGE_MAX)
		answer = refuse(-NTM_ETOOBIG,
				"a text has 1 to 65536 bytes, a message 256 at "
				"most; longer ones go as a file");
	else if (!plain_ok(o.message))
		answer = refuse(-NTM_EINVAL,
				"a message is one line without control "
				"characters");
	else if (ids_take(p, j, o.text, &o.ids))
		answer = refuse(-NTM_EINVAL,
				"application, service and item are 1 to 64 "
				"letters, digits, '.', '_' or '-'");
	else {
		o.to = to;
		o.paths = paths;
		err = outbox_send(p->outbox, &o, &id, r);
		answer = sent(err, id, &o, r);
	}
	free(paths);
	free(to);
	free(names);
	free(r);
	return answer;
}

/* --- the others
 * ------------------------------------------------------------------------ */

static json_t *cmd_outbox(struct post *p, const json_t *j)
{
	return json_pack(
		"{s:b, s:b, s:o}", "ok", 1, "logged_in", p->who.logged_in,
		"items",
		outbox_list(p->outbox, number(j, "id"), number(j, "after")));
}

/* Ten thousand items as objects take either side half a second. */
static char *cmd_rows(struct post *p, const json_t *j)
{
	struct jsontext t = {.p = NULL};

	jsontext_put(&t, p->who.logged_in
				 ? "{\"ok\":true,\"logged_in\":true,\"rows\":"
				 : "{\"ok\":true,\"logged_in\":false,"
				   "\"rows\":");
	inbox_rows(p->inbox, number(j, "after"), &t);
	jsontext_put(&t, "}");
	return jsontext_take(&t);
}

static json_t *cmd_inbox(struct post *p, const json_t *j)
{
	return json_pack(
		"{s:b, s:b, s:o}", "ok", 1, "logged_in", p->who.logged_in,
		"items",
		inbox_list(p->inbox, number(j, "id"), number(j, "after")));
}

static json_t *done(int err, const char *why)
{
	return err ? refuse(err, why) : json_pack("{s:b}", "ok", 1);
}

static json_t *cmd_cancel(struct post *p, const json_t *j)
{
	int err = outbox_cancel(p->outbox, number(j, "id"));

	return done(err, err == -NTM_ENOTFOUND
				 ? "no such item; see `ntm outbox`"
			 : err == -NTM_ESTATE
				 ? "it has ended already; see `ntm outbox`"
				 : NULL);
}

static json_t *cmd_fetch(struct post *p, const json_t *j)
{
	int err = inbox_want(p->inbox, number(j, "id"));

	return done(err == -NTM_EEXISTS ? 0 : err,
		    "no such item; see `ntm inbox`");
}

static json_t *cmd_taken(struct post *p, const json_t *j)
{
	return done(inbox_taken(p->inbox, number(j, "id")),
		    "no such item here; see `ntm inbox`");
}

static json_t *cmd_drop(struct post *p, const json_t *j)
{
	bool told;
	int err = inbox_drop(p->inbox, number(j, "id"), &told);
	json_t *answer = done(err, err == -NTM_ENOTFOUND
					   ? "no such item; see `ntm inbox`"
					   : NULL);

	if (!err && !told)
		json_object_set_new(answer, "told", json_false());
	return answer;
}

/* the person trusts another key for the name: what is held is tried again */
static json_t *cmd_forget(struct post *p, const json_t *j)
{
	int known, err;

	store_bind_text(p->store, PIN_GET, 1, text(j, "name"));
	known = store_step(p->store, PIN_GET);
	store_reset(p->store, PIN_GET);
	store_bind_text(p->store, PIN_FORGET, 1, text(j, "name"));
	err = known < 0 ? known : store_run(p->store, PIN_FORGET);
	who_load_known(&p->who);
	inbox_policy(p->inbox);
	return err ? done(err, NULL)
		   : json_pack("{s:b, s:b}", "ok", 1, "known", known);
}

/* is that its key? what is known here, while its domain cannot be asked */
static json_t *who_pinned_here(struct post *p, const json_t *j,
			       const char *name)
{
	uint8_t key[NTMC_KEY_LEN];
	int err = post_binary_get(j, "key", key, sizeof(key));

	if (err)
		return refuse(-NTM_EINVAL, NULL);
	err = post_pinned(p, name, key);
	if (err)
		return refuse(err, NULL);
	return json_pack("{s:b, s:[{s:s, s:o}]}", "ok", 1, "devices", "name",
			 name, "key", post_binary(key, sizeof(key)));
}

static json_t *cmd_who(struct post *p, const json_t *j)
{
	char name[FQDN_MAX + 1];
	json_t *devices;
	int err;

	if (!p->who.logged_in)
		return refuse(-NTM_ENOLOGIN, NULL);
	if (fqdn_normalize(text(j, "name"), name) || !strchr(name, '.'))
		return refuse(-NTM_EINVAL, "name one, as device.account.domain "
					   "or account.domain");
	if (json_object_get(j, "key"))
		return who_pinned_here(p, j, name);
	err = lookup_name(p->lookups, name, &devices);
	if (err == -NTM_ENONAME)
		return refuse(err, "no such name, or no device of it takes "
				   "items yet");
	if (err == -NTM_ECERT)
		return refuse(err, "its domain is not known here; `ntm allow` "
				   "with its name lets it in");
	return err ? refuse(err, NULL)
		   : json_pack("{s:b, s:o}", "ok", 1, "devices", devices);
}

static json_t *cmd_wait(struct post *p, const json_t *j)
{
	json_int_t changes = asking_changes(p->face);

	if (number(j, "seen") == changes)
		return NULL;
	return json_pack("{s:b, s:I}", "ok", 1, "changes", changes);
}

static const struct {
	const char *name;
	json_t *(*fn)(struct post *p, const json_t *j);
} commands[] = {
	{"send", cmd_send},	{"outbox", cmd_outbox}, {"inbox", cmd_inbox},
	{"cancel", cmd_cancel}, {"fetch", cmd_fetch},	{"taken", cmd_taken},
	{"drop", cmd_drop},	{"forget", cmd_forget}, {"wait", cmd_wait},
	{"who", cmd_who},
};

static json_t *command(struct post *p, const json_t *request)
{
	const char *name = text(request, "cmd");
	json_t *answer;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		answer = commands[i].fn(p, request);
		/* one that could not be made is none to wait for */
		if (!answer && commands[i].fn != cmd_wait)
			answer = refuse(-NTM_ENOMEM, NULL);
		return answer;
	}
	return refuse(-NTM_EINVAL, "ntm-post does not know the command");
}

char *face_command(struct post *p, const json_t *request, bool *waits)
{
	json_t *answer;
	char *out;

	*waits = false;
	if (!json_is_object(request))
		answer = refuse(-NTM_EDECODE, "that is not one JSON object");
	else if (p->broken)
		answer = refuse(p->broken, "what is known of items cannot be "
					   "read; broker.log says which file");
	else if (json_is_true(json_object_get(request, "brief")) &&
		 !strcmp(text(request, "cmd"), "inbox"))
		return cmd_rows(p, request);
	else
		answer = command(p, request);
	*waits = !answer;
	out = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	return out;
}
