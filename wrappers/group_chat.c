/* SPDX-License-Identifier: MIT */
/*
 * group_chat - ntm-group chat: members talk
 *
 * Theory of operation
 *
 * Two things are waited for: a line of standard input, and that ntm-member says that
 * something has changed. Then what has come since the last look is asked for, by number,
 * shown, and said to have been seen. What is said here is not shown again.
 *
 * On a terminal the line is edited (group_line.c) and the last messages are shown first.
 * With a pipe on either end it is lines in, lines out; it ends with its input, when what
 * was said has been taken by ntm-post, or will be without us.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <editline/readline.h>

#include "common/out.h"
#include "common/plain.h"
#include "wrappers/client.h"
#include "wrappers/group.h"

#define SHOWN_FIRST 20
#define SAID_MAX    256	 /* of ours that may still fail */
#define AGAIN_MS    1000 /* until ntm-member is called again */
#define END_MS	    20000

/**
 * struct talk - the chat of this process; libedit's function has no argument
 * @wait_fd: where ntm-member answers "wait"; -1: it is to be called
 * @last:    number of the message that was shown last
 * @said:    ours that may still fail, or have not come back to us yet
 * @lost:    it was said that ntm-member does not answer
 */
static struct talk {
	const struct command_args *a;
	const char *group;
	char own_group[64];
	bool terminal, over, lost;
	int wait_fd, status;
	json_int_t last, changes;
	struct said {
		json_int_t n;
		bool done;
	} said[SAID_MAX];
	size_t n_said;
	char in[WORDS_TEXT_MAX + 2];
	size_t in_len;
} t;

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

/* --- what comes --------------------------------------------------------------------------- */

static bool is_ours(json_int_t n)
{
	for (size_t i = 0; i < t.n_said; i++)
		if (t.said[i].n == n)
			return true;
	return false;
}

/* Return: how many wait */
static size_t said_look(void)
{
	size_t i, waiting = 0;
	bool failed;

	for (i = 0; i < t.n_said; i++) {
		struct said *s = &t.said[i];

		if (s->done)
			continue;
		s->done = !words_wait(t.a, t.group, s->n, &failed);
		waiting += !s->done;
		t.status = failed ? 1 : t.status;
	}
	return waiting;
}

/* what is done with, and was not shown, need not be known any more */
static void said_forget(void)
{
	size_t i, n = 0;

	for (i = 0; i < t.n_said; i++)
		if (!t.said[i].done || t.said[i].n > t.last)
			t.said[n++] = t.said[i];
	t.n_said = n;
}

/* Return: the exit status */
static int new_show(json_t *how, bool with_ours)
{
	json_t *list, *j;
	json_int_t n = t.last;
	size_t i;

	if (words_get(t.a, t.group, how, &list))
		return 1;
	if (t.terminal && json_array_size(list))
		line_hide();
	json_array_foreach(list, i, j)
	{
		if (out_int(j, "n") > n)
			n = out_int(j, "n");
		if (with_ours || !json_is_true(json_object_get(j, "ours")) ||
		    !is_ours(out_int(j, "n")))
			words_print(j, t.a->json);
	}
	fflush(stdout);
	if (t.terminal && json_array_size(list))
		line_show();
	if (json_array_size(list))
		words_seen(t.a, t.group, n);
	t.last = n;
	said_forget();
	json_decref(list);
	return 0;
}

static void wait_send(void)
{
	json_t *j = json_pack("{s:s, s:I}", "cmd", "wait", "seen", t.changes);

	if (t.wait_fd < 0)
		t.wait_fd = client_connect("member.sock");
	if (t.wait_fd >= 0 && client_send(t.wait_fd, j)) {
		close(t.wait_fd);
		t.wait_fd = -1;
	}
	json_decref(j);
	if (t.wait_fd < 0 && !t.lost) {
		t.lost = true;
		if (t.terminal)
			line_hide();
		fputs("ntm-group: ntm-member does not answer; it is tried "
		      "again\n",
		      stderr);
		if (t.terminal)
			line_show();
	}
	t.lost = t.lost && t.wait_fd < 0;
}

static void on_change(void)
{
	char buf[512], *end;
	ssize_t n = recv(t.wait_fd, buf, sizeof(buf) - 1, 0);
	json_t *j;

	if (n < 0 && errno == EINTR)
		return;
	end = n > 0 ? memchr(buf, '\n', (size_t)n) : NULL;
	if (!end) {
		close(t.wait_fd);
		t.wait_fd = -1;
		t.changes = 0;
		return;
	}
	j = json_loadb(buf, (size_t)(end - buf), 0, NULL);
	t.changes = out_int(j, "changes");
	json_decref(j);
	said_look();
	if (new_show(json_pack("{s:I}", "after", t.last), false)) {
		t.over = true; /* it has said why */
		t.status = 1;
		return;
	}
	wait_send();
}

/* --- what is said here ---------------------------------------------------------------------- */

static void say(const char *text, const char *file)
{
	json_int_t n;

	if (words_say(t.a, t.group, text, file, &n)) {
		t.status = 1;
		return;
	}
	if (t.n_said == SAID_MAX)
		memmove(t.said, t.said + 1, --t.n_said * sizeof(t.said[0]));
	t.said[t.n_said++] = (struct said){.n = n};
}

static void help(void)
{
	puts("/file PATH   send a file\n"
	     "/members     who is in the group\n"
	     "/read        what was said last, and who has read it\n"
	     "/quit        end, as Ctrl-D\n"
	     "//text       say a line that begins with a slash");
}

