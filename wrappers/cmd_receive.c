/* SPDX-License-Identifier: MIT */
/* cmd_receive - ntm inbox, receive: items that others have sent */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/out.h"
#include "wrappers/client.h"
#include "wrappers/items.h"

#define COLUMNS	  5
#define FILES_MAX 256 /* names that CMD gets; the rest lies beside them */

int cmd_inbox(const struct command_args *a)
{
	static const char *const heads[COLUMNS] = {"NUMBER", "FROM", "WHAT",
						   "SIZE", "STATE"};
	json_t *items, *j;
	char **cells;
	size_t i, n;

	if (items_all(a, "inbox", &items))
		return 1;
	n = json_array_size(items);
	j = json_pack("{s:b, s:O}", "ok", 1, "items", items);
	cells = calloc(n * COLUMNS + 1, sizeof(*cells));
	if (command_json(a, j) || !cells) {
		n = 0;
	} else if (!n) {
		puts("nothing is there");
	}
	for (i = 0; i < n; i++) {
		json_t *item = json_array_get(items, i);
		const char *text = out_text(item, "text", NULL);
		char **c = cells + i * COLUMNS;

		if (asprintf(&c[0], "%lld", (long long)out_int(item, "id")) <
			    0 ||
		    asprintf(&c[4], "%s%s%s", out_text(item, "state", "?"),
			     text ? ": " : "", text ? text : "") < 0)
			break;
		c[1] = strdup(out_text(item, "from", "?"));
		c[2] = strdup(out_text(item, "title",
				       out_text(item, "message", "-")));
		c[3] = strdup(out_int(item, "size")
				      ? out_bytes(out_int(item, "size"))
				      : "-");
	}
	if (n)
		out_table(heads, COLUMNS, (const char *const *)cells, n);
	for (i = 0; cells && i < n * COLUMNS; i++)
		free(cells[i]);
	free(cells);
	json_decref(j);
	json_decref(items);
	return 0;
}

/* --- placing
 * -------------------------------------------------------------------------------- */

struct placed {
	const struct command_args *a;
	json_t *paths;
};

static void on_placed(void *arg, const char *path)
{
	struct placed *p = arg;

	json_array_append_new(p->paths, json_string(path));
	if (!p->a->json && !p->a->on_receive)
		puts(path);
}

