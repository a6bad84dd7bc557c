/* SPDX-License-Identifier: MIT */
/*
 * portmap - a port of the router in front of us, for our outer UDP socket
 *
 * Theory of operation
 *
 * Where DC or a relay sees an IPv4 address that is not ours, there is a NAT, and it
 * may let itself be asked for a port that everybody may write to. ntm-portmap asks
 * the default router, one question a process: PCP, NAT-PMP, UPnP, whichever answers.
 * We wait for its answer, or its end, and never for longer than ANSWER_S.
 *
 * What a router says is a hint. It is used only where it names the very address that
 * DC or a relay sees: what it could say beyond that is a wrong port of our own
 * network's address. So it can neither point peers at anybody else, nor does it prove
 * anything: peers challenge that address as any other. It goes to the DC with the
 * next Registration Request (one is sent at once) and to peers as Peer Addresses.
 *
 * A mapping is renewed at half of its life, by the protocol that made it, with the
 * same port and nonce (the next worker, too, has that nonce). If that fails it is
 * asked for again until its life is over. Without one we ask again after RETRY_S,
 * doubling. Another network (our source address, or the outside) is a new beginning;
 * the old router, out of reach, forgets by itself. At an orderly end it is deleted.
 */
#include "broker/portmap.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/peer.h"
#include "broker/relay.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

#define SEEN_MAX 8

struct portmap {
	struct worker *w;
	enum portmap_state state;
	struct loop_timer *timer; /* the answer's limit, or the next question */
	struct loop_io *io;
	int fd; /* of ntm-portmap; -1: none runs */
	struct addr source, seen, mapped;
	enum portmap_protocol protocol;
	uint8_t nonce[PCP_NONCE_LEN];
	uint64_t ends_ns, retry_s;
	uint32_t tell; /* the probe that tells the DC */
	struct portmap_status said;
};

static const char *const state_names[PORTMAP_STATES] = {
	[PORTMAP_OFF] = "OFF",	       [PORTMAP_NONE] = "NONE",
	[PORTMAP_ASKING] = "ASKING",   [PORTMAP_MAPPED] = "MAPPED",
	[PORTMAP_REFUSED] = "REFUSED",
};

static void portmap_set_state(struct portmap *pm, enum portmap_state state)
{
	if (pm->state == state)
		return;
	log_info("portmap", "%s -> %s", state_names[pm->state],
		 state_names[state]);
	pm->state = state;
}

/* --- telling ------------------------------------------------------------------------- */

static void told(void *arg, int err, const Ntm__Signal *msg)
{
	struct portmap *pm = arg;

	(void)err, (void)msg;
	pm->tell = 0;
}

static void tell_peer(void *arg, struct peer *p)
{
	(void)arg;
	if (p->state == PEER_UP)
		path_tell(p);
}

/* Not online: the registration that is under way is repeated with it. */
static void tell(struct portmap *pm)
{
	struct worker *w = pm->w;
	struct addr dc;

	session_cancel(w->session, pm->tell);
	pm->tell = 0;
	if (session_state(w->session) == SESSION_ONLINE &&
	    session_dc(w->session, &dc) &&
	    session_probe(w->session, &dc, DIRECTION_LIMIT_MS, told, pm,
			  &pm->tell))
		log_debug("portmap", "the DC cannot be told now");
	peers_each(w->peers, tell_peer, NULL);
}

static void use(struct portmap *pm, const struct addr *outside)
{
	bool changed = !addr_equal(&pm->mapped, outside);
	char text[ADDR_TEXT_LEN];

	pm->mapped = *outside;
	if (!changed)
		return;
	log_info("portmap", "the router's port for us: %s",
		 addr_format(outside, text));
	tell(pm);
}

static void mapping_drop(struct portmap *pm, enum portmap_state state)
{
	bool was = pm->state == PORTMAP_MAPPED;

	portmap_set_state(pm, state);
	addr_clear(&pm->mapped);
	pm->protocol = PORTMAP_NO_PROTOCOL;
	if (was)
		tell(pm);
}

/* --- asking -------------------------------------------------------------------------- */

static void helper_close(struct portmap *pm)
{
	loop_io_del(pm->io);
	pm->io = NULL;
	if (pm->fd >= 0)
		close(pm->fd);
	pm->fd = -1;
}

static void again(struct portmap *pm)
{
	uint64_t now = loop_now(pm->w->loop), left;

	if (pm->state == PORTMAP_MAPPED && now < pm->ends_ns) {
		left = (pm->ends_ns - now) / 2;
		loop_timer_arm(pm->timer, left > LOOP_S(PORTMAP_RENEW_MIN_S)
						  ? left
						  : pm->ends_ns - now);
		return;
	}
	mapping_drop(pm, PORTMAP_REFUSED);
	loop_timer_arm(pm->timer, LOOP_S(pm->retry_s));
	if (pm->retry_s < PORTMAP_RETRY_MAX_S)
		pm->retry_s *= 2;
}

