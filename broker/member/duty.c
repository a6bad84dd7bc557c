/* SPDX-License-Identifier: MIT */
/*
 * duty - what a member does for its group: a refresh, wishes to leave, an old server
 *
 * Theory of operation
 *
 * A refresh is due refresh_s after RN1 was made anew. Who makes it is the member at
 * position epoch mod N; the next one does after MEMBER_TURN_S, and so on, so one that is
 * away holds nobody up. An entry of any of them begins a generation and ends all others'
 * waiting.
 *
 * Who leaves signs that it wishes to, and has gone. Any member may make the entry; those
 * who are online do after a time by the same order, so that one of them does.
 *
 * A server that was restored from an old backup is given the entries that it lacks, one
 * after the other. They vouch for themselves; it makes another RN2 behind the last.
 */
#include <string.h>

#include "broker/member/member_impl.h"
#include "common/log.h"

uint64_t duty_turns(const struct member *m)
{
	size_t n = group_size(m->g), at = 0;

	if (!n)
		return 0; /* who joins has no log yet */
	while (at < n && group_at(m->g, at)->index != m->index)
		at++;
	return (at + n - group_epoch(m->g) % n) % n;
}

void duty_turn(void *arg)
{
	struct member *m = arg;

	if (m->state != MEMBER_JOINED)
		return;
	if (m->wish.state) { /* if it makes no generation, we do then */
		loop_timer_arm(m->turn, LOOP_S(MEMBER_TURN_S));
		return;
	}
	/* without memory it is the next one's turn */
	if (author_want(m, &(struct group_change){.kind = GROUP_REFRESH}, true))
		log_warn("member", "%s: no refresh", m->own.secret.name);
}

/* --- wishes to leave ------------------------------------------------------------------ */

static void leaves_soon(struct member *m)
{
	uint64_t ms = duty_turns(m) * MEMBER_LEAVE_MS;

	if (!loop_timer_armed(m->leaves_due))
		loop_timer_arm(m->leaves_due,
			       LOOP_MS(ms < MEMBER_LEAVE_MAX_MS
					       ? ms
					       : MEMBER_LEAVE_MAX_MS));
}

void duty_leave(struct member *m, const Ntm__GroupLeave *msg)
{
	struct group_leave l = {.index = msg->index, .epoch = msg->epoch};
	size_t i;

	if (msg->signature.len != sizeof(l.sig))
		return;
	memcpy(l.sig, msg->signature.data, sizeof(l.sig));
	for (i = 0; i < m->n_leaves; i++)
		if (m->leaves[i].index == l.index)
			return;
	/* the server repeats it at each hello: what has no room comes again */
	if (m->n_leaves == MEMBER_LEAVES || l.index == m->index)
		return;
	/* one that comes ahead of the log is looked at when it is due */
	m->leaves[m->n_leaves++] = l;
	leaves_soon(m);
}

void duty_leaves(void *arg)
{
	struct member *m = arg;
	struct group_leave *l = m->leaves;

	while (m->n_leaves &&
	       (!group_find(m->g, l->index) || group_leave_verify(m->g, l)))
		*l = m->leaves[--m->n_leaves];
	if (!m->n_leaves || m->state != MEMBER_JOINED)
		return;
	if (!m->wish.state) {
		struct group_change c = {
			.kind = GROUP_REMOVE, .reason = GROUP_LEFT, .leave = l};

		if (author_want(m, &c, true))
			log_warn("member", "%s: no entry for who leaves",
				 m->own.secret.name);
	}
	loop_timer_arm(m->leaves_due, LOOP_MS(MEMBER_LEAVE_MAX_MS));
}

/* --- members that were away for long, or were restored --------------------------------------- */

void duty_want(void *arg)
{
	struct member *m = arg;
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupWant body = NTM__GROUP_WANT__INIT;

	if (!m->wants)
		return;
	loop_timer_arm(m->want, LOOP_S(MEMBER_WANT_S));
	body.group = member_bytes(m->id, sizeof(m->id));
	body.index = m->index;
	e.txn = ++m->txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_WANT;
	e.group_want = &body;
	member_say(m, &e);
}

/* what the server says is not enough: it was asked, and had a quarter of the time */
static bool is_over(const struct member *m, uint32_t index, uint32_t evict_s)
{
	uint32_t asked_s = silence_asked_s(m, index);

	return silence_s(m, index) > evict_s && asked_s != SILENCE_UNASKED &&
	       asked_s >= evict_s / 4;
}

static bool is_due(const struct member *m, uint32_t index, uint32_t evict_s)
{
	return silence_s(m, index) >= evict_s - evict_s / 4 &&
	       silence_asked_s(m, index) == SILENCE_UNASKED;
}

void duty_evict(struct member *m)
{
	const struct group_member *me = group_find(m->g, m->index), *who;
	uint32_t evict_s = group_policy(m->g)->evict_s, gone[MEMBER_EVICTED];
	struct group_change c = {
		.kind = GROUP_REMOVE, .reason = GROUP_EVICTED, .gone = gone};
	size_t i, n = group_size(m->g), asked = 0;

	/* who is there may say nothing for some minutes. `ntm-group policy` takes no
	 * less; the log may have it of another program */
	if (evict_s < GROUP_EVICT_MIN_S)
		evict_s = GROUP_EVICT_MIN_S;
	if (!me || !(me->rights & GROUP_MAY_REMOVE) || m->wish.state ||
	    m->state != MEMBER_JOINED || duty_turns(m) >= MEMBER_EVICTORS)
		return;
	for (i = 0; i < n && c.n_gone < MEMBER_EVICTED; i++) {
		who = group_at(m->g, i);
		if (who == me || who->rights & GROUP_ADMIN)
			continue;
		if (is_over(m, who->index, evict_s))
			gone[c.n_gone++] = who->index;
		else if (is_due(m, who->index, evict_s) &&
			 asked < MEMBER_ASKED && ++asked)
			m->s.ops->ask(m->s.arg, who->index);
	}
	if (c.n_gone && author_want(m, &c, true))
		log_warn("member", "%s: nobody is evicted now",
			 m->own.secret.name);
}

/* --- a server that was restored ---------------------------------------------------------- */

static void repair_next(struct member *m)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	static const uint8_t none[NTMC_KEY_LEN];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupSubmit body = NTM__GROUP_SUBMIT__INIT;
	size_t len;

	m->repair_txn = 0;
	if (!m->repair || m->repair > group_epoch(m->g) ||
	    memberstore_log_get(m->s.store, m->id, m->repair, entry, &len,
				sealer)) {
		m->repair = 0;
		return;
	}
	body.entry = member_bytes(entry, len);
	if (memcmp(sealer, none, sizeof(none)))
		body.sealer = member_bytes(sealer, sizeof(sealer));
	m->repair_txn = ++m->txn;
	e.txn = m->repair_txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_SUBMIT;
	e.group_submit = &body;
	member_say(m, &e);
}

void duty_repair(struct member *m, uint64_t epoch)
{
	m->repair = epoch + 1;
	repair_next(m);
}

void duty_repaired(struct member *m, int code)
{
	if (code && code != -NTM_EEXISTS) {
		member_named(m, MEMBER_SAW_ROLLBACK, GROUP_SERVER, m->repair,
			     code);
		m->repair = 0;
		return;
	}
	m->repair++;
	repair_next(m);
}
