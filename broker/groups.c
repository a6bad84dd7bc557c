/* SPDX-License-Identifier: MIT */
/*
 * groups - the groups that this node is in, as far as packets, names and policy go
 *
 * Theory of operation
 *
 * A group comes with its first epoch. Each epoch brings the members with it: their names
 * and identities, as the log has them. What the data path must know beside, each member's
 * virtual addresses, is learned from peers: from one whose identity has been shown in a
 * handshake (the pin, or the peer itself), never from a name alone.
 *
 * Who is wanted and has no tunnel is connected like any peer that a program calls: by a
 * remembered address, so that packets can wait in its tunnel, or by its name.
 *
 * A member may come in without a rule that allows it: tunnels carry groups. It reaches no
 * port that no rule names (policy.h). So whenever members change the policy is applied to
 * all peers anew.
 *
 * When ntm-member has said nothing for longer than an epoch may be used, nothing is sent
 * any more; what others send is opened still, as they were told to be members.
 */
#include "broker/groups.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/datapath/group.h"
#include "broker/domains.h"
#include "broker/groupplace.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/resolve.h"
#include "common/log.h"

#define LABEL_DOT GROUPS_LABEL "."
#define FOUR_BITS 0x3ffffu /* 239.192.0.0/14 has so many addresses */
#define FOUR_NET  0xefc00000u

struct one {
	struct one *next;
	struct groups *gs;
	struct dp_group *dp;
	struct groupplace *place;
	uint64_t tag; /* of the epoch */
	struct group *g;
	char name[GROUP_NAME_MAX + 1], domain[FQDN_MAX + 1];
	uint8_t id[GROUP_ID_LEN], vip6[16], vip4[4];
	uint32_t index;
	uint64_t until_ns;
	bool said; /* since ntm-member began */
};

struct groups {
	struct worker *w;
	struct one *list;
	size_t n;
	void (*heard)(void *arg, const struct groupword *word);
	void (*again)(void *arg);
	void *ear;
	unsigned int connecting; /* by name, under way */
	char reverse[FQDN_MAX + 1];
};

static struct one *find(const struct groups *gs, const uint8_t *id)
{
	struct one *o = gs->list;

	while (o && memcmp(o->id, id, GROUP_ID_LEN))
		o = o->next;
	return o;
}

/* --- addresses ---------------------------------------------------------------------------- */

void groups_addresses(const uint8_t id[static GROUP_ID_LEN],
		      const uint8_t prefix[static GROUPWORD_PREFIX_LEN],
		      uint8_t vip6[static 16], uint8_t vip4[static 4])
{
	static const char label[] = "ntm group address v1";
	uint8_t text[sizeof(label) - 1 + GROUP_ID_LEN], hash[NTMC_HASH_LEN];
	uint32_t v;

	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, id, GROUP_ID_LEN);
	ntmc_sha256(text, sizeof(text), hash);
	vip6[0] = 0xff;
	vip6[1] = 0x38;
	vip6[2] = 0;
	vip6[3] = 0x40;
	memcpy(vip6 + 4, prefix, GROUPWORD_PREFIX_LEN);
	memcpy(vip6 + 12, hash, 4);
	vip6[12] |= 0x80;
	v = FOUR_NET | (get32(hash) & FOUR_BITS);
	put32(vip4, v);
}

/* The first half of the domain's virtual addresses. false: not known yet */
static bool prefix_find(const struct worker *w, const struct groupword_epoch *e,
			uint8_t out[static GROUPWORD_PREFIX_LEN])
{
	static const uint8_t none[GROUPWORD_PREFIX_LEN];
	const struct account *a = w->account;
	const struct ntmc_trust_domain *d;
	char any[FQDN_MAX + 1];

	memcpy(out, e->prefix, GROUPWORD_PREFIX_LEN);
	if (memcmp(out, none, sizeof(none)))
		return true;
	if (!strcmp(e->domain, a->domain)) {
		memcpy(out, a->constraint.prefix6, GROUPWORD_PREFIX_LEN);
		return true;
	}
	if (fqdn_join(NULL, GROUPS_LABEL, e->domain, any))
		return false;
	d = domains_find(w, any);
	if (d)
		memcpy(out, d->prefix6, GROUPWORD_PREFIX_LEN);
	return d != NULL;
}

