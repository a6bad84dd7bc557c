/* SPDX-License-Identifier: MIT */
/* group_words - ntm-group send, history: what members say to each other */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/out.h"
#include "common/plain.h"
#include "wrappers/client.h"
#include "wrappers/group.h"

/* until a message is sent: then it goes on by itself */
#define WAIT_S 20
/* one ntm-member has ended: the next call is for another one */
#define AGAIN_MS 200

/* --- one message ------------------------------------------------------------------------- */

/* Its lines; those behind the first are marked, so that none looks like another's. */
static void text_print(const char *text)
{
	char line[WORDS_TEXT_MAX + 1];
	size_t len;

	for (;;) {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		fputs(plain_text(line, line, sizeof(line)), stdout);
		text += len;
		if (!*text || !*++text)
			break;
		fputs("\n  | ", stdout);
	}
}

static void readers_print(const json_t *j)
{
	char text[64], line[512];
	const char *why;

	if (!strcmp(out_text(j, "state", ""), "waiting"))
		snprintf(text, sizeof(text), "  (waits to be sent)");
	else if (!strcmp(out_text(j, "state", ""), "failed"))
		snprintf(text, sizeof(text), "  (not sent)");
	else if (out_int(j, "to"))
		snprintf(text, sizeof(text), "  (read by %lld of %lld)",
			 (long long)out_int(j, "readers"),
			 (long long)out_int(j, "to"));
	else
		snprintf(text, sizeof(text), "  (nobody gets it)");
	fputs(out_colour(OUT_DIM, text), stdout);
	if (out_int(j, "late"))
		printf("  (%lld get it when they can be looked up)",
		       (long long)out_int(j, "late"));
	why = out_text(j, "why", NULL);
	if (why)
		printf("\n  | %s", plain_text(why, line, sizeof(line)));
}

