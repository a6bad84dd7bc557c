/* SPDX-License-Identifier: MIT */
/*
 * groupreceiver - group packets, opened: epochs, senders, salts, windows
 *
 * Theory of operation
 *
 * A receiver has the keys of one epoch, and for keep_s each of those before: some may
 * follow each other within the time that a packet takes. Of each epoch it has a row for each member; a row that is `gone` opens nothing more,
 * whichever epoch's key the packet has. A row has up to four salts, each with its
 * keys and window. A salt is kept once a packet under it has opened; a fifth one
 * takes the place of the one whose time is least, and from then on no new salt may
 * be as old as that: its window is gone, so its packets may not come again.
 *
 * The order is the data path's: window, AEAD, signature, then mark. An outsider can
 * make us derive a key and open one packet for each that it sends, no more; nothing
 * of it stays.
 */
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/grouppacket_impl.h"

#define SALTS	    4
#define EPOCHS	    GROUP_EPOCHS_MAX /* now, before, before that ... */
#define GONE_KEEP_S 1  /* of an epoch whose key somebody has who is gone */
#define PENDING	    64 /* packets that wait for a batch */

/** struct waiting - packets of a salt that no batch has spoken for */
struct waiting {
	struct {
		uint64_t counter;
		uint8_t tag[NTMC_TAG_LEN];
		bool used;
	} p[PENDING];
	unsigned int next;
};

struct salt {
	uint8_t salt[GROUP_SALT_LEN];
	uint8_t alg;
	struct ntmc_aead *data, *control;
	struct waiting *waiting;
	struct ntmc_replay window;
};

struct row {
	uint32_t index, floor; /* no new salt of that time or before */
	bool gone;
	uint8_t ed_pub[NTMC_KEY_LEN];
	struct salt *salts[SALTS];
};

struct epoch {
	struct group_keys keys;
	enum group_auth auth;
	struct row *rows;
	size_t n;
	int64_t until; /* of the one before */
};

struct group_receiver {
	const struct ntmc_env *env;
	struct epoch e[EPOCHS];
	uint16_t keep_s;
	struct group_receiver_stats stats;
};

static uint32_t salt_time(const uint8_t *salt)
{
	struct wire_in w = wire_in(salt, 4);

	return (uint32_t)wire_get_number(&w, 4);
}

/* --- epochs ---------------------------------------------------------------------- */

static void salt_free(struct group_receiver *r, struct salt *s)
{
	unsigned int i;

	if (!s)
		return;
	for (i = 0; s->waiting && i < PENDING; i++)
		r->stats.unsigned_ += s->waiting->p[i].used;
	free(s->waiting);
	ntmc_aead_free(s->data);
	ntmc_aead_free(s->control);
	free(s);
}

static void epoch_clear(struct group_receiver *r, struct epoch *e)
{
	size_t i, j;

	for (i = 0; i < e->n; i++)
		for (j = 0; j < SALTS; j++)
			salt_free(r, e->rows[i].salts[j]);
	free(e->rows);
	ntmc_wipe(e, sizeof(*e));
}

int group_receiver_new(const struct ntmc_env *env, struct group_receiver **out)
{
	struct group_receiver *r = calloc(1, sizeof(*r));

	if (!r)
		return -NTM_ENOMEM;
	r->env = env;
	*out = r;
	return 0;
}

void group_receiver_free(struct group_receiver *r)
{
	unsigned int i;

	if (!r)
		return;
	for (i = 0; i < EPOCHS; i++)
		epoch_clear(r, &r->e[i]);
	free(r);
}

unsigned int group_receiver_sweep(struct group_receiver *r)
{
	unsigned int next = 0, i;
	int64_t left;

	for (i = 1; i < EPOCHS; i++) {
		struct epoch *old = &r->e[i];

		if (!old->keys.epoch)
			continue;
		left = old->until - ntmc_now(r->env);
		/* more than was said: the clock was put back */
		if (left <= 0 || left > r->keep_s)
			epoch_clear(r, old);
		else if (!next || left < next)
			next = (unsigned int)left;
	}
	return next;
}

