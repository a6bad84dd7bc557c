/* SPDX-License-Identifier: MIT */
/* finder - where the DC of a domain is, and which CA speaks for it: asks the resolver */
#include "servers/dc/finder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/dc/state.h"

#define SAYS_TURN 64

/* struct find - a question under way; @number 0: the place is free */
struct find {
	uint16_t number;
	uint32_t id;
	finder_fn *fn;
};

struct finder {
	struct dc *dc;
	int fd; /* -1: no resolver */
	struct loop_io *io;
	bool vouches;
	uint32_t last_id;
	struct find finds[FINDER_MAX];
};

static void find_end(struct finder *f, struct find *x,
		     const struct finder_answer *a)
{
	struct find was = *x;

	x->number = 0;
	was.fn(f->dc, was.number, a);
}

/* it knows of no question any more */
static void resolver_began(struct finder *f)
{
	struct finder_answer a = {.err = -NTM_EUNREACHABLE,
				  .why = "the resolver was restarted; it is "
					 "asked again in a moment"};

	log_info("finder", "the resolver is there");
	for (size_t i = 0; i < FINDER_MAX; i++)
		if (f->finds[i].number)
			find_end(f, &f->finds[i], &a);
}

static void took(struct finder *f, const uint8_t *buf, size_t len)
{
	struct finder_answer a;
	uint32_t id;

	if (answer_take(buf, len, f->dc->conf->dc_loopback, &id, &a)) {
		log_warn("finder", "the resolver says what is no answer");
		return;
	}
	if (!id) {
		resolver_began(f);
		return;
	}
	for (size_t i = 0; i < FINDER_MAX; i++)
		if (f->finds[i].number && f->finds[i].id == id) {
			find_end(f, &f->finds[i], &a);
			return;
		}
}

static void readable(void *arg, int fd, unsigned int events)
{
	struct finder *f = arg;
	uint8_t buf[sizeof(struct finder_say) + 1];
	ssize_t n;

	(void)events;
	for (int i = 0; i < SAYS_TURN; i++) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n <= 0)
			return;
		took(f, buf, (size_t)n);
	}
}

int finder_find(struct finder *f, const char *domain, uint16_t number,
		bool need_ca, size_t max, finder_fn *fn)
{
	struct finder_ask q = {.version = ANSWER_VERSION, .need_ca = need_ca};
	struct find *x = NULL;
	size_t used = 0;

	for (size_t i = 0; i < FINDER_MAX; i++)
		if (f->finds[i].number)
			used++;
		else
			x = &f->finds[i];
	if (!x || used >= max)
		return -NTM_ELIMIT;
	if (!++f->last_id)
		f->last_id = 1;
	q.id = f->last_id;
	snprintf(q.domain, sizeof(q.domain), "%s", domain);
	if (f->fd < 0 || send(f->fd, &q, sizeof(q),
			      MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(q))
		return -NTM_ESYSTEM;
	*x = (struct find){.number = number, .id = q.id, .fn = fn};
	return 0;
}

void finder_cancel(struct finder *f, uint16_t number)
{
	for (size_t i = 0; f && i < FINDER_MAX; i++)
		if (f->finds[i].number == number)
			f->finds[i].number = 0;
}

bool finder_vouches(const struct finder *f)
{
	return f && f->vouches;
}

int finder_new(struct dc *dc, struct finder **out)
{
	const char *anchor = dc->conf->dc_anchor;
	struct finder *f = calloc(1, sizeof(*f));
	int err = 0;

	if (!f)
		return -NTM_ENOMEM;
	f->dc = dc;
	f->fd = dc->env->sockets.pair;
	f->vouches = f->fd >= 0 && anchor && *anchor && !access(anchor, R_OK);
	if (f->fd >= 0)
		err = loop_io_add(dc->loop, f->fd, LOOP_READ, false, readable,
				  f, &f->io);
	if (err)
		free(f);
	else
		*out = f;
	return err;
}

void finder_free(struct finder *f)
{
	if (!f)
		return;
	loop_io_del(f->io);
	free(f);
}
