/* SPDX-License-Identifier: MIT */
/*
 * words - the worker is given the keys of epochs (broker/groupword.h)
 *
 * We connect to its socket, and say all that is so; then each change. When the worker
 * ends, so does the connection: the next worker is told all again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/groupword.h"
#include "broker/member/node.h"
#include "common/log.h"
#include "common/unixsock.h"

#define AGAIN_MIN                                                              \
	LOOP_MS(20) /* the keeper holds the socket for the next worker */
#define AGAIN_MAX LOOP_S(1)

struct words {
	struct node *node;
	int fd;
	struct loop_io *io;
	struct loop_timer *again;
	uint64_t gap; /* to the next try */
};

static void hang_up(struct words *w)
{
	loop_io_del(w->io);
	w->io = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static void failed(struct words *w, int err)
{
	log_debug("member", "the worker takes no keys: %s", err_text(err));
	hang_up(w);
	loop_timer_arm(w->again, w->gap);
	w->gap = w->gap * 2 < AGAIN_MAX ? w->gap * 2 : AGAIN_MAX;
}

static uint32_t valid_s(const struct part *p)
{
	uint64_t now = loop_now_exact(p->node->loop);
	uint64_t left =
		p->valid_until > now ? (p->valid_until - now) / LOOP_S(1) : 0;

	return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

/* The GMS's clock, which the seal's end is by: ours may be off, and packets of who goes by
 * another time than the rest are taken by nobody. */
static int64_t now_of(const struct part *p)
{
	uint64_t now = loop_now_exact(p->node->loop);
	int64_t end = member_not_after(p->m), t;

	t = p->valid_until > now
		    ? end - (int64_t)((p->valid_until - now) / LOOP_S(1))
		    : end + (int64_t)((now - p->valid_until) / LOOP_S(1));
	return t < 0 ? 0 : t > GROUPWORD_NOW_MAX ? GROUPWORD_NOW_MAX : t;
}

/* the domain of a GMS is what stands behind the first dot of its name */
static int epoch_say(struct words *w, struct part *p,
		     const struct group_keys *k)
{
	const struct group *g = member_group(p->m);
	const char *dot = strchr(server_name(p->server), '.');
	const struct who *who = &w->node->who;
	struct groupword_epoch e = {.index = member_index(p->m),
				    .valid_s = valid_s(p),
				    .now = now_of(p),
				    .keys = *k,
				    .group = (struct group *)g};
	int r;

	snprintf(e.name, sizeof(e.name), "%s", member_name(p->m));
	snprintf(e.domain, sizeof(e.domain), "%s", dot ? dot + 1 : "");
	if (who->logged_in && !strcmp(e.domain, who->domain))
		memcpy(e.prefix, who->cert.vip6, sizeof(e.prefix));
	memset(&e.keys.confirm, 0, sizeof(e.keys.confirm));
	memset(&e.keys.exporter, 0, sizeof(e.keys.exporter));
	r = groupword_epoch_send(w->fd, &e);
	ntmc_wipe(&e, sizeof(e));
	return r;
}

static int relay_say(struct words *w, const struct part *p)
{
	return p->relay.kind && p->relay.epoch == p->said_epoch
		       ? groupword_send(w->fd, &p->relay)
		       : 0;
}

void words_relay(struct part *p, const Ntm__GroupRelay *m)
{
	struct groupword *r = &p->relay;
	struct words *w = p->node->words;
	int err;

	memset(r, 0, sizeof(*r));
	r->kind = GROUPWORD_RELAY;
	memcpy(r->id, member_id(p->m), sizeof(r->id));
	r->epoch = m->epoch;
	r->index = m->place;
	r->aead = (enum ntmc_aead_alg)m->aead;
	memcpy(r->key, m->key.data, m->key.len);
	for (size_t i = 0;
	     i < m->n_addresses && r->n_relays < GROUPWORD_RELAYS_MAX; i++) {
		struct groupword_relay *at = &r->relays[r->n_relays++];

		at->ip_len = (uint8_t)m->addresses[i]->ip.len;
		memcpy(at->ip, m->addresses[i]->ip.data, at->ip_len);
		at->port = (uint16_t)m->addresses[i]->port;
	}
	if (!w || w->fd < 0)
		return;
	err = relay_say(w, p);
	if (err)
		failed(w, err);
}

static int part_say(struct words *w, struct part *p)
{
	const struct group_keys *k = p->over ? NULL : member_keys(p->m);
	struct groupword word = {.kind = GROUPWORD_END};
	int r;

	memcpy(word.id, member_id(p->m), sizeof(word.id));
	if (!k || !p->valid_until) {
		p->said_epoch = 0;
		r = groupword_send(w->fd, &word);
		word.kind = GROUPWORD_KEEP; /* it is there, without a key */
		return r || p->over ? r : groupword_send(w->fd, &word);
	}
	if (p->said_epoch == k->epoch) {
		word.kind = GROUPWORD_VALID;
		word.epoch = k->epoch;
		word.valid_s = valid_s(p);
		word.now = now_of(p);
		return groupword_send(w->fd, &word);
	}
	r = epoch_say(w, p, k);
	p->said_epoch = r ? 0 : k->epoch;
	return r ? r : relay_say(w, p);
}

void words_part(struct words *w, struct part *p)
{
	int r;

	p->spoken = true;
	if (!w || w->fd < 0)
		return;
	r = part_say(w, p);
	if (r)
		failed(w, r); /* connected again, all is said again */
}

void words_say_control(struct part *p, const uint8_t *text, size_t len)
{
	struct groupword word = {.kind = GROUPWORD_CONTROL,
				 .epoch = p->said_epoch,
				 .index = member_index(p->m),
				 .text = text,
				 .text_len = len};
	struct words *w = p->node->words;
	int r;

	if (!w || w->fd < 0 || !p->said_epoch)
		return;
	memcpy(word.id, member_id(p->m), sizeof(word.id));
	r = groupword_send(w->fd, &word);
	if (r)
		failed(w, r);
}

/* what another member says; the worker has checked its signature */
static void control(struct words *w, const uint8_t *b, size_t len)
{
	struct groupword word;
	struct part *p;

	if (groupword_get(b, len, &word) || word.kind != GROUPWORD_CONTROL)
		return;
	p = part_by_id(w->node, word.id);
	if (p && !p->over)
		member_heard(p->m, word.epoch, word.index, word.text,
			     word.text_len);
}

static void on_word(void *arg, int fd, unsigned int events)
{
	struct words *w = arg;
	uint8_t b[GROUPWORD_MAX];
	ssize_t n = recv(fd, b, sizeof(b), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		failed(w, -NTM_ECLOSED);
	else
		control(w, b, (size_t)n);
}

static int dial(struct words *w)
{
	int err = unixsock_dial(w->node->rundir, GROUPWORD_SOCKET,
				SOCK_SEQPACKET, &w->fd);

	if (err)
		return err;
	return loop_io_add(w->node->loop, w->fd, LOOP_READ, false, on_word, w,
			   &w->io);
}

/* of one that is not said the worker keeps nothing */
static int part_again(struct words *w, struct part *p)
{
	struct groupword keep = {.kind = GROUPWORD_KEEP};

	p->said_epoch = 0;
	if (p->over)
		return 0;
	if (member_keys(p->m) || p->spoken)
		return part_say(w, p);
	memcpy(keep.id, member_id(p->m), sizeof(keep.id));
	return groupword_send(w->fd, &keep);
}

static void on_again(void *arg)
{
	struct groupword all = {.kind = GROUPWORD_ALL};
	struct words *w = arg;
	struct part *p;
	int r = dial(w);

	DL_FOREACH (w->node->parts, p)
		if (!r)
			r = part_again(w, p);
	if (!r)
		r = groupword_send(w->fd, &all);
	if (r)
		failed(w, r);
	else
		w->gap = AGAIN_MIN;
}

int words_open(struct node *n, struct words **out)
{
	struct words *w = calloc(1, sizeof(*w));

	if (!w)
		return -NTM_ENOMEM;
	w->node = n;
	w->fd = -1;
	w->gap = AGAIN_MIN;
	if (loop_timer_new(n->loop, on_again, w, &w->again)) {
		free(w);
		return -NTM_ENOMEM;
	}
	loop_timer_arm(w->again, 0);
	*out = w;
	return 0;
}

void words_close(struct words *w)
{
	if (!w)
		return;
	hang_up(w);
	loop_timer_free(w->again);
	free(w);
}