/* those who are in it no more, in every epoch that is kept. They have its key: where
 * nothing but the key says who speaks they could do so as another, so it ends soon */
static void mark_gone(struct group_receiver *r, const struct group *g)
{
	int64_t soon = ntmc_now(r->env) + GONE_KEEP_S;
	size_t i, k;

	for (i = 1; i < EPOCHS; i++) {
		struct epoch *e = &r->e[i];
		bool any = false;

		for (k = 0; k < e->n; k++)
			if (!group_find(g, e->rows[k].index))
				any = e->rows[k].gone = true;
		if (any && e->auth != GROUP_AUTH_SIGN && e->until > soon)
			e->until = soon;
	}
}

int group_receiver_begin(struct group_receiver *r, const struct group_keys *k,
			 const struct group *g)
{
	struct epoch *now = &r->e[0];
	size_t n = group_size(g), i;
	struct row *rows;

	if (k->epoch != group_epoch(g) || k->epoch <= now->keys.epoch || !n)
		return -NTM_ESTATE;
	rows = calloc(n, sizeof(*rows));
	if (!rows)
		return -NTM_ENOMEM;
	for (i = 0; i < n; i++) {
		const struct group_member *m = group_at(g, i);

		rows[i].index = m->index;
		memcpy(rows[i].ed_pub, m->ed_pub, sizeof(rows[i].ed_pub));
	}
	epoch_clear(r, &r->e[EPOCHS - 1]);
	memmove(&r->e[1], &r->e[0], (EPOCHS - 1) * sizeof(r->e[0]));
	r->keep_s = group_policy(g)->keep_s;
	r->e[1].until = ntmc_now(r->env) + r->keep_s;
	mark_gone(r, g);
	memset(now, 0, sizeof(*now));
	now->keys = *k;
	now->auth = group_policy(g)->auth;
	now->rows = rows;
	now->n = n;
	group_receiver_sweep(r);
	return 0;
}

static struct epoch *find_epoch(const struct group_receiver *r,
				const uint8_t *tag)
{
	unsigned int i;

	for (i = 0; i < EPOCHS; i++)
		if (r->e[i].keys.epoch &&
		    !memcmp(r->e[i].keys.tag, tag, GROUP_TAG_LEN))
			return (struct epoch *)&r->e[i];
	return NULL;
}

bool group_receiver_knows(const struct group_receiver *r,
			  const uint8_t tag[static GROUP_TAG_LEN])
{
	return find_epoch(r, tag) != NULL;
}

