/* SPDX-License-Identifier: MIT */
/*
 * groups - the groups that this node is in, as far as packets, names and policy go
 *
 * Theory of operation
 *
 * A group comes with its first epoch, and each epoch brings the members with it
 * (groupmember.c). Whenever they change the policy is applied to all peers anew: tunnels
 * carry groups, so who is a member no more may have to go.
 *
 * Packets' salts have a time, and who goes by another time than the others is not heard. So
 * a group's time is its GMS's, which ntm-member says with each word of the epoch; between
 * two words the loop's clock counts on. In an epoch it never goes back, so that no window
 * that was given up is opened again; a new epoch has new keys, and may begin earlier. No
 * nonce hangs on it: each salt is drawn anew.
 *
 * When ntm-member has said nothing for longer than an epoch may be used, nothing is sent
 * any more; what others send is opened still, as they were told to be members.
 */
#include "broker/groups_impl.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/datapath/group.h"
#include "broker/groupplace.h"
#include "broker/memberlink.h"
#include "broker/peer.h"
#include "broker/policy.h"
#include "common/log.h"

static struct groups_one *find(const struct groups *gs, const uint8_t *id)
{
	struct groups_one *o = gs->list;

	while (o && memcmp(o->id, id, GROUP_ID_LEN))
		o = o->next;
	return o;
}

/* --- what ntm-member says ------------------------------------------------------------------------ */

static int64_t time_now(void *ctx)
{
	const struct groups_one *o = ctx;
	uint64_t now = loop_now(o->gs->w->loop);

	return o->now + (int64_t)((now - o->now_ns) / LOOP_S(1));
}

static void random_bytes(void *ctx, void *buf, size_t len)
{
	const struct groups_one *o = ctx;

	ntmc_random(&o->gs->w->env->crypto, buf, len);
}

static void time_set(struct groups_one *o, int64_t now)
{
	o->now = now;
	o->now_ns = loop_now(o->gs->w->loop);
}

static void valid(struct groups_one *o, uint32_t valid_s, int64_t now)
{
	if (now > time_now(o))
		time_set(o, now);
	o->until_ns = loop_now(o->gs->w->loop) + LOOP_S((uint64_t)valid_s);
	dp_group_until(o->dp, o->until_ns);
}

static void drop(struct groups *gs, struct groups_one *o)
{
	struct groups_one **at = &gs->list;

	while (*at && *at != o)
		at = &(*at)->next;
	if (*at) {
		*at = o->next;
		gs->n--;
	}
	groupplace_free(o->place);
	dp_group_free(o->dp);
	group_free(o->g);
	free(o);
}

static int make(struct groups *gs, const struct groupword_epoch *e,
		struct groups_one **out)
{
	struct groups_one *o;
	int err;

	if (gs->n >= GROUPWORD_GROUPS_MAX)
		return -NTM_ELIMIT;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -NTM_ENOMEM;
	o->gs = gs;
	memcpy(o->id, e->keys.id, sizeof(o->id));
	snprintf(o->name, sizeof(o->name), "%s", e->name);
	snprintf(o->domain, sizeof(o->domain), "%s", e->domain);
	o->env = (struct ntmc_env){random_bytes, time_now, o};
	time_set(o, e->now);
	err = dp_group_new(gs->w->dp, &o->env, o, &o->dp);
	if (!err)
		err = groupplace_new(gs->w, o->dp, &o->place);
	if (err) {
		dp_group_free(o->dp);
		free(o);
		return err;
	}
	o->next = gs->list;
	gs->list = o;
	gs->n++;
	*out = o;
	return 0;
}

/* is it the same epoch again, of an ntm-member that has started? */
static bool is_same(const struct groups_one *o, const struct groupword_epoch *e)
{
	return o->g && group_epoch(o->g) == e->keys.epoch &&
	       !memcmp(group_hash(o->g), e->keys.hash, NTMC_HASH_LEN);
}

static void apply_policy(void *arg, struct peer *p)
{
	(void)arg;
	peer_apply_policy(p);
}

static int enter(struct groups_one *o, struct groupword_epoch *e)
{
	struct worker *w = o->gs->w;
	int64_t before = time_now(o);
	int err;

	time_set(o, e->now);
	err = dp_group_epoch(o->dp, &e->keys, e->group,
			     &w->account->secrets->id, e->index);
	if (err) {
		time_set(o, before);
		return err;
	}
	group_free(o->g);
	o->g = e->group;
	e->group = NULL;
	o->index = e->index;
	memcpy(&o->tag, e->keys.tag, sizeof(o->tag));
	o->tag = be64toh(o->tag);
	groupplace_forget(o->place);
	groups_address(o, e->prefix);
	for (size_t i = 0; i < group_size(o->g); i++)
		if (group_at(o->g, i)->index != o->index)
			groups_look(o, group_at(o->g, i));
	log_info(o->name, "epoch %llu: %zu members",
		 (unsigned long long)e->keys.epoch, group_size(o->g));
	worker_ranges(w);
	groups_bind(o->gs);
	peers_each(w->peers, apply_policy, NULL);
	return 0;
}

