/* SPDX-License-Identifier: MIT */
/* items - what the commands of items share: asking ntm-post, a bar of progress */
#include "wrappers/items.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/out.h"
#include "common/plain.h"
#include "wrappers/client.h"

#define PAUSE_MS       200
#define AGAIN_MAX      50 /* pauses: ntm-post that died is started by then */
#define COLUMNS	       80 /* of a terminal that does not say */
#define CELLS_MAX      20
#define CELLS_MIN      5
#define NAME_MIN       8
#define NAME_MAX_SHOWN 40
#define RATE_SHARE     0.2 /* of the newest look */

/* --- asking
 * --------------------------------------------------------------------------------- */

static int refused(const struct command_args *a, int err, json_t *answer)
{
	json_t *j = answer ? json_incref(answer)
			   : json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				       err_name(err), "text",
				       client_text(err, NULL));

	if (!command_json(a, j))
		fprintf(stderr, "ntm: %s\n", client_text(err, answer));
	json_decref(j);
	json_decref(answer);
	return 1;
}

/* Is ntm-post yet to be started? The broker has begun a moment ago then: it is waited for
 * a little, and called again. *@tries: 0 at first */
static bool starts(const struct command_args *a, int err, int *tries)
{
	if (err != -NTM_EAGAIN || ++*tries > AGAIN_MAX || items_interrupted())
		return false;
	if (*tries == 1 && !a->json && isatty(STDERR_FILENO))
		fputs("ntm: ntm-post is starting ...\n", stderr);
	items_pause();
	return true;
}

static int ask(const struct command_args *a, const json_t *request,
	       json_t **answer)
{
	int err, tries = 0;

	*answer = NULL;
	do {
		json_decref(*answer);
		err = client_call_to(CLIENT_POST, request, CLIENT_LIMIT_S,
				     answer);
	} while (starts(a, err, &tries));
	return err;
}

int items_call(const struct command_args *a, json_t *request, json_t **answer)
{
	int err = ask(a, request, answer);

	json_decref(request);
	if (!a->json)
		plain_json(*answer, "folder");
	if (!err)
		return 0;
	refused(a, err, *answer);
	*answer = NULL;
	return 1;
}

json_t *items_get(const struct command_args *a, const char *cmd, json_int_t id)
{
	json_t *request = json_pack("{s:s, s:I}", "cmd", cmd, "id", id);
	json_t *answer, *item;
	int err, tries = 0;

	for (;;) {
		err = ask(a, request, &answer);
		if (err != -NTM_ECLOSED || items_interrupted() ||
		    ++tries > AGAIN_MAX)
			break;
		json_decref(answer);
		items_pause();
	}
	json_decref(request);
	if (err) {
		if (items_interrupted())
			json_decref(answer);
		else
			refused(a, err, answer);
		return NULL;
	}
	item = json_incref(json_array_get(json_object_get(answer, "items"), 0));
	json_decref(answer);
	if (!a->json)
		plain_json(item, "folder");
	return item;
}

int items_all(const struct command_args *a, const char *cmd, json_t **out,
	      bool *logged_in)
{
	json_t *all = json_array(), *answer, *items;
	json_int_t after = 0;
	size_t n;

	do {
		if (items_call(
			    a,
			    json_pack("{s:s, s:I}", "cmd", cmd, "after", after),
			    &answer)) {
			json_decref(all);
			return 1;
		}
		*logged_in = json_is_true(json_object_get(answer, "logged_in"));
		items = json_object_get(answer, "items");
		n = json_array_size(items);
		if (n)
			after = out_int(json_array_get(items, n - 1), "id");
		json_array_extend(all, items);
		json_decref(answer);
	} while (n);
	*out = all;
	return 0;
}

/* Those behind the last one. Return: as inbox_rows_add() */
static int rows_ask(const struct command_args *a, struct inbox_rows *l)
{
	json_int_t after = l->n ? (json_int_t)l->row[l->n - 1].number : 0;
	json_t *request = json_pack("{s:s, s:b, s:I}", "cmd", "inbox", "brief",
				    1, "after", after),
	       *why = NULL;
	char *answer = NULL;
	int r, tries = 0;

	do {
		json_decref(why);
		r = client_line_to(CLIENT_POST, request, CLIENT_LIMIT_S,
				   &answer, &why);
	} while (starts(a, r, &tries));
	json_decref(request);
	if (!r)
		r = inbox_rows_add(l, answer);
	if (r < 0) {
		plain_json(why, NULL);
		command_fail(a, r, client_text(r, why));
	}
	json_decref(why);
	return r;
}

int items_rows(const struct command_args *a, struct inbox_rows *out)
{
	int n;

	*out = (struct inbox_rows){NULL};
	do {
		n = rows_ask(a, out);
	} while (n == INBOX_ROWS_PAGE);
	if (n < 0)
		inbox_rows_clear(out);
	return n < 0;
}

void items_none(const char *text, bool logged_in)
{
	printf("%s%s\n", text,
	       logged_in ? ""
			 : "; this device is not logged in: run `ntm login`");
}

json_int_t items_number(const struct command_args *a, const char *cmd,
			const char *word)
{
	char text[256], shown[64], *end;
	long long id;

	errno = 0;
	id = strtoll(word, &end, 10);
	if (!*end && id > 0 && !errno)
		return id;
	snprintf(text, sizeof(text),
		 "\"%s\" is no number; `ntm %s` shows the numbers",
		 plain_text(word, shown, sizeof(shown)), cmd);
	command_fail(a, -NTM_EINVAL, text);
	return 0;
}