static bool is_local(const struct portmap *pm, const struct addr *a)
{
	struct addr list[ADDR_REMOTES_MAX];
	const struct worker_env *env = pm->w->env;
	size_t n = env->locals(env->ctx, list, ADDR_REMOTES_MAX);

	for (size_t i = 0; i < n; i++)
		if (addr_equal_ip(&list[i], a))
			return true;
	return false;
}

/* Can everybody write to it? */
static bool is_public(const struct addr *a)
{
	uint32_t ip = ntohl(a->in4.sin_addr.s_addr);

	return addr_is_usable_remote(a) && ip >> 24 != 10 &&
	       ip >> 20 != 0xac1 /* 172.16/12 */ && ip >> 16 != 0xc0a8 &&
	       ip >> 22 != 0x191 /* 100.64/10 */ && ip >> 16 != 0xa9fe &&
	       ip >> 28 < 0xe;
}

static bool is_seen(const struct portmap *pm, const struct addr *a)
{
	struct addr seen[SEEN_MAX];
	size_t n = relays_observed(pm->w->relays, seen, SEEN_MAX);

	for (size_t i = 0; i < n; i++)
		if (addr_equal_ip(&seen[i], a))
			return true;
	return false;
}

static enum portmap_lie lie_of(const struct portmap *pm,
			       const struct portmap_say *say,
			       const struct addr *a)
{
	if (!addr_port(a))
		return PORTMAP_LIE_PORT;
	if (!is_public(a))
		return PORTMAP_LIE_ADDRESS;
	if (is_local(pm, a))
		return PORTMAP_LIE_OWN;
	if (!is_seen(pm, a))
		return PORTMAP_LIE_OTHER;
	return say->life_s < PORTMAP_LIFE_MIN_S ? PORTMAP_LIE_LIFE
						: PORTMAP_TRUE;
}

static void answered(struct portmap *pm, const struct portmap_say *say)
{
	uint32_t life = say->life_s;
	struct addr a;

	pm->said.answered = true;
	pm->said.routed = say->routed;
	for (size_t i = 0; i < PORTMAP_PROTOCOLS; i++)
		pm->said.why[i] = say->why[i] < PORTMAP_WHYS ? say->why[i]
							     : PORTMAP_GARBAGE;
	if (say->protocol >= PORTMAP_PROTOCOLS ||
	    addr_from_ip(say->outer, 4, say->outer_port, &a)) {
		again(pm);
		return;
	}
	pm->said.lie = lie_of(pm, say, &a);
	if (pm->said.lie) {
		pm->said.lies++;
		log_debug("portmap", "what the router says cannot be used");
		again(pm);
		return;
	}
	if (life > PORTMAP_LIFE_MAX_S)
		life = PORTMAP_LIFE_MAX_S;
	pm->protocol = say->protocol;
	pm->ends_ns = loop_now(pm->w->loop) + LOOP_S(life);
	pm->retry_s = PORTMAP_RETRY_S;
	portmap_set_state(pm, PORTMAP_MAPPED);
	use(pm, &a);
	loop_timer_arm(pm->timer, LOOP_S(life) / 2);
}

