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
 * removal: we send nothing until they are here.
 */
#include <string.h>

#include "broker/member/member_impl.h"

#define WAITS_S 10

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
		return;
	}
	loop_timer_arm(m->told, LOOP_S(WAITS_S));
	if (!m->online || m->held_back) /* nobody to be blamed; said already */
		return;
	m->held_back = true;
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
