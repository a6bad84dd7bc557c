/* SPDX-License-Identifier: MIT */
/*
 * group - the groups of the data path: addresses, epochs, members
 *
 * Theory of operation
 *
 * A group is found by its virtual addresses (sending: at most 64, compared one by one)
 * and by the tags of its epochs (receiving: a table). A row for each member holds the
 * member's virtual addresses; its tunnel is looked up by them for each burst, so that
 * tunnels come and go without a word here. A member without one is asked of the owner,
 * at growing intervals; one that was never met has no tunnel to wait in, so a few
 * datagrams are kept for the moment when it is.
 *
 * A new epoch receives from the first moment. It is sent under when the others have had
 * time to hear of it, but at once when a member has gone: what it could read must end.
 * Who has joined can open nothing of the epoch before: until then each packet is sealed
 * twice, and goes under the new one to them alone. Another epoch takes the place of one
 * that waits, since the GMS has RN2 of the newest alone: who was a moment late never gets
 * the one between.
 * The receiver (libntmcrypto) keeps the epoch before as long as the policy says.
 *
 * What is sealed waits in the burst, of which there is one, until the TUN has been
 * drained or the burst is full: then all of it goes to each member in turn, so that one
 * UDP_SEGMENT send carries many packets.
 */
#include "broker/datapath/group.h"

#include <stdlib.h>
#include <string.h>

#include "broker/datapath/group_impl.h"
#include "broker/datapath/group_move.h"

/* --- look-ups --------------------------------------------------------------------------- */