static void command(const char *line)
{
	struct command_args a = *t.a;
	char *words[] = {(char *)t.group, NULL}, path[PATH_MAX];

	a.words = words;
	a.n_words = t.group ? 1 : 0;
	if (!strncmp(line, "/file ", 6) && realpath(line + 6, path)) {
		say(NULL, path);
	} else if (!strncmp(line, "/file ", 6)) {
		puts("there is no such file");
	} else if (!strcmp(line, "/members")) {
		group_members(&a);
	} else if (!strcmp(line, "/read")) {
		a.last = "10";
		group_history(&a);
	} else if (!strcmp(line, "/quit")) {
		t.over = true;
	} else {
		help();
	}
}

static void line_take(const char *line)
{
	if (!*line)
		return;
	if (t.terminal && *line == '/' && line[1] != '/')
		command(line);
	else
		say(t.terminal && *line == '/' ? line + 1 : line, NULL);
}

static void on_line(char *line)
{
	if (!line) {
		t.over = true;
		return;
	}
	if (*line)
		add_history(line);
	line_take(line);
	free(line);
}

/* whole lines of a pipe; one that is too long is said in pieces */
static void pipe_read(void)
{
	ssize_t n =
		read(STDIN_FILENO, t.in + t.in_len, WORDS_TEXT_MAX - t.in_len);
	char *end;
	size_t len;

	if (n < 0 && errno == EINTR)
		return;
	t.over = n <= 0;
	t.in_len += n > 0 ? (size_t)n : 0;
	while (t.in_len) {
		end = memchr(t.in, '\n', t.in_len);
		if (!end && !t.over && t.in_len < WORDS_TEXT_MAX)
			break;
		len = end ? (size_t)(end - t.in) : t.in_len;
		t.in[len] = '\0';
		line_take(t.in);
		len += end ? 1 : 0;
		memmove(t.in, t.in + len, t.in_len - len);
		t.in_len -= len;
	}
}

/* --- life ---------------------------------------------------------------------------------------- */

static void turn(void)
{
	struct pollfd fds[] = {
		{.fd = t.a->listen ? -1 : STDIN_FILENO, .events = POLLIN},
		{.fd = t.wait_fd, .events = POLLIN},
	};
	int n = poll(fds, 2, t.wait_fd < 0 ? AGAIN_MS : -1);

	if (n < 0)
		return; /* a signal */
	if (t.wait_fd < 0)
		wait_send();
	else if (fds[1].revents)
		on_change();
	if (!fds[0].revents || t.over)
		return;
	if (t.terminal)
		line_read();
	else
		pipe_read();
}

/* Which group, said once: the only one may be another one later. Return: exit status */
static int group_pick(const struct command_args *a)
{
	json_t *answer;
	int status;

	t.a = a;
	t.group = a->n_words ? a->words[0] : NULL;
	status = group_call(a, group_request("status", t.group), &answer);
	if (status)
		return status;
	snprintf(t.own_group, sizeof(t.own_group), "%s",
		 out_text(answer, "id", ""));
	if (t.terminal)
		printf("%s, %lld members; /help shows what else there is\n",
		       out_colour(OUT_BOLD, out_text(answer, "name", "?")),
		       (long long)out_int(answer, "members"));
	t.group = t.own_group;
	json_decref(answer);
	return 0;
}

static void said_end(void)
{
	struct pollfd fd = {.events = POLLIN};
	int left = END_MS / AGAIN_MS;

	size_t waiting = said_look();

	while (waiting && !ended && left-- && t.wait_fd >= 0) {
		fd.fd = t.wait_fd;
		if (poll(&fd, 1, AGAIN_MS) > 0)
			on_change();
		waiting = said_look();
	}
	if (waiting && !t.a->json)
		fputs("ntm-group: not all is sent yet; it goes by itself as "
		      "soon as it can\n",
		      stderr);
}

static void run(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	if (t.terminal)
		line_begin("> ", on_line);
	wait_send();
	while (!t.over && !ended)
		turn();
	if (t.terminal)
		line_end();
	t.terminal = false;
	said_end();
	if (t.wait_fd >= 0)
		close(t.wait_fd);
}

/* The lowest number of the messages that @how asks for, or @dflt */
static json_int_t lowest(json_t *how, json_int_t dflt)
{
	json_t *list, *j;
	size_t i;

	if (words_get(t.a, t.group, how, &list))
		return dflt;
	json_array_foreach(list, i, j) if (out_int(j, "n") < dflt) dflt =
		out_int(j, "n");
	json_decref(list);
	return dflt;
}

/* What is new; on a terminal what was said last before it, too. Return: exit status */
static int first_show(bool terminal)
{
	json_int_t n = lowest(json_pack("{s:i}", "last", 1), INT64_MAX);

	/* what comes later is behind all that is there now */
	t.last = n == INT64_MAX ? 0 : n;
	if (!terminal)
		return new_show(json_pack("{s:s}", "state", "new"), true);
	n = lowest(json_pack("{s:s}", "state", "new"), INT64_MAX);
	n = lowest(json_pack("{s:i}", "last", SHOWN_FIRST), n);
	return n == INT64_MAX
		       ? 0
		       : new_show(json_pack("{s:I}", "after", n - 1), true);
}

int group_chat(const struct command_args *a)
{
	bool terminal = !a->once && !a->listen && !a->json &&
			isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	t.terminal = terminal;
	t.wait_fd = -1;
	if (group_pick(a))
		return 1;
	t.terminal = false; /* there is no line yet */
	if (first_show(terminal))
		return 1;
	if (a->once)
		return 0;
	t.terminal = terminal;
	run();
	return t.status;
}