static void on_answer(void *arg, int fd, unsigned int events)
{
	struct portmap *pm = arg;
	struct portmap_say say;
	ssize_t n = recv(fd, &say, sizeof(say), MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	helper_close(pm);
	if (n == (ssize_t)sizeof(say) && say.version == PORTMAP_PROTO_VERSION) {
		answered(pm, &say);
		return;
	}
	log_debug("portmap", "ntm-portmap ended without an answer");
	again(pm);
}

/* Return: 0, and it is asked; @life_s 0: delete */
static int ask(struct portmap *pm, uint32_t life_s)
{
	struct portmap_ask q = {.version = PORTMAP_PROTO_VERSION,
				.life_s = life_s,
				.first = pm->protocol,
				.inner_port = pm->w->udp_port,
				.outer_port = pm->w->udp_port};
	const uint8_t *ip;
	size_t len;
	int err;

	ip = addr_ip(&pm->source, &len);
	if (!ip || len != 4)
		return -NTM_EINVAL;
	memcpy(q.source, ip, 4);
	memcpy(q.nonce, pm->nonce, sizeof(q.nonce));
	if (addr_is_set(&pm->mapped))
		q.outer_port = addr_port(&pm->mapped);
	helper_close(pm);
	err = keeper_portmap(pm->w->keeper, &pm->fd);
	if (err) {
		pm->fd = -1;
		return err;
	}
	if (send(pm->fd, &q, sizeof(q), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(q))
		return -NTM_ECLOSED;
	return 0;
}

static void ask_now(struct portmap *pm)
{
	int err;

	pm->said.answered = false;
	pm->said.lie = PORTMAP_TRUE;
	pm->said.asked++;
	err = ask(pm, PORTMAP_LIFE_S);
	if (!err)
		err = loop_io_add(pm->w->loop, pm->fd, LOOP_READ, false,
				  on_answer, pm, &pm->io);
	if (err) {
		helper_close(pm);
		again(pm);
		return;
	}
	if (pm->state != PORTMAP_MAPPED)
		portmap_set_state(pm, PORTMAP_ASKING);
	loop_timer_arm(pm->timer, LOOP_S(PORTMAP_ANSWER_S));
}

static void timer_due(void *arg)
{
	struct portmap *pm = arg;

	if (pm->fd >= 0) { /* it hangs; the keeper or its alarm ends it */
		helper_close(pm);
		again(pm);
	} else if (pm->state == PORTMAP_MAPPED &&
		   loop_now(pm->w->loop) >= pm->ends_ns) {
		again(pm);
	} else {
		ask_now(pm);
	}
}

/* --- events -------------------------------------------------------------------------- */

/* Return: there is a NAT of IPv4; @seen: its outside */
static bool behind_nat(const struct portmap *pm, struct addr *seen)
{
	struct addr list[SEEN_MAX];
	size_t n = relays_observed(pm->w->relays, list, SEEN_MAX);

	for (size_t i = 0; i < n; i++)
		if (list[i].sa.sa_family == AF_INET &&
		    !is_local(pm, &list[i])) {
			*seen = list[i];
			return true;
		}
	return false;
}

static void forget(struct portmap *pm)
{
	helper_close(pm);
	loop_timer_disarm(pm->timer);
	mapping_drop(pm, PORTMAP_NONE);
	addr_clear(&pm->seen);
	addr_clear(&pm->source);
}

/* A router gives a mapping again only to the nonce that made it, so the next worker
 * must have the same one; nobody else can know it. */
static void nonce_make(struct portmap *pm)
{
	static const char label[] = "ntm portmap nonce";
	uint8_t data[sizeof(label) + 16], hash[NTMC_HASH_LEN];
	size_t len;
	const uint8_t *ip = addr_ip(&pm->source, &len);

	memcpy(data, label, sizeof(label));
	memcpy(data + sizeof(label), ip, len);
	ntmc_hmac(&pm->w->account->secrets->kntmdc, sizeof(struct ntmc_key),
		  data, sizeof(label) + len, hash);
	memcpy(pm->nonce, hash, sizeof(pm->nonce));
}

void portmap_look(struct portmap *pm)
{
	const struct worker_env *env = pm->w->env;
	struct addr seen, source;
	unsigned int mtu;

	if (pm->state == PORTMAP_OFF)
		return;
	/* the way to our own outside begins at the router */
	if (!behind_nat(pm, &seen) ||
	    env->route(env->ctx, &seen, &source, &mtu)) {
		if (pm->state != PORTMAP_NONE)
			forget(pm);
		return;
	}
	if (pm->state != PORTMAP_NONE && addr_equal_ip(&source, &pm->source) &&
	    (is_seen(pm, &pm->seen)))
		return;
	forget(pm);
	pm->seen = seen;
	pm->source = source;
	pm->retry_s = PORTMAP_RETRY_S;
	nonce_make(pm);
	ask_now(pm);
}

void portmap_end(struct portmap *pm)
{
	if (pm->state == PORTMAP_OFF)
		return;
	if (pm->state == PORTMAP_MAPPED && ask(pm, 0))
		log_debug("portmap", "the mapping is left to its end");
	portmap_set_state(pm, PORTMAP_NONE); /* peers are left, not told */
	forget(pm);
}

bool portmap_mapped(const struct portmap *pm, struct addr *out)
{
	if (pm->state != PORTMAP_MAPPED)
		return false;
	*out = pm->mapped;
	return true;
}

void portmap_status(const struct portmap *pm, struct portmap_status *out)
{
	uint64_t now = loop_now(pm->w->loop);

	*out = pm->said;
	out->state = pm->state;
	out->protocol = pm->protocol;
	out->mapped = pm->mapped;
	out->left_s = pm->state == PORTMAP_MAPPED && now < pm->ends_ns
			      ? (pm->ends_ns - now) / LOOP_S(1)
			      : 0;
}

/* --- life ------------------------------------------------------------------------------ */

int portmap_new(struct worker *w, bool on, struct portmap **out)
{
	struct portmap *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return -NTM_ENOMEM;
	pm->w = w;
	pm->fd = -1;
	pm->state = on ? PORTMAP_NONE : PORTMAP_OFF;
	pm->protocol = PORTMAP_NO_PROTOCOL;
	if (loop_timer_new(w->loop, timer_due, pm, &pm->timer)) {
		free(pm);
		return -NTM_ENOMEM;
	}
	*out = pm;
	return 0;
}

void portmap_free(struct portmap *pm)
{
	if (!pm)
		return;
	helper_close(pm);
	loop_timer_free(pm->timer);
	free(pm);
}