static void address(struct one *o, const struct groupword_epoch *e)
{
	static const uint8_t none[16];
	uint8_t prefix[GROUPWORD_PREFIX_LEN];

	if (memcmp(o->vip6, none, sizeof(o->vip6)))
		return;
	if (!prefix_find(o->gs->w, e, prefix)) {
		log_info(o->name, "no address yet: %s is not known here",
			 o->domain);
		return;
	}
	groups_addresses(o->id, prefix, o->vip6, o->vip4);
	if (!dp_group_set_addresses(o->dp, o->vip6, o->vip4))
		return;
	log_warn(o->name, "another group has its IPv4 address here: this one "
			  "is reached by IPv6 alone");
	memset(o->vip4, 0, sizeof(o->vip4));
	if (dp_group_set_addresses(o->dp, o->vip6, o->vip4))
		memset(o->vip6, 0, sizeof(o->vip6));
}

/* --- members and peers ------------------------------------------------------------------------ */

static bool is_peer(const struct peer *p, const struct group_member *m)
{
	return p->known && !strcmp(p->fqdn, m->fqdn) &&
	       !memcmp(p->ed_pub, m->ed_pub, NTMC_KEY_LEN);
}

static void meet(struct one *o, uint32_t index, const uint8_t *vip6,
		 const uint8_t *vip4)
{
	static const uint8_t none[16];

	if (memcmp(vip6, none, 16))
		dp_group_meet(o->dp, index, vip6, vip4);
}

/* what is known of a member already, by a tunnel or by its pin */
static void member_look(struct one *o, const struct group_member *m)
{
	struct worker *w = o->gs->w;
	const struct peer *p = peers_find(w->peers, m->fqdn);
	const struct pin *pin;
	uint8_t fp[NTMC_FP_LEN];

	if (p && is_peer(p, m) && p->tunnel) {
		meet(o, m->index, p->vip6, p->vip4);
		return;
	}
	pin = pins_find(w->pins, m->fqdn);
	ntmc_fingerprint(m->ed_pub, fp);
	if (pin && pin->pinned && !memcmp(pin->fp, fp, NTMC_FP_LEN))
		meet(o, m->index, pin->vip6, pin->vip4);
}

void groups_peer(struct groups *gs, struct peer *p)
{
	const struct group_member *m;

	if (!gs || p->state != PEER_UP || !p->known)
		return;
	for (struct one *o = gs->list; o; o = o->next) {
		m = group_find_key(o->g, p->ed_pub);
		if (m && is_peer(p, m))
			meet(o, m->index, p->vip6, p->vip4);
	}
}

static void apply_policy(void *arg, struct peer *p)
{
	(void)arg;
	peer_apply_policy(p);
}

/* The domain in NAME.group.DOMAIN; NULL: it is none such */
static const char *domain_of(const char *name)
{
	const char *dot = strchr(name, '.');

	if (!dot || dot == name ||
	    strncmp(dot + 1, LABEL_DOT, strlen(LABEL_DOT)))
		return NULL;
	dot += 1 + strlen(LABEL_DOT);
	return *dot ? dot : NULL;
}

/* The group of that whole name. Of two neither: a person may have accepted an invite to
 * one that bears the other's name. */
