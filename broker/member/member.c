/* SPDX-License-Identifier: MIT */
/*
 * member - this device's part in one group
 *
 * Theory of operation
 *
 * The GMS orders the log and is believed in nothing else. A member follows: hello says
 * how far it is (hello.c), news brings what it lacks (news.c), and with the log's end RN2;
 * it acknowledges that. It authors entries when its owner wishes (author.c), and a refresh
 * when it is its turn (duty.c).
 *
 * What is held: the log's state, RN1 of its epoch, two prekeys, the epoch's subkeys. GK
 * and older RN1s are not. The store has the same but the subkeys: after a start there is
 * no key until the GMS has spoken, so a copy from a backup uses no key of its own.
 *
 * Silence: a seal ends; a timer stops the keys then (FROZEN), whatever the connection
 * says. The time between is the GMS's, measured by our monotonic clock, so a wall clock
 * that jumps changes nothing.
 */
#include "broker/member/member_impl.h"

#include "common/log.h"

const char *member_state_text(enum member_state state)
{
	static const char *const text[] = {
		[MEMBER_BEHIND] = "behind", [MEMBER_JOINED] = "joined",
		[MEMBER_FROZEN] = "frozen", [MEMBER_FORKED] = "forked",
		[MEMBER_OUT] = "out",
	};
	static_assert(sizeof(text) / sizeof(text[0]) == MEMBER_STATES,
		      "states");

	return text[state];
}

const char *member_saw_text(enum member_saw what)
{
	static const char *const text[] = {
#define SAW(name, t) [MEMBER_SAW_##name] = t,
#include "broker/member/membersaw.def"
#undef SAW
	};

	return text[what];
}

void member_set_state(struct member *m, enum member_state to)
{
	static const bool may[MEMBER_STATES][MEMBER_STATES] = {
		[MEMBER_BEHIND] = {[MEMBER_JOINED] = true,
				   [MEMBER_FORKED] = true,
				   [MEMBER_OUT] = true},
		[MEMBER_JOINED] = {[MEMBER_BEHIND] = true,
				   [MEMBER_FROZEN] = true,
				   [MEMBER_FORKED] = true,
				   [MEMBER_OUT] = true},
		[MEMBER_FROZEN] = {[MEMBER_BEHIND] = true,
				   [MEMBER_JOINED] = true,
				   [MEMBER_FORKED] = true,
				   [MEMBER_OUT] = true},
		[MEMBER_FORKED] = {[MEMBER_OUT] = true},
	};
	enum member_state before = m->state;

	if (before == to || !may[before][to])
		return;
	m->state = to;
	log_info("member", "%s: %s -> %s", m->own.secret.name,
		 member_state_text(before), member_state_text(to));
	m->s.ops->state(m->s.arg, m, before);
}

void member_say(struct member *m, Ntm__Envelope *msg)
{
	if (m->online)
		m->s.ops->send(m->s.arg, msg);
}

void member_named(struct member *m, enum member_saw what, uint32_t who,
		  uint64_t epoch, int code)
{
	m->s.ops->saw(m->s.arg, what, who, epoch, code);
}

ProtobufCBinaryData member_bytes(const void *p, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)p};
}

void member_keep_fork(struct member *m)
{
	if (m->own.forked)
		return;
	m->own.forked = true;
	if (memberstore_put(m->s.store, m->g, &m->own))
		log_err("member",
			"%s: that its log was forked cannot be written down",
			m->own.secret.name);
}

void member_stop(struct member *m, enum member_state to)
{
	bool had = m->keys.epoch;

	group_keys_clear(&m->keys);
	m->not_after = 0;
	loop_timer_disarm(m->ack);
	loop_timer_disarm(m->silent);
	loop_timer_disarm(m->turn);
	loop_timer_disarm(m->leaves_due);
	/* BEHIND after a start: nothing is known that speaks against a key given before */
	if (had || to != MEMBER_BEHIND)
		m->s.ops->keys(m->s.arg, NULL, m->index);
	member_set_state(m, to);
	if (to == MEMBER_OUT || to == MEMBER_FORKED)
		author_end(m, -NTM_ESTATE);
}

/* --- time ------------------------------------------------------------------------------ */

void member_silent(void *arg)
{
	struct member *m = arg;

	member_named(m, MEMBER_SAW_SILENT, GROUP_SERVER, m->keys.epoch,
		     -NTM_EEXPIRED);
	member_stop(m, MEMBER_FROZEN);
}

