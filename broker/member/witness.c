/* SPDX-License-Identifier: MIT */
/*
 * witness - what the server has signed for others, held against our own log
 *
 * Theory of operation
 *
 * A server that wishes to split a group tells each part of it a log that is right by
 * itself: nobody who only listens to the server notices. But each epoch has a seal, which
 * names the whole past and is signed by the server, and members show each other theirs
 * (tell.c). A seal that names another past for an epoch that we have proves by the
 * server's own signature that it lies: we stop, as keys of the other branch are nothing
 * to us, and who was removed there is a member here. No member can make that up.
 *
 * A seal of a later epoch says that there are entries which we have not. They are asked
 * for; where they do not come within WAITS_S the server keeps them back, perhaps a
 * removal: we send nothing until they are here. Which epoch was shown, and whether it is
 * kept back, is in the store: no start makes the old key good.
 */
#include <string.h>

#include "broker/member/member_impl.h"
#include "common/log.h"
#include "libntmcrypto/wire.h"

#define WAITS_S	 10
#define TOLD_LEN (8 + 4 + 1)

/* the GMS has signed each of them, so it is written at most once an epoch */
static void keep_told(struct member *m)
{
	uint8_t body[TOLD_LEN];
	struct wire_out w = wire_out(body, sizeof(body));

	wire_put_number(&w, m->told_epoch, 8);
	wire_put_number(&w, m->told_who, 4);
	wire_put_number(&w, m->held_back, 1);
	if (memberstore_note_put(m->s.store, m->id, NOTE_TOLD, body,
				 m->told_epoch ? w.len : 0))
		log_err("member", "%s: which epoch others have is not stored",
			m->own.secret.name);
}

void witness_load(struct member *m)
{
	uint8_t body[MEMBERSTORE_NOTE_MAX];
	struct wire_in w;
	uint64_t epoch;
	uint32_t who;
	size_t len;
	bool held;

	if (memberstore_note_get(m->s.store, m->id, NOTE_TOLD, body, &len))
		return;
	w = wire_in(body, len);
	epoch = wire_get_number(&w, 8);
	who = (uint32_t)wire_get_number(&w, 4);
	held = wire_get_number(&w, 1);
	if (!wire_ends(&w) || epoch <= group_epoch(m->g))
		return;
	m->told_epoch = epoch;
	m->told_who = who;
	m->held_back = held;
	loop_timer_arm(m->told, LOOP_S(WAITS_S));
	if (held)
		m->state = MEMBER_FROZEN;
}

/* th of an epoch that is over: the next entry names it */
static int past_hash(struct member *m, uint64_t epoch,
		     uint8_t out[static NTMC_HASH_LEN])
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	struct group_entry e;
	size_t len;
	int r;

	if (epoch == group_epoch(m->g)) {
		memcpy(out, group_hash(m->g), NTMC_HASH_LEN);
		return 0;
	}
	r = memberstore_log_get(m->s.store, m->id, epoch + 1, entry, &len,
				sealer);
	if (!r)
		r = group_entry_get(entry, len, &e);
	if (!r)
		memcpy(out, e.previous, NTMC_HASH_LEN);
	return r;
}

int member_told(struct member *m, const uint8_t *seal, size_t len, uint32_t who)
{
	uint8_t theirs[NTMC_HASH_LEN], ours[NTMC_HASH_LEN];
	uint64_t epoch;
	int r = m->welcome_epoch
			? -NTM_EAGAIN
			: group_seal_read(m->g, seal, len, &epoch, theirs);

	if (r)
		return r;
	if (m->state == MEMBER_OUT || m->state == MEMBER_FORKED)
		return -NTM_EFORK;
	if (epoch > group_epoch(m->g)) {
		if (epoch > m->told_epoch) {
			m->told_epoch = epoch;
			m->told_who = who;
			keep_told(m);
		}
		if (!loop_timer_armed(m->told))
			loop_timer_arm(m->told, LOOP_S(WAITS_S));
		if (m->online)
			member_hello(m);
		return -NTM_EAGAIN;
	}
	r = past_hash(m, epoch, ours);
	if (!r && memcmp(theirs, ours, sizeof(ours))) {
		member_named(m, MEMBER_SAW_TWO_LOGS, who, epoch, -NTM_EFORK);
		member_keep_fork(m);
		member_stop(m, MEMBER_FORKED);
		r = -NTM_EFORK;
	}
	return r ? r : epoch < group_epoch(m->g) ? -NTM_ESTATE : 0;
}

bool witness_held(const struct member *m)
{
	return m->held_back && group_epoch(m->g) < m->told_epoch;
}

void witness_due(void *arg)
{
	struct member *m = arg;

	if (group_epoch(m->g) >= m->told_epoch) {
		m->held_back = false;
		m->told_epoch = 0;
		keep_told(m);
		return;
	}
	loop_timer_arm(m->told, LOOP_S(WAITS_S));
	if (!m->online || m->held_back) /* nobody to be blamed; said already */
		return;
	m->held_back = true;
	keep_told(m);
	member_named(m, MEMBER_SAW_HELD_BACK, m->told_who, m->told_epoch,
		     -NTM_EAGAIN);
	member_stop(m, MEMBER_FROZEN);
}

size_t member_whom(size_t mine, size_t n, uint64_t round)
{
	return (mine + 1 + (size_t)(round % (n - 1))) % n;
}

const uint8_t *member_seal(const struct member *m)
{
	static const uint8_t none[GROUP_SEAL_LEN];

	return memcmp(m->seal, none, sizeof(none)) ? m->seal : NULL;
}
