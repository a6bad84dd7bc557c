/* SPDX-License-Identifier: MIT */
/*
 * path_probe - Path Challenges: to whom, how often, and what their answers measure
 *
 * Theory of operation
 *
 * A round is up to candidate.max challenges with one cookie, whose low byte is the
 * number of the try: each answer is a round trip measured. Tries follow each other
 * after two round trips, doubling; those that open NATs and those that ask a path under
 * suspicion have times of their own. path_health.c says what the end of a round means.
 *
 * A challenge is larger than its response and a challenge back: so whoever sends one in
 * another's name makes us send no more there than he sent, unless the peer or the DC has
 * named that address, and then as much as to any that is named.
 */
#include "broker/path.h"

#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/timers.h"
#include "common/log.h"

/* room for what a response has more, and for a bare challenge back */
#define CHALLENGE_BYTES 144

uint64_t path_rtt(const struct candidate *c)
{
	return c->rtt_ns ? c->rtt_ns : LOOP_MS(PATH_RTT_GUESS_MS);
}

/* --- sending ------------------------------------------------------------------------------ */

size_t path_challenge_pack(uint64_t cookie, size_t wire_len, uint8_t *buf,
			   size_t size)
{
	static uint8_t zeros[PACKET_DATA_MAX];
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__PathChallenge c = NTM__PATH_CHALLENGE__INIT;
	size_t want, len;

	c.cookie = cookie;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_CHALLENGE;
	msg.challenge = &c;
	len = ntm__tunnel_control__get_packed_size(&msg);
	want = wire_len > PACKET_OVERHEAD ? wire_len - PACKET_OVERHEAD : 0;
	if (want > len + 6) {
		/* the padding's own header and longer lengths: at most 6 bytes */
		c.padding.data = zeros;
		c.padding.len = want - len - 6;
		len = ntm__tunnel_control__get_packed_size(&msg);
		c.padding.len += want - len;
		while ((len = ntm__tunnel_control__get_packed_size(&msg)) >
		       want)
			c.padding.len--;
	}
	if (len > size)
		return 0;
	return ntm__tunnel_control__pack(&msg, buf);
}

void path_challenge_send(struct peer *p, struct candidate *c, size_t wire_len)
{
	size_t bytes = wire_len	     ? wire_len
		       : c->stranger ? PATH_CHALLENGE_LEAST
				     : CHALLENGE_BYTES;
	uint8_t buf[PACKET_SIGNAL_MAX];
	uint64_t pause = path_rtt(c) * 2;
	size_t len;

	len = path_challenge_pack(c->cookie | (c->tries & PATH_COOKIE_TRY),
				  bytes, buf, sizeof(buf));
	c->sent_ns[c->tries % PATH_SENDS] = loop_now_exact(p->w->loop);
	if (p->tunnel && len &&
	    dp_tunnel_send_control(p->tunnel, buf, len, &c->addr))
		log_debug(p->fqdn, "a challenge could not be sent");
	p->paths.sent += c == path_now(p); /* the loss shown is of that one */
	if (c->state == PATH_SUSPECT) {
		pause = pause > LOOP_MS(PATH_SUSPECT_MS)
				? pause
				: LOOP_MS(PATH_SUSPECT_MS);
	} else if (c->opening) {
		pause = relayed_pause(c->tries);
	} else {
		if (pause < LOOP_MS(PATH_RETRY_MIN_MS))
			pause = LOOP_MS(PATH_RETRY_MIN_MS);
		pause <<= c->tries < 6 ? c->tries : 6;
		if (pause > LOOP_MS(PATH_RETRY_MAX_MS))
			pause = LOOP_MS(PATH_RETRY_MAX_MS);
	}
	c->tries++;
	c->due_ns = peer_now(p) + pause;
}

void path_timer_arm(struct peer *p)
{
	uint64_t now = peer_now(p), due = 0;

	for (size_t i = 0; i < p->paths.n; i++) {
		uint64_t d = p->paths.list[i].due_ns;

		if (d && (!due || d < due))
			due = d;
	}
	if (due)
		loop_timer_arm(p->paths.timer, due > now ? due - now : 0);
	else
		loop_timer_disarm(p->paths.timer);
}