static struct row *find_row(struct epoch *e, uint32_t index)
{
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (e->rows[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low < e->n && e->rows[low].index == index ? &e->rows[low] : NULL;
}

/* --- salts ------------------------------------------------------------------------ */

static struct salt *find_salt(struct row *row, const struct group_header *h)
{
	unsigned int i;

	for (i = 0; i < SALTS; i++)
		if (row->salts[i] &&
		    !memcmp(row->salts[i]->salt, h->salt, sizeof(h->salt)))
			return row->salts[i];
	return NULL;
}

/* a salt not heard of: may it be one, and what are its keys? */
static int new_salt(struct group_receiver *r, const struct epoch *e,
		    const struct row *row, const struct group_header *h,
		    struct salt **out)
{
	uint32_t t = salt_time(h->salt);
	/* in 32 bits, as the times are */
	uint32_t age = (uint32_t)ntmc_now(r->env) - t + GROUP_SALT_SKEW_S;
	bool chacha = h->flags & GROUP_PACKET_CHACHA;
	struct salt *s;
	int err;

	if (age > 2 * GROUP_SALT_SKEW_S || (row->floor && t <= row->floor))
		return -NTM_ECLOCK;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -NTM_ENOMEM;
	s->alg = chacha ? NTMC_CHACHA20_POLY1305 : NTMC_AES_256_GCM;
	memcpy(s->salt, h->salt, sizeof(s->salt));
	err = group_sender_key(&e->keys.data, h->index, h->salt, s->alg,
			       &s->data);
	if (!err)
		err = group_sender_key(&e->keys.control, h->index, h->salt,
				       s->alg, &s->control);
	if (err)
		salt_free(r, s);
	else
		*out = s;
	return err;
}

bool group_receiver_is_new(const struct group_receiver *r, const uint8_t *buf,
			   size_t len)
{
	struct group_header h;
	struct epoch *e;
	struct row *row;

	if (group_header_get(buf, len, &h))
		return false;
	e = find_epoch(r, h.tag);
	row = e ? find_row(e, h.index) : NULL;
	return row && !row->gone && !find_salt(row, &h);
}

static void keep_salt(struct group_receiver *r, struct row *row, struct salt *s)
{
	unsigned int i, at = 0;

	for (i = 0; i < SALTS; i++) {
		if (!row->salts[i]) {
			row->salts[i] = s;
			return;
		}
		if (salt_time(row->salts[i]->salt) <
		    salt_time(row->salts[at]->salt))
			at = i;
	}
	if (salt_time(row->salts[at]->salt) > row->floor)
		row->floor = salt_time(row->salts[at]->salt);
	salt_free(r, row->salts[at]);
	row->salts[at] = s;
}

/* --- signatures --------------------------------------------------------------------- */

/* @data ends with a signature, which is cut off */
static int check_signed(const struct epoch *e, const struct row *row,
			const uint8_t *packet, const uint8_t *data, size_t *len)
{
	uint8_t text[GROUP_DATA_TEXT];
	size_t n;

	if (*len < NTMC_SIG_LEN)
		return -NTM_EDECODE;
	*len -= NTMC_SIG_LEN;
	n = group_data_text(e->keys.id, e->keys.epoch, packet, data, *len,
			    text);
	return ntmc_ed25519_verify(row->ed_pub, text, n, data + *len);
}

/* it is taken now; a batch is to speak for it */
static int wait_for_batch(struct group_receiver *r, struct salt *s,
			  uint64_t counter, const uint8_t *tag)
{
	unsigned int i;

	if (!s->waiting)
		s->waiting = calloc(1, sizeof(*s->waiting));
	if (!s->waiting)
		return -NTM_ENOMEM;
	i = s->waiting->next++ % PENDING;
	r->stats.unsigned_ += s->waiting->p[i].used;
	s->waiting->p[i].used = true;
	s->waiting->p[i].counter = counter;
	memcpy(s->waiting->p[i].tag, tag, NTMC_TAG_LEN);
	return 0;
}

static int check_batch(struct group_receiver *r, const struct epoch *e,
		       const struct row *row, struct salt *s,
		       const uint8_t *data, size_t len)
{
	struct wire_in w = wire_in(data, len);
	uint64_t first = wire_get_number(&w, 8);
	size_t n = (size_t)wire_get_number(&w, 1), i;
	const uint8_t *tags = n && n <= GROUP_BATCH_MAX
				      ? wire_take(&w, n * NTMC_TAG_LEN)
				      : NULL;
	const uint8_t *sig = wire_take(&w, NTMC_SIG_LEN);
	uint8_t text[GROUP_BATCH_TEXT];
	int err;

	if (!tags || !wire_ends(&w))
		return -NTM_EDECODE;
	err = ntmc_ed25519_verify(row->ed_pub, text,
				  group_batch_text(e->keys.id, e->keys.epoch,
						   row->index, s->salt, data,
						   len - NTMC_SIG_LEN, text),
				  sig);
	for (i = 0; !err && s->waiting && i < PENDING; i++) {
		uint64_t at = s->waiting->p[i].counter - first;

		if (!s->waiting->p[i].used || at >= n)
			continue;
		s->waiting->p[i].used = false;
		if (ntmc_equal(s->waiting->p[i].tag, tags + at * NTMC_TAG_LEN,
			       NTMC_TAG_LEN))
			r->stats.signed_ok++;
		else
			r->stats.signed_bad++;
	}
	return err;
}

/* what the sender must have signed, by flags and policy */
static int check_sender(struct group_receiver *r, const struct epoch *e,
			const struct row *row, struct salt *s,
			const struct group_header *h, const uint8_t *packet,
			const uint8_t *aead_tag, const uint8_t *data,
			size_t *len)
{
	bool must = h->flags & GROUP_PACKET_CONTROL ||
		    (e->auth == GROUP_AUTH_SIGN &&
		     !(h->flags & GROUP_PACKET_BATCH));
	int err = 0;

	if (h->flags & GROUP_PACKET_SIGNED) {
		err = check_signed(e, row, packet, data, len);
		if (!err)
			r->stats.signed_ok++;
	} else if (must) {
		err = -NTM_EAUTH;
	} else if (h->flags & GROUP_PACKET_BATCH) {
		err = check_batch(r, e, row, s, data, *len);
		*len = 0;
	} else if (e->auth == GROUP_AUTH_BATCH) {
		err = wait_for_batch(r, s, h->counter, aead_tag);
	}
	if (err && err != -NTM_ENOMEM)
		r->stats.signed_bad++;
	return err;
}

/* --- a packet ------------------------------------------------------------------------ */

/* the epoch and row that may open it */
static int place(struct group_receiver *r, const struct group_header *h,
		 struct epoch **e, struct row **row)
{
	group_receiver_sweep(r);
	*e = find_epoch(r, h->tag);
	if (!*e) {
		r->stats.unknown++;
		return -NTM_ENOTFOUND;
	}
	*row = find_row(*e, h->index);
	if (!*row || (*row)->gone) {
		r->stats.strangers++;
		return -NTM_ENONAME;
	}
	return 0;
}

static int open_with(struct group_receiver *r, const struct epoch *e,
		     const struct row *row, struct salt *s,
		     const struct group_header *h, uint8_t *buf, size_t sealed,
		     struct group_opened *out)
{
	bool control = h->flags & GROUP_PACKET_CONTROL;
	uint8_t *data = buf + GROUP_PACKET_HEADER, tag[NTMC_TAG_LEN];
	size_t len = sealed - NTMC_TAG_LEN;
	int err;

	memcpy(tag, data + len, sizeof(tag));
	err = ntmc_aead_open(control ? s->control : s->data, h->counter, buf,
			     GROUP_PACKET_HEADER, data, sealed);
	if (err) {
		r->stats.forged++;
		return -NTM_EAUTH;
	}
	err = check_sender(r, e, row, s, h, buf, tag, data, &len);
	if (err) {
		ntmc_wipe(data, sealed);
		return err;
	}
	out->epoch = e->keys.epoch;
	out->index = h->index;
	out->flags = h->flags;
	out->data = data;
	out->len = len;
	return 0;
}

int group_receiver_open(struct group_receiver *r, uint8_t *buf, size_t len,
			struct group_opened *out)
{
	struct salt *s, *fresh = NULL;
	struct group_header h;
	struct epoch *e;
	struct row *row;
	int err = group_header_get(buf, len, &h);

	if (!err)
		err = place(r, &h, &e, &row);
	if (err)
		return err;
	s = find_salt(row, &h);
	if (s && !ntmc_replay_check(&s->window, h.counter)) {
		r->stats.replayed++;
		return -NTM_EEXISTS;
	}
	if (!s) {
		err = new_salt(r, e, row, &h, &fresh);
		r->stats.old += err == -NTM_ECLOCK;
		if (err)
			return err;
		s = fresh;
	}
	len -= GROUP_PACKET_HEADER;
	if (h.flags & GROUP_PACKET_HOP)
		len -= GROUP_HOP_LEN;
	err = open_with(r, e, row, s, &h, buf, len, out);
	if (!err && !ntmc_replay_mark(&s->window, h.counter))
		err = -NTM_EEXISTS; /* the one counter that no window takes */
	if (err) {
		salt_free(r, fresh);
		return err;
	}
	if (fresh)
		keep_salt(r, row, fresh);
	r->stats.opened++;
	return 0;
}

const struct group_receiver_stats *
group_receiver_stats(const struct group_receiver *r)
{
	return &r->stats;
}
