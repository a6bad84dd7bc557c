/* SPDX-License-Identifier: MIT */
/*
 * path - the addresses where a peer may be, which of them answer, which one is used
 *
 * Theory of operation
 *
 * Candidates come from directions, from the peer's own Peer Addresses and from where
 * its packets arrive. A Path Challenge with a cookie nobody else knows proves one;
 * cookies name candidate round and try, so each answer is a round trip measured.
 *
 * One candidate is current. It is left only for one that answered: at the end of
 * silence, at a move, or because the peer speaks from elsewhere. Challenges are
 * probes and move nothing; Peer Addresses do, and data does (see contested()). An address to which the
 * peer's packets led us, but which has not answered, gets three times the bytes that
 * came from it, each byte counted once; the rest waits (dp_tunnel_set_budget()).
 *
 * Our own move. If the kernel would send to the current remote from another address
 * now, we go on sending at once, challenge it and say where we are; the others are
 * challenged beside it, and the first that answers is used. No route at all: packets wait until there is one.
 *
 * A candidate may be the peer's relay (punch.h). It is proven as the others are, and
 * stands behind all that are direct: relayed.c. Challenges are path_probe.c, silence is
 * path_health.c.
 */
#include "broker/path.h"

#include <string.h>

#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/portmap.h"
#include "broker/relayed.h"
#include "broker/timers.h"
#include "common/log.h"

#define PROVEN_FOR_S   60 /* an answer that recent proves an address still */
#define CHALLENGE_MOVE PMTU_BASE /* padded: allows the peer three times that */

static const char *const state_names[] = {
	[PATH_NEW] = "NEW",	  [PATH_PROBING] = "PROBING",
	[PATH_PROVEN] = "PROVEN", [PATH_SUSPECT] = "SUSPECT",
	[PATH_DEAD] = "DEAD",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == PATH_NSTATES,
	       "a name for each state");

void path_set_state(struct peer *p, struct candidate *c, enum path_state state)
{
	char text[ADDR_TEXT_LEN];

	if (c->state == state)
		return;
	log_debug(p->fqdn, "path %s: %s -> %s", addr_format(&c->addr, text),
		  state_names[c->state], state_names[state]);
	c->state = state;
	if (state != PATH_PROBING)
		c->guessed = false;
}

struct candidate *path_now(struct peer *p)
{
	return p->paths.current < 0 ? NULL : &p->paths.list[p->paths.current];
}

const struct candidate *path_current(const struct peer *p)
{
	return p->paths.current < 0 ? NULL : &p->paths.list[p->paths.current];
}

struct candidate *path_find(struct peer *p, const struct addr *a)
{
	for (size_t i = 0; i < p->paths.n; i++)
		if (addr_equal(&p->paths.list[i].addr, a))
			return &p->paths.list[i];
	return NULL;
}

static uint64_t news_of(const struct candidate *c)
{
	return c->named_ns > c->answered_ns ? c->named_ns : c->answered_ns;
}

/* Which one gives way: of which nothing was heard for longest, by anybody. What one
 * message names must not displace each other. */
static struct candidate *worst(struct peer *p)
{
	struct candidate *w = NULL;

	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c == path_now(p) || c->relay)
			continue;
		if (!w || news_of(c) < news_of(w) ||
		    (news_of(c) == news_of(w) && c->state == PATH_DEAD &&
		     w->state != PATH_DEAD))
			w = c;
	}
	return w;
}

struct candidate *path_add(struct peer *p, const struct addr *a)
{
	struct candidate *c = path_find(p, a);

	if (!c) {
		c = p->paths.n < PATHS_MAX ? &p->paths.list[p->paths.n++]
					   : worst(p);
		memset(c, 0, sizeof(*c));
		c->addr = *a;
		c->relay = punch_owns(p, a);
	}
	c->named_ns = peer_now(p);
	c->stranger = false;
	return c;
}

struct candidate *path_found(struct peer *p, const struct addr *a)
{
	const struct candidate *was = path_find(p, a);
	bool stranger = !was || was->stranger;
	struct candidate *c = path_add(p, a);

	c->stranger = stranger && !c->relay;
	return c;
}