/* CMD gets the files as its arguments, the sender in NTM_FROM, a text as its input */
static int command_run(const char *cmd, const json_t *item, const json_t *paths,
		       const char *text_path)
{
	const char *argv[FILES_MAX + 5] = {"sh", "-c", cmd, "ntm"};
	int status, n = 4;
	size_t i;
	json_t *j;
	pid_t pid;

	json_array_foreach(paths, i, j)
	{
		if (i < FILES_MAX)
			argv[n++] = json_string_value(j);
	}
	argv[n] = NULL;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setenv("NTM_FROM", out_text(item, "from", ""), 1);
		setenv("NTM_MESSAGE", out_text(item, "message", ""), 1);
		if (text_path && !freopen(text_path, "r", stdin))
			_exit(127);
		execv("/bin/sh", (char *const *)argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int text_show(const char *path)
{
	FILE *f = fopen(path, "r");
	int c;

	if (!f)
		return 1;
	while ((c = getc(f)) != EOF)
		/* a text may not move the cursor or write elsewhere */
		putchar((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t'
				? c
				: '?');
	fclose(f);
	return 0;
}

static enum place_exists how(const struct command_args *a)
{
	if (a->overwrite)
		return PLACE_OVERWRITE;
	if (a->rename)
		return PLACE_RENAME;
	return !a->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO)
		       ? PLACE_ASK
		       : PLACE_REFUSE;
}

static int taken(const struct command_args *a, const json_t *item)
{
	json_t *answer;

	if (items_call(a,
		       json_pack("{s:s, s:I}", "cmd", "taken", "id",
				 out_int(item, "id")),
		       &answer))
		return 1;
	json_decref(answer);
	return 0;
}

static int place_files(const struct command_args *a, const json_t *item,
		       const char *tree, json_t *paths)
{
	struct placed p = {.a = a, .paths = paths};
	const char *dir = a->to ? a->to : ".";
	int err = place_tree(tree, dir, how(a), on_placed, &p);

	if (err < 0)
		fprintf(stderr, "ntm: %s: %s\n", dir, err_text(err));
	if (!err && a->on_receive && json_array_size(paths))
		err = command_run(a->on_receive, item, paths, NULL);
	return err ? 1 : 0;
}

/* One that is here. Return: exit status */
static int receive_one(const struct command_args *a, json_t *item)
{
	bool is_text = !strcmp(out_text(item, "application", ""), "ntm") &&
		       !strcmp(out_text(item, "service", ""), "text");
	json_t *paths = json_array();
	char tree[600], text[620];
	int status;

	snprintf(tree, sizeof(tree), "%s/tree", out_text(item, "folder", ""));
	snprintf(text, sizeof(text), "%s/text", tree);
	if (!is_text)
		status = place_files(a, item, tree, paths);
	else if (a->on_receive)
		status = command_run(a->on_receive, item, paths, text);
	else
		status = a->json ? place_files(a, item, tree, paths)
				 : text_show(text);
	if (!status)
		status = taken(a, item);
	if (a->json && !status) {
		json_object_set(item, "placed", paths);
		command_json(a, item);
	}
	json_decref(paths);
	return status;
}

/* --- receive
 * -------------------------------------------------------------------------------- */

/* By its number: fetched first, whoever sent it. */
static int receive_number(const struct command_args *a, const char *word)
{
	struct items_bar bar = {.last = 0};
	json_t *item, *answer;
	char *end;
	long long id = strtoll(word, &end, 10);
	const char *state;
	int status = 1;

	if (*end || id <= 0) {
		fprintf(stderr, "ntm: \"%s\" is no number of `ntm inbox`\n",
			word);
		return 2;
	}
	if (items_call(a,
		       json_pack("{s:s, s:I}", "cmd", "fetch", "id",
				 (json_int_t)id),
		       &answer))
		return 1;
	json_decref(answer);
	for (;;) {
		item = items_get(a, "inbox", id);
		state = item ? out_text(item, "state", "") : "gone";
		if (!strcmp(state, "here") || !strcmp(state, "refused") ||
		    !strcmp(state, "held") || !item)
			break;
		items_bar_draw(&bar, out_text(item, "from", ""),
			       out_int(item, "fetched"), out_int(item, "size"));
		json_decref(item);
		items_pause();
	}
	items_bar_end(&bar);
	if (item && !strcmp(state, "here"))
		status = receive_one(a, item);
	else
		fprintf(stderr, "ntm: item %lld: %s\n", id,
			item ? out_text(item, "text", "it was refused")
			     : "it was withdrawn");
	json_decref(item);
	return status;
}

/* All that are here. *@n: how many */
static int receive_here(const struct command_args *a, size_t *n)
{
	json_t *items, *item;
	int status = 0;
	size_t i;

	*n = 0;
	if (items_all(a, "inbox", &items))
		return 1;
	json_array_foreach(items, i, item)
	{
		if (strcmp(out_text(item, "state", ""), "here"))
			continue;
		++*n;
		if (receive_one(a, item))
			status = 1;
	}
	json_decref(items);
	return status;
}

/* At once where something has changed since @seen. Return: the number of changes */
static json_int_t change_wait(json_int_t seen)
{
	json_t *ask = json_pack("{s:s, s:I}", "cmd", "wait", "seen", seen);
	json_t *answer = NULL;
	json_int_t changes = seen;

	if (client_call_to(CLIENT_POST, ask, 0, &answer))
		items_pause(); /* ntm-post was restarted: the next call finds it */
	else
		changes = out_int(answer, "changes");
	json_decref(answer);
	json_decref(ask);
	return changes;
}

int cmd_receive(const struct command_args *a)
{
	json_int_t seen = 0;
	int status = 0, i;
	size_t n;

	for (i = 0; i < a->n_words; i++)
		if (receive_number(a, a->words[i]))
			status = 1;
	if (a->n_words && !a->follow)
		return status;
	do {
		if (a->follow)
			seen = change_wait(seen);
		status = receive_here(a, &n);
	} while (a->follow && client_broker_runs());
	if (!n && !a->follow && !a->json)
		puts("nothing is here; see `ntm inbox`");
	return status;
}
