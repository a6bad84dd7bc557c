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

/* Words that exist are files, up to the first that does not: names from there on. */
static int words_sort(const struct command_args *a, json_t *files, json_t *to)
{
	char path[PATH_MAX], *domain = NULL;
	struct stat st;
	int i = 0;

	for (; i < a->n_words - 1 &&
	       (!lstat(a->words[i], &st) || strchr(a->words[i], '/'));
	     i++) {
		if (*a->words[i] == '/') {
			snprintf(path, sizeof(path), "%s", a->words[i]);
		} else if (!getcwd(path, sizeof(path)) ||
			   strlen(path) + strlen(a->words[i]) + 2 >
				   sizeof(path)) {
			fprintf(stderr, "ntm: %s: its path is too long\n",
				a->words[i]);
			return 1;
		} else {
			strcat(path, "/");
			strcat(path, a->words[i]);
		}
		json_array_append_new(files, json_string(path));
	}
	if (i < a->n_words - 1 && !strcmp(a->words[i], "-"))
		i++; /* standard input, by name */
	for (; i < a->n_words; i++) {
		if (!lstat(a->words[i], &st) && !strchr(a->words[i], '.')) {
			fprintf(stderr,
				"ntm: %s is a file; files come first, then "
				"names\n",
				a->words[i]);
			free(domain);
			return 1;
		}
		json_array_append_new(to, name_json(a->words[i], &domain));
	}
	free(domain);
	return 0;
}

static json_t *input_read(void)
{
	char *text = malloc(ITEM_TEXT_MAX + 1);
	size_t n = text ? fread(text, 1, ITEM_TEXT_MAX + 1, stdin) : 0;
	json_t *j = NULL;

	if (!n)
		fputs("ntm: there is nothing on standard input\n", stderr);
	else if (n > ITEM_TEXT_MAX)
		fputs("ntm: a text has at most 65536 bytes; send a file\n",
		      stderr);
	else if (!(j = json_stringn(text, n)))
		fputs("ntm: standard input is no UTF-8 text; send a file\n",
		      stderr);
	free(text);
	return j;
}

static json_t *request_make(const struct command_args *a)
{
	json_t *files = json_array(), *to = json_array(), *j, *text;

	j = json_pack("{s:s, s:o, s:s}", "cmd", "send", "to", to, "message",
		      a->message ? a->message : "");
	if (words_sort(a, files, to))
		goto err;
	if (json_array_size(files)) {
		json_object_set(j, "files", files);
	} else {
		text = input_read();
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
		fprintf(f, "  %s: %s%s%s\n", out_text(to, "name", "?"),
			out_text(to, "state", "?"), text ? ": " : "",
			text ? text : "");
	}
}

/* Until the CS has it, or nobody will. Return: exit status */
static int watch(const struct command_args *a, json_int_t id)
{
	struct items_bar bar = {.last = 0};
	json_t *item = items_get(a, "outbox", id);
	char said[512] = "";
	const char *text;
	int status = 1;

	while (item && under_way(item)) {
		/* what hinders it, each time that it is something else */
		text = out_text(item, "text", "");
		if (strcmp(text, said)) {
			items_bar_end(&bar);
			snprintf(said, sizeof(said), "%s", text);
			if (*said)
				fprintf(stderr,
					"ntm: not yet: %s (it is tried "
					"again)\n",
					said);
		}
		items_bar_draw(&bar, out_text(item, "title", ""),
			       out_int(item, "sent"), out_int(item, "size"));
		json_decref(item);
		items_pause();
		item = items_get(a, "outbox", id);
	}
	items_bar_end(&bar);
	if (!item)
		return 1;
	if (strcmp(out_text(item, "state", ""), "failed") &&
	    strcmp(out_text(item, "state", ""), "cancelled"))
		status = 0;
	if (command_json(a, item)) {
		json_decref(item);
		return status;
	}
	if (status)
		fprintf(stderr, "ntm: item %lld: %s\n", (long long)id,
			out_text(item, "text", "it was cancelled"));
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

	if (!request)
		return 1;
	if (items_call(a, request, &answer))
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

static void outbox_print(const json_t *items)
{
	size_t i;
	json_t *j;

	json_array_foreach(items, i, j)
	{
		const char *text = out_text(j, "text", NULL);

		printf("%s  %s  %s  %s%s%s\n",
		       out_colour(OUT_BOLD, out_date(out_int(j, "created"))),
		       out_text(j, "title", "?"), out_bytes(out_int(j, "size")),
		       out_text(j, "state", "?"), text ? ": " : "",
		       text ? text : "");
		printf("  number %lld\n", (long long)out_int(j, "id"));
		receivers_print(stdout, j);
	}
}

int cmd_outbox(const struct command_args *a)
{
	json_t *items, *j;

	if (items_all(a, "outbox", &items))
		return 1;
	j = json_pack("{s:b, s:O}", "ok", 1, "items", items);
	if (!command_json(a, j)) {
		if (!json_array_size(items))
			puts("nothing was sent");
		outbox_print(items);
	}
	json_decref(j);
	json_decref(items);
	return 0;
}

int cmd_cancel(const struct command_args *a)
{
	json_t *answer;
	char *end;
	long long id = strtoll(a->words[0], &end, 10);

	if (*end || id <= 0) {
		fprintf(stderr, "ntm: \"%s\" is no number of `ntm outbox`\n",
			a->words[0]);
		return 2;
	}
	if (items_call(a,
		       json_pack("{s:s, s:I}", "cmd", "cancel", "id",
				 (json_int_t)id),
		       &answer))
		return 1;
	if (!command_json(a, answer))
		printf("item %lld is cancelled; who has it keeps it\n", id);
	json_decref(answer);
	return 0;
}
