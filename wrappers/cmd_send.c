/* SPDX-License-Identifier: MIT */
/* cmd_send - ntm send, outbox, cancel: items on their way to others */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/manifest.h"
#include "common/out.h"
#include "common/plain.h"
#include "wrappers/client.h"
#include "wrappers/items.h"

/* --- what is to be sent
 * ------------------------------------------------------------------ */

/* "bob" is an account of this device's domain; *@domain is asked for once. */
static json_t *name_json(const char *word, char **domain)
{
	char full[300];
	json_t *answer;

	if (strchr(word, '.'))
		return json_string(word);
	if (!*domain) {
		json_t *ask = json_pack("{s:s}", "cmd", "status");

		if (!client_call(ask, NULL, NULL, &answer))
			*domain = strdup(out_text(answer, "domain", ""));
		json_decref(ask);
		json_decref(answer);
	}
	if (!*domain || !**domain)
		return json_string(word);
	snprintf(full, sizeof(full), "%s.%s", word, *domain);
	return json_string(full);
}

/* The absolute path of @word. Return: 0, or the exit status 1 */
static int file_add(const struct command_args *a, const char *word,
		    json_t *files)
{
	char path[PATH_MAX], why[PATH_MAX + 64], shown[256];
	size_t len = 0;
	json_t *j;

	if (*word != '/' && getcwd(path, sizeof(path)))
		len = strlen(path);
	if ((*word != '/' && !len) || len + strlen(word) + 2 > sizeof(path)) {
		snprintf(why, sizeof(why),
			 "%s: its path is too long; send it from nearer by",
			 plain_text(word, shown, sizeof(shown)));
		return command_fail(a, -NTM_ETOOBIG, why);
	}
	snprintf(path + len, sizeof(path) - len, "%s%s", len ? "/" : "", word);
	j = json_string(path);
	if (!j) {
		snprintf(why, sizeof(why),
			 "%s: its name is no UTF-8; rename it first",
			 plain_text(path, shown, sizeof(shown)));
		return command_fail(a, -NTM_EINVAL, why);
	}
	json_array_append_new(files, j);
	return 0;
}