void words_print(const json_t *j, bool json)
{
	bool ours = json_is_true(json_object_get(j, "ours"));
	bool file = !strcmp(out_text(j, "kind", ""), "file");
	char from[300];

	if (json) {
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	plain_text(out_text(j, "from", "?"), from, sizeof(from));
	printf("%s  %s: ", out_date(out_int(j, "time")),
	       out_colour(ours ? OUT_PLAIN : OUT_BOLD, from));
	if (file)
		fputs("sends a file: ", stdout);
	text_print(out_text(j, "text", "?"));
	if (file && out_int(j, "size"))
		printf(" (%s)", out_bytes(out_int(j, "size")));
	if (file && !ours)
		fputs("; `ntm receive` puts it here", stdout);
	if (ours)
		readers_print(j);
	putchar('\n');
}

/* --- several ------------------------------------------------------------------------------ */

static int number_cmp(json_int_t x, json_int_t y)
{
	return x < y ? -1 : x > y;
}

/* the group's order: clock, index, ID (docs/groups.md) */
static int order_cmp(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = number_cmp(out_int(x, "clock"), out_int(y, "clock"));

	if (!r)
		r = number_cmp(out_int(x, "index"), out_int(y, "index"));
	return r ? r : strcmp(out_text(x, "id", ""), out_text(y, "id", ""));
}

static json_t *ordered(json_t *list)
{
	size_t i, n = json_array_size(list);
	json_t **v = calloc(n ? n : 1, sizeof(json_t *)), *out = json_array();

	for (i = 0; v && i < n; i++)
		v[i] = json_array_get(list, i);
	if (v)
		qsort(v, n, sizeof(json_t *), order_cmp);
	for (i = 0; v && i < n; i++)
		json_array_append(out, v[i]);
	free(v);
	json_decref(list);
	return out;
}

/* as group_call(), but texts are as they came: words_print() makes them plain */
static int call(const struct command_args *a, json_t *request, json_t **answer)
{
	int status;

	if (a->json)
		return group_call(a, request, answer);
	status = client_call_to(MEMBER_SOCKET, request, CLIENT_LIMIT_S, answer);
	json_decref(request);
	if (!status)
		return 0;
	plain_json(*answer, "");
	command_fail(a, status, client_text(status, *answer));
	json_decref(*answer);
	*answer = NULL;
	return 1;
}

int words_get(const struct command_args *a, const char *group, json_t *how,
	      json_t **out)
{
	json_t *all = json_array(), *answer, *request, *list;
	bool more = true;
	size_t n;

	while (more) {
		request = group_request("history", group);
		json_object_update(request, how);
		if (call(a, request, &answer)) {
			json_decref(all);
			json_decref(how);
			return 1;
		}
		list = json_object_get(answer, "messages");
		n = json_array_size(list);
		json_array_extend(all, list);
		more = json_is_true(json_object_get(answer, "more")) && n;
		json_object_del(how, "last");
		if (n)
			json_object_set_new(
				how, "after",
				json_integer(out_int(
					json_array_get(list, n - 1), "n")));
		json_decref(answer);
	}
	json_decref(how);
	*out = ordered(all);
	return 0;
}

void words_seen(const struct command_args *a, const char *group, json_int_t n)
{
	json_t *request = group_request("read", group), *answer = NULL;

	json_object_set_new(request, "n", json_integer(n));
	json_object_set_new(request, "tell", json_boolean(!a->quiet));
	if (client_call_to(MEMBER_SOCKET, request, CLIENT_LIMIT_S, &answer))
		answer = json_incref(answer); /* it is new the next time, too */
	json_decref(request);
	json_decref(answer);
}

int group_history(const struct command_args *a)
{
	const char *group = a->n_words ? a->words[0] : NULL;
	long last = a->last ? strtol(a->last, NULL, 10) : 0;
	json_t *how = json_object(), *list, *j;
	size_t i;

	if (a->last && last < 1) {
		json_decref(how);
		return command_fail(a, -NTM_EINVAL,
				    "--last takes a number from 1 on");
	}
	if (last)
		json_object_set_new(how, "last", json_integer(last));
	if (words_get(a, group, how, &list))
		return 1;
	json_array_foreach(list, i, j) words_print(j, a->json);
	if (!json_array_size(list) && !a->json)
		puts("nothing was said yet");
	json_decref(list);
	return 0;
}

/* --- what is said here ----------------------------------------------------------------------- */

/* bytes that @text takes in JSON; an item has room for 64 KiB */
static size_t written(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (unsigned char)*text < 0x20     ? 6
		     : *text == '"' || *text == '\\' ? 2
						     : 1;
	return n;
}

int words_say(const struct command_args *a, const char *group, const char *text,
	      const char *file, json_int_t *n)
{
	json_t *request = group_request("send", group), *answer;
	json_t *j = json_string(text ? text : file);

	if (!j) {
		json_decref(request);
		return command_fail(
			a, -NTM_EINVAL,
			text ? "that is no UTF-8 text; send a file"
			     : "the file's name is no UTF-8; rename "
			       "it first");
	}
	if (text && written(text) > WORDS_WRITTEN_MAX) {
		json_decref(j);
		json_decref(request);
		return command_fail(a, -NTM_ETOOBIG,
				    "so many control characters fit no "
				    "message; send a file");
	}
	json_object_set_new(request, text ? "text" : "file", j);
	if (call(a, request, &answer))
		return 1;
	*n = out_int(answer, "n");
	json_decref(answer);
	return 0;
}

bool words_wait(const struct command_args *a, const char *group, json_int_t n,
		bool *failed)
{
	json_t *how =
		json_pack("{s:I, s:I}", "after", n - 1, "count", (json_int_t)1);
	json_t *request = group_request("history", group), *answer, *j;
	char text[400];
	bool waits = false;

	*failed = false;
	json_object_update(request, how);
	json_decref(how);
	if (client_call_to(MEMBER_SOCKET, request, CLIENT_LIMIT_S, &answer)) {
		json_decref(request);
		json_decref(answer);
		return true;
	}
	json_decref(request);
	j = json_array_get(json_object_get(answer, "messages"), 0);
	if (j && out_int(j, "n") == n) {
		waits = !strcmp(out_text(j, "state", ""), "waiting");
		*failed = !strcmp(out_text(j, "state", ""), "failed");
	}
	plain_text(out_text(j, "why", ""), text, sizeof(text));
	if (*failed)
		command_fail(a, -NTM_EINVAL, text);
	else if (*text && !waits && !a->json)
		fprintf(stderr, "ntm-group: %s\n", text);
	json_decref(answer);
	return waits;
}

static time_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* until ntm-member has another number of changes than @seen. Return: that number; 0: it
 * was not learnt */
static json_int_t change_await(json_int_t seen, unsigned int limit_s)
{
	json_t *request = json_pack("{s:s, s:I}", "cmd", "wait", "seen", seen);
	json_t *answer = NULL;
	int err = client_call_to(MEMBER_SOCKET, request, limit_s, &answer);
	json_int_t changes = err ? 0 : out_int(answer, "changes");

	json_decref(request);
	json_decref(answer);
	if (err && err != -NTM_ETIMEOUT)
		(void)poll(NULL, 0, AGAIN_MS);
	return changes;
}

/* Return: the exit status */
static int until_sent(const struct command_args *a, const char *group,
		      json_int_t n)
{
	time_t now = seconds(), end = now + WAIT_S;
	bool failed, waits = true;
	json_int_t seen = 0;
	json_t *j;

	for (; waits && now < end; now = seconds()) {
		seen = change_await(seen, (unsigned int)(end - now));
		waits = words_wait(a, group, n, &failed);
		if (failed)
			return 1;
	}
	j = json_pack("{s:b, s:I, s:s}", "ok", 1, "n", n, "state",
		      waits ? "waiting" : "sent");
	if (!command_json(a, j))
		puts(waits ? "not sent yet; it goes by itself as soon as it "
			     "can, see `ntm-group history`"
			   : "sent; who is away gets it when back");
	json_decref(j);
	return 0;
}

static int send_file(const struct command_args *a, const char *group,
		     const char *word)
{
	char path[PATH_MAX], why[PATH_MAX + 64], shown[256];
	json_int_t n;

	if (!realpath(word, path)) {
		snprintf(why, sizeof(why), "%s: there is no such file",
			 plain_text(word, shown, sizeof(shown)));
		return command_fail(a, -NTM_ENOTFOUND, why);
	}
	return words_say(a, group, NULL, path, &n) ? 1
						   : until_sent(a, group, n);
}

static int send_input(const struct command_args *a, const char *group)
{
	char text[WORDS_TEXT_MAX + 2];
	size_t len;
	json_int_t n;

	if (isatty(STDIN_FILENO))
		fputs("The message (end it with Ctrl-D on a line of its "
		      "own):\n",
		      stderr);
	len = fread(text, 1, sizeof(text) - 1, stdin);
	if (len && text[len - 1] == '\n')
		len--; /* of the last line */
	text[len] = '\0';
	if (!len)
		return command_fail(a, -NTM_EINVAL,
				    "there is nothing on standard input");
	if (len > WORDS_TEXT_MAX || memchr(text, '\0', len))
		return command_fail(a, -NTM_ETOOBIG,
				    "a message is text of at most 16384 bytes; "
				    "send a file");
	return words_say(a, group, text, NULL, &n) ? 1
						   : until_sent(a, group, n);
}

int group_send(const struct command_args *a)
{
	int status = 0;

	if (a->n_words == 1 || (a->n_words == 2 && !strcmp(a->words[1], "-")))
		return send_input(a, a->words[0]);
	for (int i = 1; i < a->n_words && !status; i++)
		status = send_file(a, a->words[0], a->words[i]);
	return status;
}
