/* SPDX-License-Identifier: MIT */
/*
 * alive - who is about to be evicted is asked whether it is there
 *
 * An item of service `alive`: u8 1 asks, 2 answers | GroupID. Items are signed by the
 * device, go straight where both are online, and wait at the Cache Server else, so a
 * member that comes back once in the last quarter of evict_s is heard. Every item of this
 * kind, and every seal that is shown, is a sign of its sender. One question of each is
 * answered in ANSWER_S, and RECENT_MAX of all (recent.h): four members ask at a time.
 */
#include "broker/member/alive.h"

#include <string.h>

#include "broker/member/postcall.h"
#include "common/log.h"

#define ANSWER_S  60
#define ALIVE_LEN (1 + GROUP_ID_LEN)

enum { ALIVE_ASKS = 1, ALIVE_ANSWERS };

static int say(struct part *p, const struct group_member *who, uint8_t word,
	       postcall_fn *fn, void *arg)
{
	char text[NTMC_BASE64URL_LEN(ALIVE_LEN) + 3];
	uint8_t b[ALIVE_LEN] = {word};

	memcpy(b + 1, member_id(p->m), GROUP_ID_LEN);
	ntmc_base64url_encode(b, sizeof(b), text);
	return postcall_ask(p->node->post,
			    json_pack("{s:s, s:[s], s:s, s:s, s:s}", "cmd",
				      "send", "to", who->fqdn, "application",
				      PAPERS_APPLICATION, "service", "alive",
				      "text", text),
			    fn, arg);
}

/* who has not been asked is not evicted: it counts when the item is kept, or sent.
 * ntm-post answers in the order in which it was asked */
static void on_kept(void *arg, int err, const json_t *answer)
{
	struct part *p = arg;
	uint32_t index = p->asking[0];

	(void)answer;
	memmove(p->asking, p->asking + 1, --p->n_asking * sizeof(p->asking[0]));
	if (!err && !p->over)
		member_asked(p->m, index);
}

void alive_ask(struct part *p, uint32_t index)
{
	const struct group_member *who = group_find(member_group(p->m), index);

	/* where there is no room: again at the next look */
	if (!who || p->over || p->n_asking == PART_ASKING ||
	    say(p, who, ALIVE_ASKS, on_kept, p))
		return;
	p->asking[p->n_asking++] = index;
	log_info("member", "%s: %s was not heard of for long, and is asked",
		 member_name(p->m), who->fqdn);
}

void alive_sign(struct part *p, const struct group_member *who)
{
	uint8_t fp[NTMC_FP_LEN];
	bool verified;

	/* of the identity of the log, not of another one by that name */
	ntmc_fingerprint(who->ed_pub, fp);
	if (who_pinned(&p->node->who, who->fqdn, fp, &verified) != -NTM_EPIN)
		member_alive(p->m, who->index);
}

int alive_take(struct papers *all, const char *from, const uint8_t *b,
	       size_t len)
{
	struct node *n = papers_node(all);
	uint64_t now = loop_now_exact(n->loop);
	const struct group_member *who;
	struct part *p;

	if (len != ALIVE_LEN || (*b != ALIVE_ASKS && *b != ALIVE_ANSWERS))
		return -NTM_EDECODE;
	p = part_by_id(n, b + 1);
	who = p && !p->over ? papers_mate(p, from) : NULL;
	if (!who)
		return -NTM_ENOTFOUND;
	alive_sign(p, who);
	if (*b != ALIVE_ASKS ||
	    !recent_take(&p->assured, who->index, now, LOOP_S(ANSWER_S)))
		return 0;
	if (say(p, who, ALIVE_ANSWERS, NULL, NULL))
		log_warn("member", "%s: %s is not told that we are here",
			 member_name(p->m), who->fqdn);
	return 0;
}