int items_may(const struct command_args *a, json_int_t id)
{
	json_t *answer, *item;
	char why[128];
	int status = 0;

	if (items_call(a, json_pack("{s:s, s:I}", "cmd", "inbox", "id", id),
		       &answer))
		return 1;
	item = json_array_get(json_object_get(answer, "items"), 0);
	if (!strcmp(out_text(item, "application", ""), ITEMS_GROUPS)) {
		snprintf(why, sizeof(why),
			 "item %lld is of a group; `ntm-group list` shows what "
			 "is there",
			 (long long)id);
		status = command_fail(a, -NTM_EPERM, why);
	}
	json_decref(answer);
	return status;
}

/* --- Ctrl-C
 * --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* Ctrl-C is for us now. No SA_RESTART: what waits ends at once. */
static void interrupt_take(void)
{
	const struct sigaction act = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &act, NULL);
}

bool items_interrupted(void)
{
	return interrupted;
}

void items_interrupt_end(const char *text)
{
	fprintf(stderr, "%s\n", text);
	fflush(stdout);
	/* a loop of the shell ends with us only if the signal is what ends us */
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
}

void items_pause(void)
{
	(void)poll(NULL, 0, PAUSE_MS);
}

/* --- the bar
 * -------------------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *left_text(char *buf, size_t size, double s)
{
	if (s < 60)
		snprintf(buf, size, "%.0f s", s);
	else if (s < 3600)
		snprintf(buf, size, "%d min %02d s", (int)s / 60, (int)s % 60);
	else
		snprintf(buf, size, "%.1f h", s / 3600);
	return buf;
}

static void rate_take(struct items_bar *b, json_int_t done)
{
	double now = seconds(), rate;

	if (b->at > 0 && now > b->at && done >= b->last) {
		rate = (double)(done - b->last) / (now - b->at);
		b->rate = b->rate > 0 ? b->rate + RATE_SHARE * (rate - b->rate)
				      : rate;
	}
	b->at = now;
	b->last = done;
}

static int terminal_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col ? COLUMNS
								 : w.ws_col;
}

/* What fits into a line, one column less than the terminal has: the numbers, of them
 * the most telling ones; then the name; then the bar. */
static void line_print(const char *name, const char *full, const char *brief,
		       json_int_t done, json_int_t all)
{
	char cells[CELLS_MAX + 1], shown[4 * NAME_MAX_SHOWN + 4];
	int room = terminal_columns() - 1, n, filled;
	const char *numbers = full;

	if (room - (int)strlen(full) < NAME_MIN + CELLS_MIN + 4)
		numbers = brief;
	room -= (int)strlen(numbers);
	n = (room - NAME_MIN - 4 < room / 2 ? room - NAME_MIN - 4 : room / 2);
	n = n > CELLS_MAX ? CELLS_MAX : n < CELLS_MIN ? 0 : n;
	room -= n ? n + 3 : 0;
	plain_fit(name,
		  room < 0		  ? 0
		  : room > NAME_MAX_SHOWN ? NAME_MAX_SHOWN
					  : (size_t)room,
		  shown, sizeof(shown));
	fprintf(stderr, "\r%s", shown);
	if (n) {
		filled = (int)((double)n * (double)done / (double)all);
		memset(cells, ' ', (size_t)n);
		memset(cells, '#', (size_t)(filled > n ? n : filled));
		cells[n] = '\0';
		fprintf(stderr, " [%s]", cells);
	}
	fprintf(stderr, "%s\033[K", numbers);
}

void items_bar_draw(struct items_bar *b, const char *name, json_int_t done,
		    json_int_t all)
{
	char left[32] = "-", full[128], brief[64];
	int percent;

	if (!isatty(STDERR_FILENO) || all <= 0 || done < 0)
		return;
	if (done > all)
		done = all;
	rate_take(b, done);
	if (b->rate >= 1)
		left_text(left, sizeof(left), (double)(all - done) / b->rate);
	percent = (int)(100.0 * (double)done / (double)all);
	snprintf(full, sizeof(full), " %3d%%  %s of %s  %s/s  %s left", percent,
		 out_bytes(done), out_bytes(all),
		 out_bytes((json_int_t)b->rate), left);
	snprintf(brief, sizeof(brief), " %3d%%  %s left", percent, left);
	line_print(name, full, brief, done, all);
	b->drawn = true;
}

void items_bar_end(struct items_bar *b)
{
	if (b->drawn)
		fputs("\r\033[K", stderr);
	b->drawn = false;
}

/* --- watching
 * ------------------------------------------------------------------------------- */

static void hindrance_say(struct items_bar *bar, const char *text,
			  char said[static 512])
{
	if (!strcmp(text, said))
		return;
	items_bar_end(bar);
	snprintf(said, 512, "%s", text);
	if (*said)
		fprintf(stderr, "ntm: not yet: %s (it is tried again)\n", said);
}

json_t *items_watch(const struct command_args *a, const char *cmd,
		    json_int_t id, bool (*under_way)(const json_t *item))
{
	struct items_bar bar = {.last = 0};
	char said[512] = "";
	json_t *item;

	interrupt_take();
	for (;;) {
		item = items_get(a, cmd, id);
		if (!item || interrupted || !under_way(item))
			break;
		if (!a->json)
			hindrance_say(&bar, out_text(item, "text", ""), said);
		items_bar_draw(
			&bar,
			out_text(item, "title", out_text(item, "from", "")),
			out_int(item, "sent") + out_int(item, "fetched"),
			out_int(item, "size"));
		json_decref(item);
		items_pause();
	}
	items_bar_end(&bar);
	if (!interrupted) {
		signal(SIGINT, SIG_DFL);
		return item;
	}
	json_decref(item);
	return NULL;
}
