/* SPDX-License-Identifier: MIT */
/* items - what the commands of items share: asking ntm-post, a bar of progress */
#include "wrappers/items.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/out.h"
#include "wrappers/client.h"

#define PAUSE_MS   200
#define BAR_CELLS  20
#define RATE_SHARE 0.2 /* of the newest look */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int items_call(const struct command_args *a, json_t *request, json_t **answer)
{
	int err = client_call_to(CLIENT_POST, request, CLIENT_LIMIT_S, answer);
	json_t *j;

	json_decref(request);
	if (!err)
		return 0;
	j = *answer ? json_incref(*answer)
		    : json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				err_name(err), "text", client_text(err, NULL));
	if (!command_json(a, j))
		fprintf(stderr, "ntm: %s\n", client_text(err, *answer));
	json_decref(j);
	json_decref(*answer);
	*answer = NULL;
	return 1;
}

json_t *items_get(const struct command_args *a, const char *cmd, json_int_t id)
{
	json_t *answer, *item;

	if (items_call(a, json_pack("{s:s, s:I}", "cmd", cmd, "id", id),
		       &answer))
		return NULL;
	item = json_incref(json_array_get(json_object_get(answer, "items"), 0));
	json_decref(answer);
	return item;
}

int items_all(const struct command_args *a, const char *cmd, json_t **out)
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

void items_pause(void)
{
	(void)poll(NULL, 0, PAUSE_MS);
}

static const char *left_text(char *buf, size_t size, double s)
{
	if (s < 60)
		snprintf(buf, size, "%.0f s", s);
	else if (s < 3600)
		snprintf(buf, size, "%.0f min %02d s", s / 60 - 0.5,
			 (int)s % 60);
	else
		snprintf(buf, size, "%.1f h", s / 3600);
	return buf;
}

void items_bar_draw(struct items_bar *b, const char *name, json_int_t done,
		    json_int_t all)
{
	char cells[BAR_CELLS + 1], left[32] = "-";
	double now = seconds(), rate;
	int n = all > 0 ? (int)(BAR_CELLS * done / all) : 0;

	if (!isatty(STDERR_FILENO) || all <= 0)
		return;
	if (b->at > 0 && now > b->at && done >= b->last) {
		rate = (double)(done - b->last) / (now - b->at);
		b->rate = b->rate > 0 ? b->rate + RATE_SHARE * (rate - b->rate)
				      : rate;
	}
	b->at = now;
	b->last = done;
	if (b->rate >= 1)
		left_text(left, sizeof(left), (double)(all - done) / b->rate);
	memset(cells, ' ', BAR_CELLS);
	memset(cells, '#', (size_t)(n < 0 ? 0 : n > BAR_CELLS ? BAR_CELLS : n));
	cells[BAR_CELLS] = '\0';
	fprintf(stderr, "\r%.30s [%s] %3d%%  %s of %s  %s/s  %s left\033[K",
		name, cells, (int)(100 * done / all), out_bytes(done),
		out_bytes(all), out_bytes((json_int_t)b->rate), left);
	b->drawn = true;
}

void items_bar_end(struct items_bar *b)
{
	if (b->drawn)
		fputs("\r\033[K", stderr);
	b->drawn = false;
}