void path_challenge(struct peer *p, struct candidate *c, size_t wire_len)
{
	uint64_t cookie;

	ntmc_random(&p->w->env->crypto, &cookie, sizeof(cookie));
	c->cookie = cookie & ~PATH_COOKIE_TRY;
	c->tries = 0;
	c->max = PATH_TRIES;
	c->opening = false;
	if (c->state == PATH_NEW || c->state == PATH_DEAD)
		path_set_state(p, c, PATH_PROBING);
	path_challenge_send(p, c, wire_len);
}

void path_challenge_found(struct peer *p, struct candidate *c, size_t allowed)
{
	if (c->stranger && allowed < PATH_CHALLENGE_LEAST)
		return;
	path_challenge(p, c, 0);
	if (c->stranger)
		c->max = 1;
	path_timer_arm(p);
}

bool path_routed(struct peer *p, const struct addr *remote)
{
	const struct worker_env *env = p->w->env;
	struct addr source;
	unsigned int mtu;

	return !env->route(env->ctx, remote, &source, &mtu);
}

void path_probe(struct peer *p, bool all)
{
	struct candidate *cur = path_now(p);

	if (!p->tunnel)
		return;
	if (cur)
		path_challenge(p, cur, 0);
	for (size_t i = 0; all && i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c != cur && path_routed(p, &c->addr))
			path_challenge(p, c, 0);
	}
	path_timer_arm(p);
}

void path_probe_others(struct peer *p)
{
	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c != path_now(p) && path_routed(p, &c->addr))
			path_challenge(p, c, 0);
	}
	path_timer_arm(p);
}

/* --- answers ------------------------------------------------------------------------------ */

/* with where it came from and its size, unless that makes it larger than @room */
static size_t answer(struct peer *p, const Ntm__PathChallenge *ch,
		     const struct addr *from, size_t wire_len, size_t room)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__PathResponse r = NTM__PATH_RESPONSE__INIT;
	Ntm__Address where;
	size_t bytes;

	addr_to_message(from, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &where);
	r.cookie = ch->cookie;
	r.observed = &where;
	r.size = (uint32_t)wire_len;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_RESPONSE;
	msg.response = &r;
	bytes = PACKET_OVERHEAD + ntm__tunnel_control__get_packed_size(&msg);
	if (bytes > room) {
		r.observed = NULL;
		r.size = 0;
		bytes = PACKET_OVERHEAD +
			ntm__tunnel_control__get_packed_size(&msg);
	}
	if (bytes > room)
		return 0;
	if (peer_control_send(p, &msg, from))
		log_debug(p->fqdn, "a path response could not be sent");
	return bytes;
}

void path_challenged(struct peer *p, const Ntm__PathChallenge *ch,
		     const struct addr *from, size_t wire_len)
{
	struct candidate *c = path_found(p, from);
	bool proven = path_proven_lately(p, c);
	size_t used =
		answer(p, ch, from, wire_len, proven ? SIZE_MAX : wire_len);

	if (c->state != PATH_PROVEN) {
		if (c == path_now(p) && p->tunnel)
			dp_tunnel_add_budget(p->tunnel, 3 * wire_len);
		else
			c->credit += wire_len;
	}
	/* We look for it, and it has found us. */
	if (!c->due_ns && p->tunnel && !peer_keys_ended(p) &&
	    (p->state == PEER_MOVING || relayed_returns(p, c)))
		path_challenge_found(p, c, wire_len - used);
}

struct candidate *path_by_cookie(struct peer *p, uint64_t cookie)
{
	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c->cookie && c->cookie == (cookie & ~PATH_COOKIE_TRY) &&
		    (cookie & PATH_COOKIE_TRY) < c->tries)
			return c;
	}
	return NULL;
}

void path_measure(struct peer *p, struct candidate *c, uint64_t cookie)
{
	uint64_t sent = c->sent_ns[(cookie & PATH_COOKIE_TRY) % PATH_SENDS];
	uint64_t rtt = loop_now_exact(p->w->loop) - sent;

	c->rtt_ns = c->rtt_ns ? (7 * c->rtt_ns + rtt) / 8 : rtt;
	if (!c->rtt_ns)
		c->rtt_ns = 1;
}
