/* SPDX-License-Identifier: MIT */
/*
 * request - the session's requests: repeated until answered, or their time is over
 *
 * Each (SESSION_REQUESTS_MAX) has a transaction number, a time limit and doubling
 * repetitions. They leave while ONLINE; becoming ONLINE sends all that wait. A probe is a
 * Registration Request beside the session's own, and leaves at any time.
 */
#include "broker/session_state.h"

#include <stdlib.h>

#include "broker/timers.h"
#include "common/log.h"

static void request_free(struct request *rq)
{
	struct session *s = rq->s;

	s->ended[s->n_ended++ % SESSION_ENDED_MAX] = rq->txn;
	HASH_DEL(s->requests, rq);
	loop_timer_free(rq->timer);
	free(rq->packed);
	free(rq);
}

void request_end(struct request *rq, int err, const Ntm__Signal *msg)
{
	session_answer_fn *fn = rq->fn;
	void *arg = rq->arg;

	request_free(rq);
	fn(arg, err, msg);
}

void request_send(struct request *rq)
{
	struct session *s = rq->s;
	Ntm__Signal *msg;

	if (rq->probe) {
		if (session_register_to(s, rq->txn, &rq->to, false,
					rq->udp ? SESSION_UDP : SESSION_ANY))
			log_debug("session", "a probe could not be sent");
		return;
	}
	msg = ntm__signal__unpack(NULL, rq->len, rq->packed);
	if (!msg)
		return;
	if (session_send(s, msg))
		log_debug("session", "a request could not be sent");
	ntm__signal__free_unpacked(msg, NULL);
}

static void request_arm(struct request *rq)
{
	uint64_t now = loop_now(rq->s->w->loop);
	uint64_t pause = LOOP_MS(rq->repeat_ms);

	if (rq->deadline_ns <= now)
		pause = 0;
	else if (rq->deadline_ns - now < pause)
		pause = rq->deadline_ns - now;
	loop_timer_arm(rq->timer, pause);
}

static void request_due(void *arg)
{
	struct request *rq = arg;

	if (loop_now(rq->s->w->loop) >= rq->deadline_ns) {
		request_end(rq, -NTM_ETIMEOUT, NULL);
		return;
	}
	if (rq->repeat_ms < REQUEST_REPEAT_MAX_MS)
		rq->repeat_ms *= 2;
	if (!rq->probe && rq->repeat_ms == REQUEST_DOUBT_MS)
		session_doubt(rq->s, rq->sent_ns);
	if (rq->probe || rq->s->state == SESSION_ONLINE)
		request_send(rq);
	request_arm(rq);
}

static int request_new(struct session *s, unsigned int limit_ms,
		       session_answer_fn *fn, void *arg, struct request **out)
{
	struct request *rq;

	if (!s->keyed)
		return -NTM_ENOLOGIN;
	if (HASH_COUNT(s->requests) >= SESSION_REQUESTS_MAX)
		return -NTM_ELIMIT;
	rq = calloc(1, sizeof(*rq));
	if (!rq)
		return -NTM_ENOMEM;
	if (loop_timer_new(s->w->loop, request_due, rq, &rq->timer)) {
		free(rq);
		return -NTM_ENOMEM;
	}
	rq->s = s;
	rq->txn = session_txn(s);
	rq->fn = fn;
	rq->arg = arg;
	rq->sent_ns = loop_now_exact(s->w->loop);
	rq->deadline_ns = loop_now(s->w->loop) + LOOP_MS(limit_ms);
	rq->repeat_ms = REQUEST_FIRST_MS;
	HASH_ADD_INT(s->requests, txn, rq);
	*out = rq;
	return 0;
}

int session_request(struct session *s, Ntm__Signal *msg, unsigned int limit_ms,
		    session_answer_fn *fn, void *arg, uint32_t *id)
{
	struct request *rq;
	int err = request_new(s, limit_ms, fn, arg, &rq);

	if (err)
		return err;
	msg->txn = rq->txn;
	rq->len = ntm__signal__get_packed_size(msg);
	rq->packed = malloc(rq->len);
	if (!rq->packed || rq->len > PACKET_SIGNAL_MAX - PACKET_OVERHEAD) {
		err = rq->packed ? -NTM_ETOOBIG : -NTM_ENOMEM;
		request_free(rq);
		return err;
	}
	ntm__signal__pack(msg, rq->packed);
	if (s->state == SESSION_ONLINE)
		request_send(rq);
	else if (loop_now(s->w->loop) - s->asked_ns > LOOP_S(1))
		session_register(s); /* somebody waits: no long pause now */
	request_arm(rq);
	*id = rq->txn;
	return 0;
}

static int probe(struct session *s, const struct addr *dc, bool udp,
		 unsigned int limit_ms, session_answer_fn *fn, void *arg,
		 uint32_t *id)
{
	struct request *rq;
	int err = request_new(s, limit_ms, fn, arg, &rq);

	if (err)
		return err;
	rq->probe = true;
	rq->udp = udp;
	rq->to = *dc;
	request_send(rq);
	request_arm(rq);
	*id = rq->txn;
	return 0;
}

int session_probe(struct session *s, const struct addr *dc,
		  unsigned int limit_ms, session_answer_fn *fn, void *arg,
		  uint32_t *id)
{
	return probe(s, dc, false, limit_ms, fn, arg, id);
}

int session_probe_udp(struct session *s, const struct addr *dc,
		      unsigned int limit_ms, session_answer_fn *fn, void *arg,
		      uint32_t *id)
{
	return probe(s, dc, true, limit_ms, fn, arg, id);
}

struct request *request_find(const struct session *s, uint32_t txn)
{
	struct request *rq;

	HASH_FIND_INT(s->requests, &txn, rq);
	return rq;
}

void *session_cancel(struct session *s, uint32_t id)
{
	struct request *rq = id ? request_find(s, id) : NULL;
	void *arg;

	if (!rq)
		return NULL;
	arg = rq->arg;
	request_free(rq);
	return arg;
}

void requests_fail(struct session *s, int err)
{
	while (s->requests)
		request_end(s->requests, err, NULL);
}

bool request_was(const struct session *s, uint32_t txn)
{
	for (size_t i = 0; i < SESSION_ENDED_MAX; i++)
		if (txn && s->ended[i] == txn)
			return true;
	return false;
}

void requests_free(struct session *s)
{
	struct request *rq, *tmp;

	HASH_ITER (hh, s->requests, rq, tmp)
		request_free(rq);
}