size_t path_remotes(const struct peer *p, struct addr *out, size_t max)
{
	const struct candidate *cur = path_current(p);
	size_t n = 0;

	if (cur && n < max)
		out[n++] = cur->addr;
	for (size_t i = 0; i < p->paths.n && n < max; i++)
		if (&p->paths.list[i] != cur)
			out[n++] = p->paths.list[i].addr;
	return n;
}

/* --- choosing ----------------------------------------------------------------------------- */

static void source_note(struct peer *p, const struct addr *remote)
{
	const struct worker_env *env = p->w->env;
	unsigned int mtu;

	if (env->route(env->ctx, remote, &p->paths.source, &mtu))
		addr_clear(&p->paths.source);
}

void path_steer(struct peer *p, const struct candidate *c)
{
	dp_tunnel_set_relayed(p->tunnel, c->relay);
	dp_tunnel_open(p->tunnel, &c->addr);
}

/* data goes there from now on */
void path_choose(struct peer *p, struct candidate *c)
{
	char text[ADDR_TEXT_LEN];
	bool other = path_now(p) != c;

	if (other) {
		log_info(p->fqdn, "path %s%s", addr_format(&c->addr, text),
			 c->relay ? ", a relay" : "");
		p->paths.since_ns = peer_now(p);
		p->paths.carried_ns = 0;
		p->paths.sent = p->paths.answered = 0;
	}
	p->paths.current = (int)(c - p->paths.list);
	p->paths.silent_ns = 0;
	relayed_chosen(p, c, other);
	source_note(p, &c->addr);
	dp_tunnel_set_relayed(p->tunnel, c->relay);
	if (peer_keys_ended(p))
		dp_tunnel_hold(p->tunnel); /* opened there by new ones */
	else if (other || dp_tunnel_state(p->tunnel) != DP_OPEN)
		path_steer(p, c);
	if (c->state != PATH_PROVEN)
		return;
	/* after the change: what waits is not for the remote of before */
	dp_tunnel_set_budget(p->tunnel, UINT64_MAX);
	pmtu_start(p);
}

bool path_proven_lately(const struct peer *p, const struct candidate *c)
{
	return c->answered_ns &&
	       peer_now(p) - c->answered_ns < LOOP_S(PROVEN_FOR_S) &&
	       c->state != PATH_DEAD;
}

/* An unproven address, at the price of what came from there. */
static void choose_unproven(struct peer *p, struct candidate *c,
			    size_t wire_len)
{
	uint64_t bytes = 3 * (c->credit + wire_len);
	uint64_t spent = PATH_TRIES * PATH_CHALLENGE_LEAST; /* a round */

	path_set_state(p, c, PATH_PROBING);
	/* a relay is where it is bound: nobody else hears it */
	dp_tunnel_set_budget(p->tunnel, c->relay	? UINT64_MAX
					: bytes > spent ? bytes - spent
							: 0);
	c->credit = 0; /* each byte counts once */
	path_choose(p, c);
}

void path_use(struct peer *p, const struct addr *a, size_t wire_len,
	      bool proven)
{
	struct candidate *c = path_add(p, a);

	if (!proven && !path_proven_lately(p, c)) {
		choose_unproven(p, c, wire_len);
		c->guessed = true;
		return;
	}
	path_set_state(p, c, PATH_PROVEN);
	if (proven)
		c->answered_ns = peer_now(p);
	path_choose(p, c);
}

/* --- what the peer sends -------------------------------------------------------------------- */

