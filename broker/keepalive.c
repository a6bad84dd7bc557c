/* SPDX-License-Identifier: MIT */
/*
 * keepalive - how often the node must speak to its DC for its NAT to keep it reachable
 *
 * Theory of operation
 *
 * The interval begins as the DC's word (25 s) and follows what the NAT is measured to
 * bear. A second socket, the feeler, does the measuring, so that the node stays
 * reachable by its own meanwhile:
 *
 *   OPENING  The feeler asks the DC twice, SETTLE_S apart (many NATs keep a flow
 *            longer once it has gone both ways for a while, as the node's own has).
 *            The answer says where the DC sees it, and brings a cookie for that.
 *   SILENT   Nothing passes for a rung's interval and a margin (silence_s()).
 *   ASKING   By the node's own socket, the DC is asked, with the cookie, to write to
 *            where the feeler was seen. What arrives proves that the mapping lives,
 *            and the next longer rung is tried. When the DC has confirmed three
 *            times that it wrote and nothing came, the mapping is dead.
 *
 * That the DC would see the feeler elsewhere afterwards proves nothing: a NAT may
 * give a dead mapping's port again. That is why something must come in.
 *
 * Upwards from the first rung until one is dead, or the DC's longest interval is
 * reached; downwards from it while none has survived. Never under the papers' 20 s
 * but where 25 s of silence were too long, or mappings die in use (keepalive_lost()):
 * then a rung less each time, 10 s at least, and after AGAIN_S all anew.
 *
 * The DC keeps nothing for it and sends no byte more than it gets (docs/protocol.md,
 * Keep-alive). A DC whose administrator wants intervals below 20 s, or none longer
 * than his, is taken at its word: nothing is measured.
 */
#include "broker/keepalive.h"

#include <stdlib.h>
#include <string.h>

#include "broker/notify.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/datagram.h"
#include "common/log.h"

static const unsigned int rungs[] = {10, 15, 20, 25, 40, 60, 90, 120, 180, 300};
#define RUNGS (sizeof(rungs) / sizeof(rungs[0]))

struct keepalive {
	struct worker *w;
	enum keepalive_state state;
	unsigned int base_s, max_s, interval_s;
	unsigned int alive_s, dead_s, lost;
	struct addr outside; /* where the DC sees the node, when it began */
	struct addr dc;

	struct feeler *feeler;
	struct addr seen; /* the feeler */
	uint8_t cookie[16];
	size_t rung;
	unsigned int tries, asked; /* of this step; confirmed by the DC */
	bool settled;
	uint32_t txn, request;
	uint64_t silent_ns;
	struct loop_timer *timer;
};

static const char *const state_names[] = {
	[KEEPALIVE_FIXED] = "FIXED",   [KEEPALIVE_OPENING] = "OPENING",
	[KEEPALIVE_SILENT] = "SILENT", [KEEPALIVE_ASKING] = "ASKING",
	[KEEPALIVE_DONE] = "DONE",
};

static void keepalive_set_state(struct keepalive *k, enum keepalive_state state)
{
	if (k->state != state)
		log_debug("keepalive", "%s -> %s", state_names[k->state],
			  state_names[state]);
	k->state = state;
}

/* A keep-alive that is lost is repeated after 1 s and 3 s: that fits in, too. */
static unsigned int silence_s(unsigned int interval_s)
{
	return interval_s + (interval_s > 40 ? interval_s / 8 : 5);
}

static void feeler_drop(struct keepalive *k)
{
	const struct worker_env *env = k->w->env;

	if (k->feeler)
		env->feeler->close(k->feeler);
	k->feeler = NULL;
	session_cancel(k->w->session, k->request);
	k->request = 0;
	loop_timer_disarm(k->timer);
}

/* --- outcomes -------------------------------------------------------------------------- */

static void open_feeler(struct keepalive *k);

static void done(struct keepalive *k, unsigned int again_s)
{
	feeler_drop(k);
	keepalive_set_state(k, KEEPALIVE_DONE);
	if (again_s)
		loop_timer_arm(k->timer, LOOP_S(again_s));
	notify_look(k->w->notify); /* it may do better */
}

static void use(struct keepalive *k, unsigned int interval_s)
{
	if (interval_s > k->max_s)
		interval_s = k->max_s;
	if (interval_s == k->interval_s)
		return;
	log_info("keepalive", "every %u s from now on", interval_s);
	k->interval_s = interval_s;
}

static void step_send(struct keepalive *k);

