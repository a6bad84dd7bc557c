/* SPDX-License-Identifier: MIT */
/*
 * straight - members confirm an epoch to each other, beside the GMS (W9)
 *
 * Theory of operation
 *
 * A confirmation that the GMS passes on it can keep back, and who counts them would think
 * that others lack the key. So each member also sends its own as a group control packet,
 * signed and sealed once for all, some time into the epoch when all senders have changed;
 * only to those it has a tunnel to, as nobody is to be woken for it. Who asks for the
 * count asks the others, too. In groups beyond STRAIGHT_MAX the GMS's word must do: each
 * member's packet to each other would be more than what the group says.
 *
 * A packet is opened under K_control of the epoch, so its sender has that key; the tag says
 * that it has K_confirm and th of the log, too. What does not hold is passed over.
 */
#include "broker/member/member_impl.h"
#include "common/log.h"

#define STRAIGHT_MAX	   64	/* members */
#define STRAIGHT_MS	   1500 /* senders change within 1 s */
#define STRAIGHT_SPREAD_MS 1000
#define STRAIGHT_ANSWER_MS 200
#define STRAIGHT_AGAIN_S   2

enum { WORD_CONFIRMATION = 1, WORD_QUESTION };

static bool may(const struct member *m)
{
	return m->s.ops->say && m->keys.epoch &&
	       group_size(m->g) <= STRAIGHT_MAX;
}

static uint64_t by_chance(const struct member *m, unsigned int most_ms)
{
	uint32_t r;

	ntmc_random(m->s.env, &r, sizeof(r));
	return LOOP_MS(r % most_ms);
}

void straight_due(void *arg)
{
	uint8_t text[1 + GROUP_CONFIRM_LEN] = {WORD_CONFIRMATION};
	struct member *m = arg;

	if (m->state != MEMBER_JOINED || !may(m))
		return;
	group_confirm(&m->keys, m->index, text + 1);
	m->straight_said = loop_now_exact(m->s.loop);
	m->s.ops->say(m->s.arg, text, sizeof(text));
}

void straight_epoch(struct member *m)
{
	if (m->straight_epoch == m->keys.epoch || !may(m))
		return;
	m->straight_epoch = m->keys.epoch;
	loop_timer_arm(m->straight,
		       LOOP_MS(STRAIGHT_MS) + by_chance(m, STRAIGHT_SPREAD_MS));
}

void member_ask_straight(struct member *m)
{
	static const uint8_t text[] = {WORD_QUESTION};

	if (m->state == MEMBER_JOINED && may(m))
		m->s.ops->say(m->s.arg, text, sizeof(text));
}

void member_heard(struct member *m, uint64_t epoch, uint32_t index,
		  const uint8_t *text, size_t len)
{
	const struct group_member *who = group_find(m->g, index);

	if (m->state != MEMBER_JOINED || epoch != m->keys.epoch || !who || !len)
		return;
	if (len == 1 && *text == WORD_QUESTION) {
		if (!loop_timer_armed(m->straight) &&
		    loop_now_exact(m->s.loop) - m->straight_said >
			    LOOP_S(STRAIGHT_AGAIN_S))
			loop_timer_arm(m->straight,
				       by_chance(m, STRAIGHT_ANSWER_MS));
		return;
	}
	if (len != 1 + GROUP_CONFIRM_LEN || *text != WORD_CONFIRMATION ||
	    group_confirmed(&m->keys, index, text + 1)) {
		log_debug("member", "%s: a word of %s says nothing",
			  m->own.secret.name, who->fqdn);
		return;
	}
	m->heard_of[who - group_at(m->g, 0)] = epoch;
}