void path_answered(struct peer *p, const Ntm__PathResponse *r,
		   const struct addr *from)
{
	struct candidate *c = path_by_cookie(p, r->cookie), *cur = path_now(p);
	bool first;

	(void)from; /* the cookie says which address heard us */
	if (!c || !p->tunnel)
		return;
	first = c->due_ns != 0;
	path_measure(p, c, r->cookie);
	p->paths.answered += first && c == cur;
	c->due_ns = 0;
	c->credit = 0;
	c->answered_ns = peer_now(p);
	path_set_state(p, c, PATH_PROVEN);
	if (c == cur) {
		p->paths.silent_ns = 0;
		dp_tunnel_set_budget(p->tunnel, UINT64_MAX);
		if (relayed_taking(p))
			; /* packets wait for the direct one */
		else if (dp_tunnel_state(p->tunnel) == DP_HELD ||
			 p->state == PEER_MOVING)
			path_choose(p, c);
		else if (!p->pmtu.raised_ns)
			pmtu_start(p);
		peer_path_up(p);
	} else if (p->state == PEER_MOVING &&
		   (!cur || cur->state != PATH_PROVEN)) {
		path_choose(p, c);
		peer_path_up(p);
		path_tell(p);
	} else if (cur && cur->relay && !c->relay) {
		relayed_take(p, c);
	} else if (cur && (cur->guessed ||
			   (cur->state == PATH_SUSPECT && cur->tries >= 2 &&
			    !relayed_barred(p, c)))) {
		/* a guess has not failed because another was faster */
		if (!cur->guessed)
			relayed_broke(p, cur);
		path_set_state(p, cur, PATH_DEAD);
		cur->due_ns = 0;
		path_choose(p, c);
		path_tell(p);
	}
	path_timer_arm(p);
}

/* Both sides may find different paths good. If each followed the other's data they
 * would change places for ever, so the lower one leads: it goes where data comes
 * from only after its own path has failed to answer. */
static bool contested(struct peer *p, struct candidate *c)
{
	struct candidate *cur = path_now(p);

	if (!peer_we_are_lower(p) || !cur || cur == c || p->state != PEER_UP ||
	    (cur->state != PATH_PROVEN && cur->state != PATH_SUSPECT))
		return false;
	if (!c->due_ns && !path_proven_lately(p, c))
		path_challenge(p, c, 0);
	path_suspect(p, cur);
	path_timer_arm(p);
	return true;
}

void path_peer_moved(struct peer *p, const struct addr *from, size_t wire_len,
		     bool told)
{
	struct candidate *c, *was = path_now(p);

	if (!p->tunnel || (p->state != PEER_UP && p->state != PEER_MOVING))
		return;
	c = path_found(p, from);
	if (c == was && dp_tunnel_state(p->tunnel) == DP_OPEN)
		return;
	if (relayed_stays(p, c, told) || (!told && contested(p, c)))
		return;
	/* the peer says so; of one that never answered us there is nothing to say */
	if (was && c->relay && was->state != PATH_PROBING)
		relayed_broke(p, was);
	if (path_proven_lately(p, c)) {
		path_set_state(p, c, PATH_PROVEN);
		path_choose(p, c);
	} else {
		choose_unproven(p, c, wire_len);
		path_challenge(p, c, 0);
		/* the old one, in case this is a forgery or a stray */
		if (was && was != c && was->state == PATH_PROVEN)
			path_challenge(p, was, 0);
		path_timer_arm(p);
	}
	p->pmtu.raised_ns = 0;
	peer_path_up(p);
}

void path_addresses(struct peer *p, const Ntm__PeerAddresses *a,
		    const struct addr *from, size_t wire_len)
{
	struct addr *list = p->paths.told_addrs;
	const struct candidate *cur = path_now(p);
	bool news = false;

	if (a->serial <= p->paths.heard)
		return;
	p->paths.heard = a->serial;
	p->paths.n_told = addr_list_from_messages(a->addresses, a->n_addresses,
						  list, ADDR_REMOTES_MAX);
	for (size_t i = 0; i < p->paths.n_told; i++) {
		news |= !path_find(p, &list[i]);
		path_add(p, &list[i]);
	}
	p->paths.peer_mapping = a->mapping;
	if (news)
		relayed_peer_is_elsewhere(p);
	if (!cur || !addr_equal(&cur->addr, from))
		path_peer_moved(p, from, wire_len, true);
	if (news)
		relayed_open(p);
}

/* --- our own side ------------------------------------------------------------------------------ */