static void survived(struct keepalive *k)
{
	session_cancel(k->w->session, k->request);
	k->request = 0;
	k->alive_s = silence_s(rungs[k->rung]);
	if (rungs[k->rung] > k->interval_s)
		use(k, rungs[k->rung]);
	if (rungs[k->rung] >= k->max_s || k->rung + 1 == RUNGS ||
	    (k->dead_s && k->dead_s <= silence_s(rungs[k->rung + 1]))) {
		done(k, 0);
		return;
	}
	k->rung++;
	k->tries = 0;
	keepalive_set_state(k, KEEPALIVE_OPENING);
	step_send(k); /* the mapping is used, and goes on */
}

static void died(struct keepalive *k)
{
	k->dead_s = silence_s(rungs[k->rung]);
	if (k->rung && rungs[k->rung - 1] < k->interval_s)
		use(k, rungs[k->rung - 1]);
	if (k->alive_s || !k->rung) {
		done(k, 0);
		return;
	}
	k->rung--;
	open_feeler(k);
}

/* --- asking the DC to write --------------------------------------------------------------- */

static void ask(struct keepalive *k);

static void ask_answered(void *arg, int err, const Ntm__Signal *msg)
{
	struct keepalive *k = arg;

	k->request = 0;
	if (err || msg->body_case != NTM__SIGNAL__BODY_ACK || msg->ack->code) {
		/* the DC is away, or another one: nothing was learned */
		done(k, KEEPALIVE_RETRY_S);
		return;
	}
	k->asked++;
	loop_timer_arm(k->timer, LOOP_MS(KEEPALIVE_HEAR_MS));
}

static void ask(struct keepalive *k)
{
	Ntm__MappingRequest m = NTM__MAPPING_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__Address at;

	addr_to_message(&k->seen, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &at);
	m.at = &at;
	m.cookie = (ProtobufCBinaryData){sizeof(k->cookie), k->cookie};
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_REQUEST;
	msg.mapping_request = &m;
	if (session_request(k->w->session, &msg, DIRECTION_LIMIT_MS,
			    ask_answered, k, &k->request))
		done(k, KEEPALIVE_RETRY_S);
}

/* --- the feeler --------------------------------------------------------------------------- */

/* Ask, from the feeler, where it is seen. */
static void step_send(struct keepalive *k)
{
	const struct worker_env *env = k->w->env;
	Ntm__MappingRequest m = NTM__MAPPING_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	static uint8_t zeros[DATAGRAM_MAPPING_PADDING];
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n;

	if (k->tries++ == KEEPALIVE_TRIES) {
		done(k, KEEPALIVE_RETRY_S);
		return;
	}
	m.padding = (ProtobufCBinaryData){sizeof(zeros), zeros};
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_REQUEST;
	msg.mapping_request = &m;
	n = session_seal(k->w->session, &msg, buf, &k->txn);
	if (n > 0)
		env->feeler->send(k->feeler, buf, (size_t)n, &k->dc);
	loop_timer_arm(k->timer,
		       LOOP_MS((uint64_t)KEEPALIVE_FIRST_MS << (k->tries - 1)));
}

static void silence_start(struct keepalive *k)
{
	keepalive_set_state(k, KEEPALIVE_SILENT);
	k->silent_ns = loop_now(k->w->loop);
	loop_timer_arm(k->timer, LOOP_S(silence_s(rungs[k->rung])));
}

static void opened(struct keepalive *k, const Ntm__MappingResponse *m)
{
	struct addr seen;

	if (!m->observed || m->cookie.len != sizeof(k->cookie) ||
	    addr_from_message(m->observed, &seen))
		return;
	if (k->settled && !addr_equal(&seen, &k->seen)) {
		/* another port by the datagram: a silence means nothing here */
		done(k, KEEPALIVE_AGAIN_S);
		return;
	}
	k->seen = seen;
	memcpy(k->cookie, m->cookie.data, sizeof(k->cookie));
	if (k->settled) {
		silence_start(k);
		return;
	}
	k->settled = true;
	k->tries = 0;
	k->txn = 0; /* the next one is asked by the clock */
	loop_timer_arm(k->timer, LOOP_S(KEEPALIVE_SETTLE_S));
}

static void heard(void *arg, uint8_t *buf, size_t len, const struct addr *from)
{
	struct keepalive *k = arg;
	Ntm__Signal *msg;

	if (!addr_equal(from, &k->dc) ||
	    session_open(k->w->session, buf, len, &msg))
		return;
	if (msg->body_case == NTM__SIGNAL__BODY_MAPPING_RESPONSE) {
		if (k->state == KEEPALIVE_OPENING && k->txn &&
		    msg->txn == k->txn)
			opened(k, msg->mapping_response);
		else if (k->state == KEEPALIVE_ASKING &&
			 !msg->mapping_response->cookie.len)
			survived(k);
	}
	datagram_free(&msg->base);
}