/* --- without a key ------------------------------------------------------------------- */

static size_t keyless_find(const struct groups *gs, const uint8_t *id)
{
	size_t i = 0;

	while (i < gs->n_keyless && memcmp(gs->keyless[i], id, GROUP_ID_LEN))
		i++;
	return i;
}

bool groups_keyless(const struct groups *gs, const uint8_t *id)
{
	return keyless_find(gs, id) < gs->n_keyless;
}

static void keyless_drop(struct groups *gs, const uint8_t *id)
{
	size_t i = keyless_find(gs, id);

	if (i < gs->n_keyless)
		memmove(gs->keyless[i], gs->keyless[--gs->n_keyless],
			GROUP_ID_LEN);
}

static void keyless_put(struct groups *gs, const uint8_t *id)
{
	if (!groups_keyless(gs, id) && gs->n_keyless < GROUPWORD_GROUPS_MAX)
		memcpy(gs->keyless[gs->n_keyless++], id, GROUP_ID_LEN);
}

/* --- what ntm-member says ------------------------------------------------------------ */

int groups_epoch(struct groups *gs, struct groupword_epoch *e)
{
	struct groups_one *o = find(gs, e->keys.id);
	int err = gs->w->account->logged_in ? 0 : -NTM_ENOLOGIN;

	if (!err && !o)
		err = make(gs, e, &o);
	if (!err && !is_same(o, e)) {
		err = enter(o, e);
		if (err && !o->g)
			drop(gs, o);
	}
	if (!err) {
		o->said = true;
		keyless_drop(gs, o->id);
		valid(o, e->valid_s, e->now);
	}
	groupword_epoch_clear(e);
	return err;
}

void groups_valid(struct groups *gs, const struct groupword *word)
{
	struct groups_one *o = find(gs, word->id);

	if (o && group_epoch(o->g) == word->epoch)
		valid(o, word->valid_s, word->now);
}

void groups_relay(struct groups *gs, const struct groupword *word)
{
	struct groups_one *o = find(gs, word->id);

	if (o && group_epoch(o->g) == word->epoch &&
	    groupplace_set(o->place, word, o->tag))
		log_warn(o->name, "no memory for its relay");
}

void groups_datagram(struct groups *gs, const struct packet_header *h,
		     uint8_t *buf, size_t len)
{
	for (struct groups_one *o = gs ? gs->list : NULL; o; o = o->next)
		if (groupplace_datagram(o->place, h, buf, len))
			return;
}

void groups_moved(struct groups *gs)
{
	for (struct groups_one *o = gs ? gs->list : NULL; o; o = o->next)
		groupplace_again(o->place);
}

void groups_slept(struct groups *gs, unsigned int slept_s)
{
	uint64_t slept = LOOP_S((uint64_t)slept_s);

	for (struct groups_one *o = gs ? gs->list : NULL; o; o = o->next) {
		o->now += slept_s;
		o->until_ns -= o->until_ns < slept ? o->until_ns : slept;
		dp_group_until(o->dp, o->until_ns);
	}
}

static void end(struct groups *gs, struct groups_one *o)
{
	log_info(o->name, "it has ended here");
	drop(gs, o);
	worker_ranges(gs->w);
	peers_each(gs->w->peers, apply_policy, NULL);
}

void groups_end(struct groups *gs, const uint8_t id[static GROUP_ID_LEN])
{
	struct groups_one *o = find(gs, id);

	keyless_drop(gs, id);
	if (o)
		end(gs, o);
}

void groups_keep(struct groups *gs, const uint8_t id[static GROUP_ID_LEN])
{
	struct groups_one *o = find(gs, id);

	if (o)
		o->said = true;
	else
		keyless_put(gs, id);
}

bool groups_known(const struct groups *gs)
{
	return !gs || !loop_timer_armed(gs->unknown);
}

void groups_unsure(struct groups *gs)
{
	if (!gs || loop_timer_armed(gs->unknown) ||
	    !memberlink_has_groups(gs->w->memberlink))
		return;
	loop_timer_arm(gs->unknown, GROUPS_UNKNOWN);
	datapath_refuse(gs->w->dp, false);
}

/* whoever is not let in now is not */
static void known(void *arg)
{
	struct groups *gs = arg;

	loop_timer_disarm(gs->unknown);
	datapath_refuse(gs->w->dp, true);
	peers_each(gs->w->peers, apply_policy, NULL);
}

void groups_begin(struct groups *gs)
{
	gs->all = false;
	gs->n_keyless = 0;
	for (struct groups_one *o = gs->list; o; o = o->next)
		o->said = false;
}

void groups_all(struct groups *gs)
{
	struct groups_one *o, *next;

	for (o = gs->list; o; o = next) {
		next = o->next;
		if (!o->said)
			end(gs, o);
	}
	gs->all = true;
	groups_bind(gs);
	if (!groups_known(gs))
		known(gs);
}

