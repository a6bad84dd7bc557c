/* SPDX-License-Identifier: MIT */
/*
 * groupmember - members of groups and peers: who of these is who of those
 *
 * Theory of operation
 *
 * An epoch brings its members with it: their names and identities, as the log has them.
 * What the data path must know beside, each member's virtual addresses, is learned from
 * peers: from one whose identity has been shown in a handshake (the pin, or the peer
 * itself), never from a name alone.
 *
 * Who is wanted and has no tunnel is connected like any peer that a program calls: by a
 * remembered address, so that packets can wait in its tunnel, or by its name.
 *
 * A member may come in without a rule that allows it: tunnels carry groups. It reaches no
 * port that no rule names (policy.h).
 */
#include "broker/groups_impl.h"

#include <string.h>

#include "broker/datapath/group.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/resolve.h"

static bool is_peer(const struct peer *p, const struct group_member *m)
{
	return p->known && !strcmp(p->fqdn, m->fqdn) &&
	       !memcmp(p->ed_pub, m->ed_pub, NTMC_KEY_LEN);
}

static void meet(struct groups_one *o, uint32_t index, const uint8_t *vip6,
		 const uint8_t *vip4)
{
	static const uint8_t none[16];

	if (memcmp(vip6, none, 16))
		dp_group_meet(o->dp, index, vip6, vip4);
}

void groups_look(struct groups_one *o, const struct group_member *m)
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
	for (struct groups_one *o = gs->list; o; o = o->next) {
		m = group_find_key(o->g, p->ed_pub);
		if (m && is_peer(p, m))
			meet(o, m->index, p->vip6, p->vip4);
	}
}

static bool is_member(const struct groups_one *o, const char *fqdn)
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

bool groups_has(const struct groups *gs, const char *group, const uint8_t *id,
		const char *fqdn)
{
	const struct groups_one *o;

	if (!gs)
		return false;
	if (group) {
		o = groups_by_name(gs, group, id);
		return o && is_member(o, fqdn);
	}
	for (o = gs->list; o; o = o->next)
		if (is_member(o, fqdn))
			return true;
	return false;
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
	struct groups_one *o = dp_group_arg(dp);
	const struct group_member *m = group_find(o->g, index);
	struct worker *w = gs->w;
	struct resolve_wait *wait;
	const struct pin *pin;
	struct addr a;

	if (!m || index == o->index)
		return;
	groups_look(o, m);
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