static void open_feeler(struct keepalive *k)
{
	const struct worker_env *env = k->w->env;

	feeler_drop(k);
	k->settled = false;
	k->tries = k->asked = 0;
	k->txn = 0;
	if (!session_dc(k->w->session, &k->dc) ||
	    env->feeler->open(k->w, k->dc.sa.sa_family, heard, k, &k->feeler)) {
		done(k, KEEPALIVE_RETRY_S);
		return;
	}
	keepalive_set_state(k, KEEPALIVE_OPENING);
	step_send(k);
}

static void measure(struct keepalive *k)
{
	k->alive_s = k->dead_s = 0;
	k->rung = 0;
	while (k->rung + 1 < RUNGS && rungs[k->rung] < k->base_s)
		k->rung++;
	open_feeler(k);
}

static void due(void *arg)
{
	struct keepalive *k = arg;
	uint64_t late = LOOP_S(KEEPALIVE_LATE_S);

	switch (k->state) {
	case KEEPALIVE_OPENING:
		step_send(k);
		break;
	case KEEPALIVE_SILENT:
		if (loop_now(k->w->loop) - k->silent_ns >
		    LOOP_S(silence_s(rungs[k->rung])) + late) {
			open_feeler(k); /* we slept: longer than was meant */
			break;
		}
		k->asked = 0;
		keepalive_set_state(k, KEEPALIVE_ASKING);
		ask(k);
		break;
	case KEEPALIVE_ASKING:
		if (k->asked < KEEPALIVE_TRIES)
			ask(k);
		else
			died(k);
		break;
	case KEEPALIVE_DONE:
		measure(k);
		break;
	case KEEPALIVE_FIXED:
	case KEEPALIVE_NSTATES:
		break;
	}
}

/* --- events ------------------------------------------------------------------------------- */

void keepalive_online(struct keepalive *k, unsigned int base_s,
		      unsigned int max_s, const struct addr *observed)
{
	bool same = k->base_s == base_s && k->max_s == max_s &&
		    addr_equal_ip(&k->outside, observed);

	if (same && k->state != KEEPALIVE_FIXED)
		return;
	feeler_drop(k);
	keepalive_set_state(k, KEEPALIVE_FIXED);
	k->base_s = k->interval_s = base_s;
	k->max_s = max_s > base_s ? max_s : base_s;
	k->outside = *observed;
	k->alive_s = k->dead_s = k->lost = 0;
	if (k->w->env->feeler && k->max_s > base_s &&
	    base_s >= KEEPALIVE_PAPERS_S)
		measure(k);
}

void keepalive_moved(struct keepalive *k)
{
	feeler_drop(k);
	keepalive_set_state(k, KEEPALIVE_FIXED);
	k->interval_s = k->base_s;
	k->alive_s = k->dead_s = k->lost = 0;
	addr_clear(&k->outside);
}

void keepalive_rest(struct keepalive *k)
{
	feeler_drop(k);
	keepalive_set_state(k, KEEPALIVE_FIXED);
}

void keepalive_lost(struct keepalive *k)
{
	size_t i = 0;

	if (k->state == KEEPALIVE_FIXED)
		return;
	k->lost++;
	while (i + 1 < RUNGS && rungs[i + 1] < k->interval_s)
		i++;
	if (rungs[i] < k->interval_s)
		use(k, rungs[i]);
	done(k, KEEPALIVE_AGAIN_S);
}

/* --- questions ---------------------------------------------------------------------------- */

unsigned int keepalive_interval_s(const struct keepalive *k)
{
	return k->interval_s;
}

unsigned int keepalive_path_s(const struct keepalive *k, int family)
{
	if (k->interval_s < KEEPALIVE_PAPERS_S ||
	    k->outside.sa.sa_family != family)
		return PATH_KEEPALIVE_S;
	return k->interval_s;
}

void keepalive_status(const struct keepalive *k, struct keepalive_status *out)
{
	out->state = k->state;
	out->interval_s = k->interval_s;
	out->alive_s = k->alive_s;
	out->dead_s = k->dead_s;
	out->lost = k->lost;
}

/* --- life --------------------------------------------------------------------------------- */

int keepalive_new(struct worker *w, struct keepalive **out)
{
	struct keepalive *k = calloc(1, sizeof(*k));

	if (!k)
		return -NTM_ENOMEM;
	k->w = w;
	if (loop_timer_new(w->loop, due, k, &k->timer)) {
		free(k);
		return -NTM_ENOMEM;
	}
	*out = k;
	return 0;
}

void keepalive_free(struct keepalive *k)
{
	if (!k)
		return;
	feeler_drop(k);
	loop_timer_free(k->timer);
	free(k);
}