void member_clocks(struct member *m, int64_t now)
{
	uint32_t r;

	ntmc_random(m->s.env, &r, sizeof(r));
	if (!loop_timer_armed(m->ack))
		loop_timer_arm(m->ack,
			       r % (group_size(m->g) * MEMBER_ACK_SPREAD_NS));
	m->silent_at = loop_now(m->s.loop) + LOOP_S(m->not_after - now);
	loop_timer_arm(m->silent, m->silent_at - loop_now(m->s.loop));
	straight_epoch(m);
	/* RN1 was made anew in this generation, or it is told of it now */
	if (!loop_timer_armed(m->turn) ||
	    m->turn_generation != group_generation(m->g)) {
		uint64_t wait = LOOP_S(group_policy(m->g)->refresh_s);

		m->refresh_due = loop_now(m->s.loop) + wait;
		loop_timer_arm(m->turn,
			       wait + LOOP_S(duty_turns(m) * MEMBER_TURN_S));
	}
	m->turn_generation = group_generation(m->g);
}

void member_slept(struct member *m, unsigned int slept_s)
{
	uint64_t now = loop_now(m->s.loop), slept = LOOP_S((uint64_t)slept_s);

	if (!loop_timer_armed(m->silent))
		return;
	m->silent_at -= m->silent_at < slept ? m->silent_at : slept;
	if (m->silent_at > now) {
		loop_timer_arm(m->silent, m->silent_at - now);
		return;
	}
	loop_timer_disarm(m->silent);
	member_silent(m);
}

/* --- the connection ---------------------------------------------------------------------- */

/* nobody but the founder can make the first entry known; said again it does no harm */
static bool submit_first(struct member *m)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupSubmit body = NTM__GROUP_SUBMIT__INIT;
	size_t len;

	if (m->index || group_epoch(m->g) != 1 ||
	    memberstore_log_get(m->s.store, m->id, 1, entry, &len, sealer))
		return false;
	body.entry = member_bytes(entry, len);
	m->create_txn = ++m->txn;
	e.txn = m->create_txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_SUBMIT;
	e.group_submit = &body;
	member_say(m, &e);
	return true;
}

static void say_leave(struct member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupLeave body = NTM__GROUP_LEAVE__INIT;
	struct group_leave l;

	group_leave_sign(m->s.id, m->g, m->index, &l);
	body.group = member_bytes(m->id, sizeof(m->id));
	body.index = l.index;
	body.epoch = l.epoch;
	body.signature = member_bytes(l.sig, sizeof(l.sig));
	m->leave_txn = ++m->txn;
	e.txn = m->leave_txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_LEAVE;
	e.group_leave = &body;
	member_say(m, &e);
}

/* said again until the GMS has it, also after a start; what could open anything is gone */
static int keep_leave(struct member *m)
{
	struct member_own left = m->own;
	int r;

	ntmc_key_clear(&left.secret.rn1);
	ntmc_wipe(left.prekey, sizeof(left.prekey));
	ntmc_key_clear(&left.share);
	left.waiting = false;
	left.leaving = true;
	r = memberstore_put(m->s.store, m->g, &left);
	if (!r)
		m->own = left;
	member_own_clear(&left);
	return r ? -NTM_ESTORE : 0;
}

void member_online(struct member *m)
{
	m->online = true;
	silence_online(m, true);
	if (m->state == MEMBER_OUT || m->state == MEMBER_FORKED)
		return;
	if (m->leaving)
		say_leave(m);
	else if (!submit_first(m))
		member_hello(m);
}

void member_offline(struct member *m)
{
	m->online = false;
	silence_online(m, false);
	m->asking = false;
	m->create_txn = 0;
	m->repair_txn = 0;
	/* what was submitted may be in the log: the next news says it */
	if (m->wish.state)
		m->wish.state = WISH_WAITS;
}