/* --- control packets ------------------------------------------------------------------- */

int groups_say(struct groups *gs, const struct groupword *word)
{
	struct groups_one *o = find(gs, word->id);

	return o ? dp_group_control(o->dp, word->text, word->text_len)
		 : -NTM_ENOTFOUND;
}

void groups_control(struct groups *gs, struct dp_group *dp, uint64_t epoch,
		    uint32_t index, const uint8_t *text, size_t len)
{
	struct groups_one *o = dp_group_arg(dp);
	struct groupword word = {.kind = GROUPWORD_CONTROL,
				 .epoch = epoch,
				 .index = index,
				 .text = text,
				 .text_len = len};

	memcpy(word.id, o->id, sizeof(word.id));
	if (gs->heard)
		gs->heard(gs->ear, &word);
}

void groups_set_ear(struct groups *gs,
		    void (*heard)(void *arg, const struct groupword *word),
		    void (*again)(void *arg), void *arg)
{
	gs->heard = heard;
	gs->again = again;
	gs->ear = arg;
}

void groups_again(struct groups *gs)
{
	if (gs->again)
		gs->again(gs->ear);
}

/* --- shown to people ------------------------------------------------------------------------------- */

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void counters(const struct groups_one *o, json_t *j)
{
	struct dp_group_counters n;
	const struct {
		const char *key;
		uint64_t *value;
	} rows[] = {
		{"tx_packets", &n.tx_packets},
		{"tx_bytes", &n.tx_bytes},
		{"tx_datagrams", &n.tx_datagrams},
		{"tx_relayed", &n.tx_relayed},
		{"waited", &n.waited},
		{"no_tunnel", &n.no_tunnel},
		{"frozen", &n.frozen},
		{"rx_packets", &n.rx_packets},
		{"rx_bytes", &n.rx_bytes},
		{"replayed", &n.rx.replayed},
		{"forged", &n.rx.forged},
		{"strangers", &n.rx.strangers},
		{"old", &n.rx.old},
		{"bad_source", &n.bad_source},
		{"bad_destination", &n.bad_destination},
		{"malformed", &n.malformed},
		{"unmet", &n.unmet},
		{"limited", &n.limited},
		{"signed", &n.rx.signed_ok},
		{"signed_bad", &n.rx.signed_bad},
		{"unsigned", &n.rx.unsigned_},
	};

	dp_group_counters(o->dp, &n);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(j, rows[i].key, count(*rows[i].value));
}

static json_t *ip_text(const uint8_t *ip, size_t len)
{
	static const uint8_t none[16];
	char text[ADDR_TEXT_LEN];
	struct addr a;

	if (!memcmp(ip, none, len) || addr_from_ip(ip, len, 0, &a))
		return json_string("");
	return json_string(addr_format_ip(&a, text));
}

json_t *groups_json(const struct groups *gs)
{
	json_t *list = json_array(), *j;
	uint64_t now = gs ? loop_now(gs->w->loop) : 0;
	size_t met;

	for (const struct groups_one *o = gs ? gs->list : NULL; o;
	     o = o->next) {
		met = 0;
		for (size_t i = 0; i < group_size(o->g); i++)
			met += dp_group_met(o->dp, group_at(o->g, i)->index);
		j = json_pack(
			"{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}",
			"name", o->name, "domain", o->domain, "epoch",
			count(group_epoch(o->g)), "sends",
			count(dp_group_sends(o->dp)), "members",
			count(group_size(o->g)), "met", count(met), "valid_s",
			count(o->until_ns > now
				      ? (o->until_ns - now) / 1000000000
				      : 0),
			"vip6", ip_text(o->vip6, 16), "vip4",
			ip_text(o->vip4, 4), "relay",
			groupplace_is_bound(o->place));
		counters(o, j);
		json_array_append_new(list, j);
	}
	return list;
}

/* --- life ------------------------------------------------------------------------------------------ */

void groups_forget(struct groups *gs)
{
	while (gs && gs->list)
		drop(gs, gs->list);
	if (gs)
		gs->n_keyless = 0;
}

static bool has(void *arg, const char *group, const uint8_t *id,
		const char *peer)
{
	return groups_has(arg, group, id, peer);
}

int groups_new(struct worker *w, struct groups **out)
{
	struct groups *gs = calloc(1, sizeof(*gs));

	if (!gs)
		return -NTM_ENOMEM;
	gs->w = w;
	if (loop_timer_new(w->loop, known, gs, &gs->unknown)) {
		free(gs);
		return -NTM_ENOMEM;
	}
	policy_set_groups(w->policy, has, gs);
	*out = gs;
	return 0;
}

void groups_free(struct groups *gs)
{
	if (!gs)
		return;
	policy_set_groups(gs->w->policy, NULL, NULL);
	groups_forget(gs);
	loop_timer_free(gs->unknown);
	free(gs);
}
