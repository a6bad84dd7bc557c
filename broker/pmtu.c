/* SPDX-License-Identifier: MIT */
/*
 * pmtu - how large a datagram to the peer may be: probing upwards, black holes
 *
 * Theory of operation
 *
 * The route's own MTU bounds the search; most paths carry it, so it is tried first.
 * A size passes when a challenge of that size is answered; it is too big when
 * PMTU_TRIES were not, or when the kernel refused it. Between a good and a bad size
 * the table of usual sizes is halved.
 *
 * When the path changes, the size in use stays if the new route's own MTU carries
 * it, and is tried at once: if it is not answered while small challenges are, the
 * size falls to PMTU_BASE (below, to PMTU_FLOOR, which always suffices with packets
 * in two parts). A suspect path is asked the same question: that is how a black hole
 * is found.
 */
#include "broker/pmtu.h"

#include "broker/path.h"
#include "broker/peer.h"
#include "broker/timers.h"
#include "common/log.h"

/* UDP payloads of usual links: floor, base, IPv6's minimum, PPPoE and tunnels over
 * both families, Ethernet over both families, jumbo frames */
static const unsigned int sizes[] = {
	PMTU_FLOOR,
	1000,
	PMTU_BASE,
	1232,
	1280,
	1312,
	1352,
	1372,
	1392,
	1412,
	1432,
	1444,
	1452,
	1464,
	1472,
	4000,
	8952,
	8972,
	PACKET_DATA_MAX,
};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void use(struct peer *p, unsigned int size)
{
	if (p->pmtu.size == size)
		return;
	log_debug(p->fqdn, "path MTU %u -> %u", p->pmtu.size, size);
	p->pmtu.size = size;
	if (p->tunnel)
		dp_tunnel_set_mtu(p->tunnel, size);
}

static unsigned int route_size(struct peer *p)
{
	const struct worker_env *env = p->w->env;
	const struct candidate *c = path_current(p);
	unsigned int mtu = 0, head, size;
	struct addr source;

	if (!c || env->route(env->ctx, &c->addr, &source, &mtu))
		return PMTU_BASE;
	head = c->addr.sa.sa_family == AF_INET6 ? 48 : 28;
	size = mtu > head + PMTU_FLOOR ? mtu - head : PMTU_FLOOR;
	return size > PACKET_DATA_MAX ? PACKET_DATA_MAX : size;
}

/* --- one probe ---------------------------------------------------------------------- */

static void probe_done(struct peer *p)
{
	p->pmtu.probe = 0;
	p->pmtu.cookie = 0;
	if (!p->pmtu.checking)
		p->pmtu.raised_ns = peer_now(p);
	p->pmtu.checking = false;
	loop_timer_disarm(p->pmtu.timer);
}

/* the next size between good and bad; 0: found */
static unsigned int between(const struct pmtu *m)
{
	unsigned int list[N_SIZES];
	size_t n = 0;

	for (size_t i = 0; i < N_SIZES; i++)
		if (sizes[i] > m->good && sizes[i] < m->bad)
			list[n++] = sizes[i];
	return n ? list[n / 2] : 0;
}

static void probe_send(struct peer *p);

static void probe_next(struct peer *p)
{
	struct pmtu *m = &p->pmtu;

	m->tries = 0;
	m->probe = m->bad ? between(m) : 0;
	if (m->probe)
		probe_send(p);
	else
		probe_done(p);
}

static void probe_failed(struct peer *p)
{
	struct pmtu *m = &p->pmtu;

	m->checking = false;
	if (!m->bad || m->probe < m->bad)
		m->bad = m->probe;
	if (m->size >= m->bad) /* it was in use: a black hole */
		use(p, m->bad > PMTU_BASE ? PMTU_BASE : PMTU_FLOOR);
	if (m->good >= m->bad)
		m->good = 0;
	probe_next(p);
}

static void probe_send(struct peer *p)
{
	struct pmtu *m = &p->pmtu;
	uint8_t buf[PACKET_DATA_MAX];
	const struct candidate *c = path_current(p);
	uint64_t pause =
		c && c->rtt_ns ? c->rtt_ns * 2 : LOOP_MS(2 * PATH_RTT_GUESS_MS);
	size_t len;
	int err;

	ntmc_random(&p->w->env->crypto, &m->cookie, sizeof(m->cookie));
	len = path_challenge_pack(m->cookie, m->probe, buf, sizeof(buf));
	err = p->tunnel && len
		      ? dp_tunnel_send_control(p->tunnel, buf, len, NULL)
		      : -NTM_ESTATE;
	m->sent_ns = peer_now(p);
	m->tries++;
	if (err == -NTM_ESYSTEM || err == -NTM_ETOOBIG)
		m->tries = PMTU_TRIES; /* the kernel knows: no second try */
	if (pause < LOOP_MS(PATH_RETRY_MIN_MS))
		pause = LOOP_MS(PATH_RETRY_MIN_MS);
	loop_timer_arm(m->timer, err ? 0 : pause);
}

static void probe_due(void *arg)
{
	struct peer *p = arg;
	struct pmtu *m = &p->pmtu;
	const struct candidate *c = path_current(p);

	if (!m->probe || !p->tunnel || !c)
		return;
	if (m->tries < PMTU_TRIES) {
		probe_send(p);
		return;
	}
	/* Nothing else is answered either: that is no matter of size. */
	if (c->answered_ns < m->sent_ns && c->state != PATH_PROVEN) {
		probe_done(p);
		return;
	}
	probe_failed(p);
}

bool pmtu_answered(struct peer *p, const Ntm__PathResponse *r)
{
	struct pmtu *m = &p->pmtu;

	if (!m->probe || r->cookie != m->cookie)
		return false;
	m->good = m->probe;
	if (m->probe > m->size)
		use(p, m->probe);
	probe_next(p);
	return true;
}

/* --- searches ------------------------------------------------------------------------- */

void pmtu_start(struct peer *p)
{
	struct pmtu *m = &p->pmtu;
	unsigned int most = route_size(p);

	if (!m->size)
		use(p, PMTU_BASE);
	if (m->size > most)
		use(p, most);
	m->good = 0;
	m->bad = 0;
	m->tries = 0;
	m->checking = false;
	m->probe = most;
	if (p->tunnel)
		probe_send(p);
}

void pmtu_check(struct peer *p)
{
	struct pmtu *m = &p->pmtu;

	if (m->probe || !m->size || !p->tunnel)
		return;
	m->good = 0;
	m->bad = 0;
	m->tries = 0;
	m->checking = true;
	m->probe = m->size;
	probe_send(p);
}

void pmtu_too_big(struct peer *p)
{
	unsigned int most = route_size(p);

	if (p->pmtu.size > most)
		use(p, most);
	else if (!p->pmtu.probe)
		pmtu_check(p);
}

/* --- life ------------------------------------------------------------------------------- */

int pmtu_init(struct peer *p)
{
	return loop_timer_new(p->w->loop, probe_due, p, &p->pmtu.timer);
}

void pmtu_stop(struct peer *p)
{
	p->pmtu.probe = 0;
	loop_timer_disarm(p->pmtu.timer);
}

void pmtu_clear(struct peer *p)
{
	loop_timer_free(p->pmtu.timer);
	p->pmtu.timer = NULL;
}