void path_tell(struct peer *p)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__PeerAddresses pa = NTM__PEER_ADDRESSES__INIT;
	Ntm__Address m[ADDR_REMOTES_MAX], *list[ADDR_REMOTES_MAX];
	const struct worker_env *env = p->w->env;
	struct addr addrs[ADDR_REMOTES_MAX];
	uint64_t now = worker_wall_ms(p->w);
	size_t seen, mapped;

	/* later than any told before, by an earlier worker too */
	p->paths.told = now > p->paths.told ? now : p->paths.told + 1;
	pa.serial = p->paths.told;
	seen = relayed_seen(p, addrs, ADDR_REMOTES_MAX);
	mapped = seen < ADDR_REMOTES_MAX &&
		 portmap_mapped(p->w->portmap, &addrs[seen]);
	pa.n_addresses = seen + mapped;
	pa.n_addresses += env->locals(env->ctx, addrs + pa.n_addresses,
				      ADDR_REMOTES_MAX - pa.n_addresses);
	pa.addresses = list;
	pa.mapping = relays_told_mapping(p->w->relays);
	for (size_t i = 0; i < pa.n_addresses; i++) {
		if (i >= seen + mapped)
			addr_set_port(&addrs[i], p->w->udp_port);
		addr_to_message(&addrs[i],
				i < seen ? NTM__ADDRESS_KIND__ADDRESS_OBSERVED
				: i < seen + mapped
					? NTM__ADDRESS_KIND__ADDRESS_MAPPED
					: NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&m[i]);
		list[i] = &m[i];
	}
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_ADDRESSES;
	msg.addresses = &pa;
	if (peer_control_send(p, &msg, NULL))
		log_debug(p->fqdn, "our addresses could not be told");
}

void path_we_moved(struct peer *p, bool changed)
{
	const struct worker_env *env = p->w->env;
	struct candidate *cur = path_now(p);
	struct addr source;
	unsigned int mtu;

	if (!p->tunnel || !cur ||
	    (p->state != PEER_UP && p->state != PEER_MOVING))
		return;
	if (changed)
		relayed_we_are_elsewhere(p);
	if (env->route(env->ctx, &cur->addr, &source, &mtu)) {
		addr_clear(&p->paths.source);
		path_set_state(p, cur, PATH_DEAD);
		cur->due_ns = 0;
		dp_tunnel_hold(p->tunnel);
		peer_path_unsure(p);
		path_probe_others(p);
		return;
	}
	if (addr_equal_ip(&source, &p->paths.source)) {
		if (changed && p->state == PEER_UP)
			path_tell(p); /* where else we may be reached */
		if (changed)
			relayed_open(p);
		return;
	}
	p->paths.source = source;
	relayed_we_are_elsewhere(p);
	path_set_state(p, cur, PATH_PROBING);
	if (cur->relay && relayed_we_moved(p, cur))
		return;
	/* These first: their size is what the peer may answer with. */
	path_challenge(p, cur, CHALLENGE_MOVE);
	path_tell(p);
	path_steer(p, cur);
	p->pmtu.raised_ns = 0;
	peer_path_unsure(p);
	path_probe_others(p);
}

/* --- life -------------------------------------------------------------------------------------------- */

int path_init(struct peer *p)
{
	int err;

	p->paths.current = -1;
	err = loop_timer_new(p->w->loop, path_timer_due, p, &p->paths.timer);
	return err ? err : relayed_init(p);
}

void path_remove(struct peer *p, struct candidate *c)
{
	size_t i = (size_t)(c - p->paths.list), last = --p->paths.n;

	if (p->paths.current == (int)i)
		p->paths.current = -1;
	else if (p->paths.current == (int)last)
		p->paths.current = (int)i;
	p->paths.list[i] = p->paths.list[last];
	path_timer_arm(p);
}

void path_stop(struct peer *p)
{
	loop_timer_disarm(p->paths.timer);
	for (size_t i = 0; i < p->paths.n; i++)
		p->paths.list[i].due_ns = 0;
	p->paths.silent_ns = 0;
	relayed_stop(p);
}

void path_reset(struct peer *p)
{
	path_stop(p);
	p->paths.n = p->paths.n_told = 0;
	p->paths.current = -1;
}

void path_clear(struct peer *p)
{
	loop_timer_free(p->paths.timer);
	loop_timer_free(p->paths.hold);
	loop_timer_free(p->paths.open);
	p->paths.timer = p->paths.hold = p->paths.open = NULL;
}