struct group_row *group_row(const struct dp_group *g, uint32_t index)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (g->rows[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low < g->n && g->rows[low].index == index ? &g->rows[low] : NULL;
}

struct dp_group *group_by_address(const struct datapath *dp,
				  const struct inner *in)
{
	struct dp_group *g = dp->groups ? dp->groups->list : NULL;

	for (; g; g = g->next_group)
		if (in->version == 4
			    ? g->has_vip4 && !memcmp(g->vip4, in->dst, 4)
			    : g->has_vip6 && !memcmp(g->vip6, in->dst, 16))
			return g;
	return NULL;
}

void group_ask(struct dp_group *g, struct group_row *row)
{
	uint64_t now = loop_now(g->dp->loop);

	if (row->ask_at > now || !g->dp->ops->group_wants)
		return;
	row->ask_gap = !row->ask_gap ? DP_GROUP_ASK : row->ask_gap * 2;
	if (row->ask_gap > DP_GROUP_ASK_MAX)
		row->ask_gap = DP_GROUP_ASK_MAX;
	row->ask_at = now + row->ask_gap;
	g->dp->ops->group_wants(g->dp->arg, g, row->index);
}

/* --- time -------------------------------------------------------------------------------- */

void group_arm(struct dp_group *g)
{
	uint64_t now = loop_now(g->dp->loop), at = UINT64_MAX;
	unsigned int left = group_receiver_sweep(g->receiver);

	if (g->next)
		at = g->next_at;
	if (g->batch_at && g->batch_at < at)
		at = g->batch_at;
	if (left && now + LOOP_S(left) < at)
		at = now + LOOP_S(left);
	if (at == UINT64_MAX)
		loop_timer_disarm(g->tick);
	else
		loop_timer_arm(g->tick, at > now ? at - now : 0);
}

static void on_tick(void *arg)
{
	struct dp_group *g = arg;

	group_switch(g);
	if (g->batch_at && g->batch_at <= loop_now(g->dp->loop))
		group_sign(g);
	group_flush(g->dp);
	batch_flush(g->dp->batch);
	group_arm(g);
}

static void send_under_next(struct dp_group *g)
{
	group_sign(g); /* the last packets of both */
	group_flush(g->dp);
	group_sender_free(g->sender);
	g->sender = g->next;
	g->epoch = g->next_epoch;
	g->next = NULL;
}

void group_switch(struct dp_group *g)
{
	if (!g->next || loop_now(g->dp->loop) < g->next_at)
		return;
	send_under_next(g);
	g->joined = false;
	for (size_t i = 0; i < g->n; i++)
		g->rows[i].since = 0;
}

/* Room for what is missed, while there is somebody who can miss it */
static void missed_fit(struct dp_group *g)
{
	bool wanted = false;

	for (size_t i = 0; i < g->n; i++)
		wanted |= !g->rows[i].met && g->rows[i].index != g->own;
	if (wanted && !g->missed) {
		g->missed = calloc(1, sizeof(*g->missed));
	} else if (!wanted) {
		free(g->missed);
		g->missed = NULL;
	}
}

/* May receivers have forgotten what is sent under, at the end of another wait? */
static bool must_go_on(const struct dp_group *g, uint64_t epoch,
		       const struct group *members)
{
	return epoch - g->epoch > GROUP_EPOCHS_MAX - 2 ||
	       LOOP_S(group_policy(members)->keep_s) < 3 * DP_GROUP_SWITCH;
}

/* One waits already: it is left out, or sent under while the new one waits. The second
 * loses what goes to those who have not heard of it, and is for many joins a second. */
static void wait_no_more(struct dp_group *g, uint64_t epoch,
			 const struct group *members)
{
	group_sign(g);
	group_flush(g->dp); /* it is for the rows of before */
	if (!g->next)
		return;
	if (must_go_on(g, epoch, members)) {
		send_under_next(g);
	} else {
		group_sender_free(g->next);
		g->next = NULL;
	}
}

/* Who cannot open what is sent under, or may have missed it: all who have just joined,
 * until the newest is sent under. @old: the rows of before */
static void joined_mark(struct dp_group *g, const struct group_row *old,
			size_t n)
{
	uint64_t now = loop_now(g->dp->loop);
	size_t k = 0;

	g->joined = false;
	for (size_t i = 0; i < g->n; i++) {
		struct group_row *row = &g->rows[i];

		while (k < n && old[k].index < row->index)
			k++;
		if (k == n || old[k].index != row->index)
			row->since = now;
		else if (now - row->since >= DP_GROUP_SWITCH)
			row->since = 0;
		g->joined |= row->since != 0;
	}
}

/* --- epochs ------------------------------------------------------------------------------ */

static void tag_drop(struct dp_group *g, unsigned int i)
{
	if (g->tags[i].used)
		HASH_DELETE(hh, g->dp->groups->by_tag, &g->tags[i]);
	memset(&g->tags[i], 0, sizeof(g->tags[i]));
}

static void tag_add(struct dp_group *g, unsigned int i, const uint8_t *tag)
{
	struct group_tag *t = &g->tags[i], *other;

	HASH_FIND(hh, g->dp->groups->by_tag, tag, GROUP_TAG_LEN, other);
	if (other) /* 64 bits by chance: the first one stays */
		return;
	memcpy(t->tag, tag, GROUP_TAG_LEN);
	t->g = g;
	t->used = true;
	HASH_ADD(hh, g->dp->groups->by_tag, tag, GROUP_TAG_LEN, t);
}

/* the newest first; those before stay as long as the receiver knows them */
static void tags_move(struct dp_group *g, const uint8_t *tag)
{
	uint8_t kept[GROUP_EPOCHS_MAX][GROUP_TAG_LEN];
	unsigned int n = 1;

	memcpy(kept[0], tag, GROUP_TAG_LEN);
	for (unsigned int i = 0; i < GROUP_EPOCHS_MAX; i++) {
		if (n < GROUP_EPOCHS_MAX && g->tags[i].used &&
		    group_receiver_knows(g->receiver, g->tags[i].tag))
			memcpy(kept[n++], g->tags[i].tag, GROUP_TAG_LEN);
		tag_drop(g, i);
	}
	for (unsigned int i = 0; i < n; i++)
		tag_add(g, i, kept[i]);
}

static struct group_row *rows_make(const struct dp_group *g,
				   const struct group *members)
{
	size_t n = group_size(members);
	struct group_row *rows = calloc(n, sizeof(*rows)), *old;

	for (size_t i = 0; rows && i < n; i++) {
		rows[i].index = group_at(members, i)->index;
		old = group_row(g, rows[i].index);
		if (old)
			rows[i] = *old;
	}
	return rows;
}

static bool somebody_left(const struct dp_group *g, const struct group *members)
{
	for (size_t i = 0; i < g->n; i++)
		if (!group_find(members, g->rows[i].index))
			return true;
	return false;
}

int dp_group_epoch(struct dp_group *g, const struct group_keys *k,
		   const struct group *members, const struct ntmc_identity *id,
		   uint32_t index)
{
	struct group_row *rows = rows_make(g, members), *old;
	struct group_sender *s = NULL;
	size_t n_old;
	bool now = !g->sender || somebody_left(g, members);
	int r = rows ? 0 : -NTM_ENOMEM;

	if (!r)
		r = group_sender_new(g->env, k, id, index,
				     group_policy(members)->auth, &s);
	if (!r)
		r = group_receiver_begin(g->receiver, k, members);
	if (r) {
		group_sender_free(s);
		free(rows);
		return r;
	}
	wait_no_more(g, k->epoch, members);
	old = g->rows;
	n_old = g->n;
	g->rows = rows;
	g->n = group_size(members);
	g->own = index;
	joined_mark(g, old, n_old);
	free(old);
	missed_fit(g);
	tags_move(g, k->tag);
	g->next = s;
	g->next_epoch = k->epoch;
	g->next_at = loop_now(g->dp->loop) + (now ? 0 : DP_GROUP_SWITCH);
	group_switch(g);
	group_flush(g->dp);
	batch_flush(g->dp->batch);
	group_arm(g);
	return 0;
}

uint64_t dp_group_sends(const struct dp_group *g)
{
	return g->epoch;
}

void dp_group_until(struct dp_group *g, uint64_t ns)
{
	g->until = ns;
}

void dp_group_relay(struct dp_group *g, uint64_t epoch, const struct addr *at,
		    const uint8_t *places, size_t len)
{
	struct group_relay *r = g->relays;

	if (r[0].epoch == g->epoch ? epoch != g->epoch : r[1].epoch == epoch)
		r++;
	group_flush(g->dp); /* it is for those of before */
	batch_flush(g->dp->batch);
	memset(r, 0, sizeof(*r));
	if (!at || len > sizeof(r->places))
		return;
	r->epoch = epoch;
	r->at = *at;
	memcpy(r->places, places, len);
}

/* --- members ------------------------------------------------------------------------------ */

void dp_group_meet(struct dp_group *g, uint32_t index,
		   const uint8_t vip6[static 16], const uint8_t vip4[static 4])
{
	struct group_row *row = group_row(g, index);

	if (!row)
		return;
	memcpy(row->vip6, vip6, 16);
	memcpy(row->vip4, vip4, 4);
	row->met = true;
	row->ask_at = row->ask_gap = 0;
	group_make_up(g, row);
	missed_fit(g);
}

bool dp_group_met(const struct dp_group *g, uint32_t index)
{
	const struct group_row *row = group_row(g, index);

	return row && row->met;
}

void dp_group_counters(const struct dp_group *g, struct dp_group_counters *out)
{
	*out = g->n_of;
	out->rx = *group_receiver_stats(g->receiver);
}

/* --- life ---------------------------------------------------------------------------------- */

static struct group_table *table(struct datapath *dp)
{
	if (!dp->groups)
		dp->groups = calloc(1, sizeof(*dp->groups));
	return dp->groups;
}

int dp_group_new(struct datapath *dp, const struct ntmc_env *env, void *arg,
		 struct dp_group **out)
{
	struct dp_group *g;
	int r;

	if (!table(dp))
		return -NTM_ENOMEM;
	if (dp->groups->n >= DP_GROUPS_MAX)
		return -NTM_ELIMIT;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -NTM_ENOMEM;
	g->dp = dp;
	g->env = env;
	g->arg = arg;
	g->next_group = dp->groups->list;
	dp->groups->list = g;
	dp->groups->n++;
	r = group_receiver_new(env, &g->receiver);
	if (!r)
		r = loop_timer_new(dp->loop, on_tick, g, &g->tick);
	if (r)
		dp_group_free(g);
	else
		*out = g;
	return r;
}

void dp_group_free(struct dp_group *g)
{
	struct dp_group **at;

	if (!g)
		return;
	group_flush(g->dp);
	for (unsigned int i = 0; i < GROUP_EPOCHS_MAX; i++)
		tag_drop(g, i);
	for (at = &g->dp->groups->list; *at && *at != g;)
		at = &(*at)->next_group;
	if (*at) {
		*at = g->next_group;
		g->dp->groups->n--;
	}
	group_sender_free(g->sender);
	group_sender_free(g->next);
	group_receiver_free(g->receiver);
	loop_timer_free(g->tick);
	free(g->missed);
	free(g->rows);
	free(g);
}

void *dp_group_arg(const struct dp_group *g)
{
	return g->arg;
}

int dp_group_set_addresses(struct dp_group *g, const uint8_t vip6[static 16],
			   const uint8_t vip4[static 4])
{
	static const uint8_t none[4];
	bool four = memcmp(vip4, none, 4) != 0;
	struct dp_group *o = g->dp->groups->list;

	for (; o; o = o->next_group)
		if (o != g &&
		    ((o->has_vip6 && !memcmp(o->vip6, vip6, 16)) ||
		     (four && o->has_vip4 && !memcmp(o->vip4, vip4, 4))))
			return -NTM_EEXISTS;
	memcpy(g->vip6, vip6, 16);
	memcpy(g->vip4, vip4, 4);
	g->has_vip6 = true;
	g->has_vip4 = four;
	return 0;
}

void group_free_all(struct datapath *dp)
{
	while (dp->groups && dp->groups->list)
		dp_group_free(dp->groups->list);
	free(dp->groups);
	dp->groups = NULL;
}