static const struct one *by_name(const struct groups *gs, const char *name)
{
	const char *domain = domain_of(name);
	const struct one *found = NULL;
	size_t n = domain ? (size_t)(domain - name) - strlen("." LABEL_DOT) : 0;

	for (const struct one *o = domain ? gs->list : NULL; o; o = o->next) {
		if (strlen(o->name) != n || strncmp(o->name, name, n) ||
		    strcmp(o->domain, domain))
			continue;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

int groups_subject(const struct groups *gs, char text[static FQDN_MAX + 1])
{
	const struct one *found = NULL;
	char whole[FQDN_MAX + 1];

	if (domain_of(text + 1))
		return 0;
	for (const struct one *o = gs ? gs->list : NULL; o; o = o->next) {
		if (strcmp(o->name, text + 1))
			continue;
		if (found)
			return -NTM_ENOTFOUND;
		found = o;
	}
	if (!found)
		return -NTM_ENOTFOUND;
	if (fqdn_join(found->name, GROUPS_LABEL, found->domain, whole) ||
	    strlen(whole) == FQDN_MAX)
		return -NTM_EINVAL;
	snprintf(text + 1, FQDN_MAX, "%s", whole);
	return 0;
}

static bool is_member(const struct one *o, const char *fqdn)
{
	const struct peer *p = peers_find(o->gs->w->peers, fqdn);
	const struct group_member *m;

	for (size_t i = 0; i < group_size(o->g); i++) {
		m = group_at(o->g, i);
		if (m->index != o->index && !strcmp(m->fqdn, fqdn))
			return !p || !p->known || is_peer(p, m);
	}
	return false;
}

bool groups_has(const struct groups *gs, const char *group, const char *fqdn)
{
	const struct one *o;

	if (!gs)
		return false;
	if (group) {
		o = by_name(gs, group);
		return o && is_member(o, fqdn);
	}
	for (o = gs->list; o; o = o->next)
		if (is_member(o, fqdn))
			return true;
	return false;
}

static bool has(void *arg, const char *group, const char *peer)
{
	return groups_has(arg, group, peer);
}

static void connected(void *arg, int err, struct peer *p)
{
	struct worker *w = arg;

	(void)err, (void)p; /* groups_peer() hears of it */
	if (w->groups)
		w->groups->connecting--;
}

void groups_wants(struct groups *gs, struct dp_group *dp, uint32_t index)
{
	struct one *o = dp_group_arg(dp);
	const struct group_member *m = group_find(o->g, index);
	struct worker *w = gs->w;
	struct resolve_wait *wait;
	const struct pin *pin;
	struct addr a;

	if (!m || index == o->index)
		return;
	member_look(o, m);
	pin = dp_group_met(dp, index) ? pins_find(w->pins, m->fqdn) : NULL;
	if (pin && !addr_from_ip(pin->vip6, 16, 0, &a) &&
	    resolve_packet(w->resolve, &a))
		return;
	/* programs look up names, too: the others are asked for again */
	if (gs->connecting >= GROUPS_CONNECTING)
		return;
	gs->connecting++;
	resolve_name(w->resolve, m->fqdn, connected, w, &wait);
}

void groups_control(struct groups *gs, struct dp_group *dp, uint64_t epoch,
		    uint32_t index, const uint8_t *text, size_t len)
{
	struct one *o = dp_group_arg(dp);
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

/* --- what ntm-member says ------------------------------------------------------------------------ */

static void valid(struct one *o, uint32_t valid_s)
{
	o->until_ns = loop_now(o->gs->w->loop) + LOOP_S((uint64_t)valid_s);
	dp_group_until(o->dp, o->until_ns);
}

static void drop(struct groups *gs, struct one *o)
{
	struct one **at = &gs->list;

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
		struct one **out)
{
	struct one *o;
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
	err = dp_group_new(gs->w->dp, &gs->w->env->crypto, o, &o->dp);
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
static bool is_same(const struct one *o, const struct groupword_epoch *e)
{
	return o->g && group_epoch(o->g) == e->keys.epoch &&
	       !memcmp(group_hash(o->g), e->keys.hash, NTMC_HASH_LEN);
}

static int enter(struct one *o, struct groupword_epoch *e)
{
	struct worker *w = o->gs->w;
	int err = dp_group_epoch(o->dp, &e->keys, e->group,
				 &w->account->secrets->id, e->index);

	if (err)
		return err;
	group_free(o->g);
	o->g = e->group;
	e->group = NULL;
	o->index = e->index;
	memcpy(&o->tag, e->keys.tag, sizeof(o->tag));
	o->tag = be64toh(o->tag);
	groupplace_forget(o->place);
	address(o, e);
	for (size_t i = 0; i < group_size(o->g); i++)
		if (group_at(o->g, i)->index != o->index)
			member_look(o, group_at(o->g, i));
	log_info(o->name, "epoch %llu: %zu members",
		 (unsigned long long)e->keys.epoch, group_size(o->g));
	worker_ranges(w);
	peers_each(w->peers, apply_policy, NULL);
	return 0;
}

int groups_epoch(struct groups *gs, struct groupword_epoch *e)
{
	struct one *o = find(gs, e->keys.id);
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
		valid(o, e->valid_s);
	}
	groupword_epoch_clear(e);
	return err;
}

void groups_valid(struct groups *gs, const struct groupword *word)
{
	struct one *o = find(gs, word->id);

	if (o && group_epoch(o->g) == word->epoch)
		valid(o, word->valid_s);
}

void groups_relay(struct groups *gs, const struct groupword *word)
{
	struct one *o = find(gs, word->id);

	if (o && group_epoch(o->g) == word->epoch &&
	    groupplace_set(o->place, word, o->tag))
		log_warn(o->name, "no memory for its relay");
}

void groups_datagram(struct groups *gs, const struct packet_header *h,
		     uint8_t *buf, size_t len)
{
	for (struct one *o = gs ? gs->list : NULL; o; o = o->next)
		if (groupplace_datagram(o->place, h, buf, len))
			return;
}

void groups_moved(struct groups *gs)
{
	for (struct one *o = gs ? gs->list : NULL; o; o = o->next)
		groupplace_again(o->place);
}

static void end(struct groups *gs, struct one *o)
{
	log_info(o->name, "it has ended here");
	drop(gs, o);
	worker_ranges(gs->w);
	peers_each(gs->w->peers, apply_policy, NULL);
}

void groups_end(struct groups *gs, const uint8_t id[static GROUP_ID_LEN])
{
	struct one *o = find(gs, id);

	if (o)
		end(gs, o);
}

void groups_begin(struct groups *gs)
{
	for (struct one *o = gs->list; o; o = o->next)
		o->said = false;
}

void groups_all(struct groups *gs)
{
	struct one *o, *next;

	for (o = gs->list; o; o = next) {
		next = o->next;
		if (!o->said)
			end(gs, o);
	}
}

int groups_say(struct groups *gs, const struct groupword *word)
{
	struct one *o = find(gs, word->id);

	return o ? dp_group_control(o->dp, word->text, word->text_len)
		 : -NTM_ENOTFOUND;
}

/* --- names ------------------------------------------------------------------------------------------ */

bool groups_is_name(const struct groups *gs, const char *name)
{
	const char *domain = domain_of(name);
	const struct worker *w = gs->w;

	return domain && w->account->logged_in &&
	       (!strcmp(domain, w->account->domain) || by_name(gs, name) ||
		domains_allowed(w, name));
}

int groups_find(const struct groups *gs, const char *name,
		uint8_t vip6[static 16], uint8_t vip4[static 4])
{
	static const uint8_t none[16];
	const struct one *o = by_name(gs, name);

	if (!o || !memcmp(o->vip6, none, sizeof(o->vip6)))
		return -NTM_ENONAME;
	memcpy(vip6, o->vip6, 16);
	memcpy(vip4, o->vip4, 4);
	return 0;
}

size_t groups_ranges(const struct groups *gs,
		     struct engine_config out[static GROUPS_RANGES])
{
	static const uint8_t six[6] = {0xff, 0x38, 0, 0x40, 0xfd, 0x6e};
	static const uint8_t none[4], four[4] = {239, 192};
	const struct one *o = gs ? gs->list : NULL;
	size_t n = 0;

	memset(out, 0, GROUPS_RANGES * sizeof(*out));
	for (; o; o = o->next) {
		if (!memcmp(o->vip4, none, sizeof(none)))
			continue;
		if (n == GROUPS_RANGES) {
			n = 1;
			memcpy(out[0].prefix4, four, sizeof(four));
			out[0].prefix4_len = 14;
			break;
		}
		memcpy(out[n].prefix4, o->vip4, sizeof(o->vip4));
		out[n++].prefix4_len = 32;
	}
	if (gs && gs->list) {
		memcpy(out[0].prefix6, six, sizeof(six));
		out[0].prefix6_len = 48;
		n += !n;
	}
	return n;
}

const char *groups_reverse(struct groups *gs, const struct addr *a)
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);
	const struct one *o = gs && ip ? gs->list : NULL;

	while (o && memcmp(len == 4 ? o->vip4 : o->vip6, ip, len))
		o = o->next;
	if (!o || fqdn_join(o->name, GROUPS_LABEL, o->domain, gs->reverse))
		return NULL;
	return gs->reverse;
}

/* --- shown to people ------------------------------------------------------------------------------- */

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void counters(const struct one *o, json_t *j)
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

	for (const struct one *o = gs ? gs->list : NULL; o; o = o->next) {
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
}

int groups_new(struct worker *w, struct groups **out)
{
	struct groups *gs = calloc(1, sizeof(*gs));

	if (!gs)
		return -NTM_ENOMEM;
	gs->w = w;
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
	free(gs);
}