/* Could it be an account's name or a device's? */
static bool like_name(const char *word)
{
	return strcmp(word, "-") &&
	       !word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* @word is there as a file, and may be meant as a name: one sent to others instead of
 * being a receiver would be a leak. Return: the exit status 1 */
static int unclear(const struct command_args *a, const char *word,
		   const struct stat *st, char **domain)
{
	const char *what = S_ISDIR(st->st_mode) ? "folder" : "file", *name;
	json_t *full = name_json(word, domain);
	char why[900];

	name = json_string_value(full);
	snprintf(why, sizeof(why),
		 "%.200s is a %s here and may be a name: write ./%.200s for "
		 "the %s, %.300s%s for the name",
		 word, what, word, what, name ? name : word,
		 name && strchr(name, '.') ? "" : ".DOMAIN");
	json_decref(full);
	return command_fail(a, -NTM_EINVAL, why);
}

static int name_add(const struct command_args *a, const char *word, json_t *to,
		    char **domain)
{
	char why[300], shown[128];
	struct stat st;
	json_t *name;
	bool is_file = !strchr(word, '.') && !lstat(word, &st);

	if (is_file && like_name(word))
		return unclear(a, word, &st, domain);
	if (is_file || strchr(word, '/')) {
		snprintf(why, sizeof(why),
			 "%s is a file; files come first, then names",
			 plain_text(word, shown, sizeof(shown)));
		return command_fail(a, -NTM_EINVAL, why);
	}
	name = name_json(word, domain);
	if (!name) {
		snprintf(why, sizeof(why), "%s is no name: it is no UTF-8 text",
			 plain_text(word, shown, sizeof(shown)));
		return command_fail(a, -NTM_EINVAL, why);
	}
	json_array_append_new(to, name);
	return 0;
}

/* The first word, where it exists, is a file; so are those that follow, up to the first
 * that does not exist: names from there on. */
static int words_sort(const struct command_args *a, json_t *files, json_t *to)
{
	char *domain = NULL;
	struct stat st;
	int i = 0, status = 0;

	for (; i < a->n_words - 1 && !status; i++) {
		const char *word = a->words[i];
		bool path = strchr(word, '/');

		if (!path && lstat(word, &st))
			break;
		status = i && !path && like_name(word)
				 ? unclear(a, word, &st, &domain)
				 : file_add(a, word, files);
	}
	if (!status && i < a->n_words - 1 && !strcmp(a->words[i], "-"))
		i++; /* standard input, by name */
	for (; !status && i < a->n_words; i++)
		status = name_add(a, a->words[i], to, &domain);
	free(domain);
	return status;
}

/* Whoever meant a file that is not there sees what its name was taken for. */
static void input_ask(const json_t *to)
{
	const char *name;
	json_t *j;
	size_t i;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return;
	fputs("Text for", stderr);
	json_array_foreach(to, i, j)
	{
		name = json_string_value(j);
		fprintf(stderr, "%s %s", i ? "," : "", name ? name : "?");
	}
	fputs(" (end it with Ctrl-D; files are named before names):\n", stderr);
}

static json_t *input_read(const struct command_args *a, const json_t *to)
{
	char *text = malloc(ITEM_TEXT_MAX + 1);
	size_t n;
	json_t *j = NULL;

	input_ask(to);
	n = text ? fread(text, 1, ITEM_TEXT_MAX + 1, stdin) : 0;
	if (!n)
		command_fail(a, -NTM_EINVAL,
			     "there is nothing on standard input, and no file "
			     "is named");
	else if (n > ITEM_TEXT_MAX)
		command_fail(a, -NTM_ETOOBIG,
			     "a text has at most 65536 bytes; send a file");
	else if (memchr(text, '\0', n) || !(j = json_stringn(text, n)))
		command_fail(a, -NTM_EINVAL,
			     "standard input is no UTF-8 text; send a file");
	free(text);
	return j;
}

static json_t *request_make(const struct command_args *a)
{
	json_t *files = json_array(), *to = json_array(), *j, *text;

	j = json_pack("{s:s, s:o, s:s}", "cmd", "send", "to", to, "message",
		      a->message ? a->message : "");
	if (!j) {
		command_fail(a, -NTM_EINVAL, "the message is no UTF-8 text");
		goto err;
	}
	if (words_sort(a, files, to))
		goto err;
	if (json_array_size(files)) {
		json_object_set(j, "files", files);
	} else {
		text = input_read(a, to);
		if (!text)
			goto err;
		json_object_set_new(j, "text", text);
	}
	json_decref(files);
	return j;
err:
	json_decref(files);
	json_decref(j);
	return NULL;
}

/* --- on its way
 * -------------------------------------------------------------------------- */

static bool under_way(const json_t *item)
{
	return !strcmp(out_text(item, "state", ""), "sending");
}

static void receivers_print(FILE *f, const json_t *item)
{
	const char *text;
	size_t i;
	json_t *to;

	json_array_foreach(json_object_get(item, "to"), i, to)
	{
		text = out_text(to, "text", NULL);
		fprintf(f, "  %s: %s%s%s%s\n", out_text(to, "name", "?"),
			out_text(to, "state", "?"),
			strcmp(out_text(to, "by", ""), "direct")
				? ""
				: ", straight from here",
			text ? ": " : "", text ? text : "");
	}
}

static void on_its_own(json_int_t id)
{
	char text[200];

	snprintf(
		text, sizeof(text),
		"ntm: item %lld goes on by itself; `ntm outbox` shows it, `ntm "
		"cancel %lld` withdraws it",
		(long long)id, (long long)id);
	items_interrupt_end(text);
}

/* Has it ended, and nobody has it? Who refuses it, it ends for as well. */
static bool reached_nobody(const json_t *item)
{
	json_t *to;
	size_t i;

	if (strcmp(out_text(item, "state", ""), "done"))
		return false;
	json_array_foreach(json_object_get(item, "to"), i, to)
	{
		if (!strcmp(out_text(to, "state", ""), "received"))
			return false;
	}
	return true;
}

/* Until the CS has it, or nobody will. Return: exit status */
static int watch(const struct command_args *a, json_int_t id)
{
	json_t *item = items_watch(a, "outbox", id, under_way);
	const char *state;
	bool nobody = reached_nobody(item);
	int status;

	if (items_interrupted())
		on_its_own(id);
	if (!item)
		return 1;
	state = out_text(item, "state", "");
	status = nobody || !strcmp(state, "failed") ||
		 !strcmp(state, "cancelling") || !strcmp(state, "cancelled");
	if (command_json(a, item)) {
		json_decref(item);
		return status;
	}
	if (status)
		fprintf(stderr, "ntm: item %lld: %s\n", (long long)id,
			out_text(item, "text",
				 nobody ? "no receiver takes it"
					: "it was cancelled"));
	else
		printf("item %lld is sent; `ntm outbox` tells who has it\n",
		       (long long)id);
	receivers_print(status ? stderr : stdout, item);
	json_decref(item);
	return status;
}

int cmd_send(const struct command_args *a)
{
	json_t *request = request_make(a), *answer;
	json_int_t id;
	int status = 0;

	if (!request || items_call(a, request, &answer))
		return 1;
	id = out_int(answer, "id");
	if (out_int(answer, "left_out") && !a->json)
		fprintf(stderr,
			"ntm: %lld left out, which lead outside or are no "
			"files: %s ...\n",
			(long long)out_int(answer, "left_out"),
			out_text(answer, "first_left_out", ""));
	if (!a->background)
		status = watch(a, id);
	else if (!command_json(a, answer))
		printf("item %lld is on its way\n", (long long)id);
	json_decref(answer);
	return status;
}

/* --- outbox, cancel
 * -------------------------------------------------------------------- */

/* what groups say to each other: `ntm-group history` shows it. Invitations stay */
static bool is_talk(const json_t *j)
{
	return !strcmp(out_text(j, "application", ""), ITEMS_GROUPS) &&
	       strcmp(out_text(j, "service", ""), "invite");
}

static void outbox_print(const json_t *items)
{
	char number[32];
	size_t i;
	json_t *j;

	json_array_foreach(items, i, j)
	{
		const char *text = out_text(j, "text", NULL);

		if (is_talk(j))
			continue;
		snprintf(number, sizeof(number), "%lld",
			 (long long)out_int(j, "id"));
		printf("%s  %s  %s  %s  %s%s%s\n", out_colour(OUT_BOLD, number),
		       out_date(out_int(j, "created")),
		       out_text(j, "title", "?"), out_bytes(out_int(j, "size")),
		       out_text(j, "state", "?"), text ? ": " : "",
		       text ? text : "");
		receivers_print(stdout, j);
	}
}

int cmd_outbox(const struct command_args *a)
{
	json_t *items, *j;
	bool logged_in;

	if (items_all(a, "outbox", &items, &logged_in))
		return 1;
	j = json_pack("{s:b, s:b, s:O}", "ok", 1, "logged_in", logged_in,
		      "items", items);
	if (!command_json(a, j)) {
		if (!json_array_size(items))
			items_none("nothing was sent", logged_in);
		outbox_print(items);
	}
	json_decref(j);
	json_decref(items);
	return 0;
}

int cmd_cancel(const struct command_args *a)
{
	json_int_t id = items_number(a, "outbox", a->words[0]);
	json_t *answer;

	if (!id)
		return 2;
	if (items_call(a, json_pack("{s:s, s:I}", "cmd", "cancel", "id", id),
		       &answer))
		return 1;
	if (!command_json(a, answer))
		printf("item %lld is cancelled; who has it keeps it\n",
		       (long long)id);
	json_decref(answer);
	return 0;
}