static void acked(struct member *m, uint32_t txn, int code)
{
	if (txn && txn == m->create_txn) {
		m->create_txn = 0;
		if (!code || code == -NTM_EEXISTS)
			member_hello(m);
		else
			m->s.ops->done(m->s.arg, code);
	} else if (txn && txn == m->wish.txn) {
		author_acked(m, code);
	} else if (txn && txn == m->repair_txn) {
		duty_repaired(m, code);
	} else if (txn && txn == m->leave_txn) {
		m->leave_txn = 0;
		if (code && code != -NTM_ENONAME && code != -NTM_ENOTFOUND &&
		    code != -NTM_EEXPIRED)
			return; /* said again when it has a connection again */
		if (!memberstore_drop(m->s.store, m->id))
			member_stop(m, MEMBER_OUT);
	}
}

void member_message(struct member *m, const Ntm__Envelope *msg)
{
	if (m->state == MEMBER_OUT || m->state == MEMBER_FORKED)
		return;
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_GROUP_NEWS:
		if (!m->leaving)
			news_take(m, msg->group_news);
		break;
	case NTM__ENVELOPE__BODY_GROUP_GONE:
		news_gone(m, msg->group_gone);
		break;
	case NTM__ENVELOPE__BODY_GROUP_ANSWER:
		author_answer(m, msg->group_answer);
		break;
	case NTM__ENVELOPE__BODY_GROUP_WANT:
		if (m->state == MEMBER_JOINED &&
		    group_find(m->g, msg->group_want->index))
			m->s.ops->wanted(m->s.arg, msg->group_want->index);
		break;
	case NTM__ENVELOPE__BODY_GROUP_LEAVE:
		duty_leave(m, msg->group_leave);
		break;
	case NTM__ENVELOPE__BODY_ACK:
		acked(m, msg->txn, -(int)msg->ack->code);
		break;
	default:
		break;
	}
}

bool member_prepare(struct member *m)
{
	if (m->state != MEMBER_JOINED || !m->online)
		return false;
	if (!m->asking)
		author_ask(m);
	return true;
}

/* the server is heard no more, whatever it knows */
static int leave_here(struct member *m)
{
	if (memberstore_drop(m->s.store, m->id)) {
		m->leaving = false;
		return -NTM_ESTORE;
	}
	member_stop(m, MEMBER_OUT);
	return 0;
}

int member_leave(struct member *m, bool here)
{
	int r;

	here |= m->state == MEMBER_FORKED;
	if (m->state == MEMBER_OUT ||
	    (!here && (m->welcome_epoch || !m->online)))
		return -NTM_ESTATE;
	/* without a log nobody can be told */
	r = m->welcome_epoch || here ? 0 : keep_leave(m);
	if (r)
		return r;
	m->leaving = true;
	if (m->welcome_epoch)
		return leave_here(m);
	member_stop(m, MEMBER_BEHIND);
	say_leave(m);
	return here ? leave_here(m) : 0;
}

bool member_keeps_wish(const struct member *m)
{
	return m->wish.kept;
}

enum member_state member_state(const struct member *m)
{
	return m->state;
}

bool member_is_leaving(const struct member *m)
{
	return m->leaving;
}

const struct group *member_group(const struct member *m)
{
	return m->g;
}

const uint8_t *member_id(const struct member *m)
{
	return m->id;
}

const char *member_name(const struct member *m)
{
	return m->own.secret.name;
}

uint32_t member_index(const struct member *m)
{
	return m->index;
}

int64_t member_not_after(const struct member *m)
{
	return m->not_after;
}

bool member_confirmed(const struct member *m, size_t i)
{
	return m->state == MEMBER_JOINED && m->keys.epoch &&
	       (m->confirmed[i] == m->keys.epoch ||
		m->heard_of[i] == m->keys.epoch ||
		group_at(m->g, i)->index == m->index);
}

const struct group_keys *member_keys(const struct member *m)
{
	return m->keys.epoch ? &m->keys : NULL;
}

int64_t member_valid_s(const struct member *m)
{
	return m->not_after - m->heard;
}

int64_t member_renewal_s(const struct member *m)
{
	return group_seal_since(m->seal) + group_policy(m->g)->renew_s -
	       m->heard;
}

int64_t member_refresh_s(const struct member *m)
{
	uint64_t now = loop_now_exact(m->s.loop);

	return m->refresh_due > now
		       ? (int64_t)((m->refresh_due - now) / LOOP_S(1))
		       : 0;
}

size_t member_welcome(const struct member *m,
		      uint8_t out[static GROUP_WELCOME_MAX])
{
	return m->state == MEMBER_JOINED
		       ? group_welcome_put(&m->own.secret, group_hash(m->g),
					   out)
		       : 0;
}
