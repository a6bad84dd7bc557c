/* SPDX-License-Identifier: MIT */
/*
 * tell - members show each other what the server has signed for them (witness.c)
 *
 * Theory of operation
 *
 * Each new epoch's seal goes to one other member, drawn by chance, as an item `seal`,
 * some seconds later, so that who is still being told by the server is. Who of a group
 * is told another log than the rest is found soon: whomever it tells is of the others, and
 * the others tell it. The item before is taken back, if nobody has fetched it: nothing
 * gathers for who is away.
 *
 * Who shows an older seal than ours, or one of another past, is shown ours, once in
 * ANSWER_S: so one that the server tells nothing hears of it, too.
 */
#include <string.h>

#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "broker/member/tell.h"
#include "common/log.h"

#define TELL_MS	       1000 /* and by chance up to */
#define TELL_SPREAD_MS 3000 /* so much more */
#define ANSWER_S       60

static void on_sent(void *arg, int err, const json_t *answer)
{
	struct part *p = arg;

	p->shown = err ? 0 : json_integer_value(json_object_get(answer, "id"));
}

/* what nobody has fetched is worth nothing beside the new one */
static void take_back(struct part *p)
{
	if (p->shown && postcall_ask(p->node->post,
				     json_pack("{s:s, s:I}", "cmd", "cancel",
					       "id", (json_int_t)p->shown),
				     NULL, NULL))
		log_debug("member", "a seal stays until it ends");
	p->shown = 0;
}

static void show(struct part *p, const struct group_member *who)
{
	char text[NTMC_BASE64URL_LEN(GROUP_SEAL_LEN) + 3];
	const uint8_t *seal = member_seal(p->m);

	if (!seal || p->over)
		return;
	take_back(p);
	ntmc_base64url_encode(seal, GROUP_SEAL_LEN, text);
	if (postcall_ask(p->node->post,
			 json_pack("{s:s, s:[s], s:s, s:s, s:s}", "cmd", "send",
				   "to", who->fqdn, "application",
				   PAPERS_APPLICATION, "service", "seal",
				   "text", text),
			 on_sent, p))
		log_debug("member", "no seal for %s now", who->fqdn);
}

void tell_due(void *arg)
{
	struct part *p = arg;
	const struct group *g = member_group(p->m);
	const struct group_member *who;
	size_t n = group_size(g);
	uint32_t r;

	if (n < 2 || member_state(p->m) != MEMBER_JOINED)
		return;
	ntmc_random(NULL, &r, sizeof(r));
	who = group_at(g, r % (n - 1));
	if (who->index == member_index(p->m))
		who = group_at(g, n - 1);
	show(p, who);
}

void tell_soon(struct part *p)
{
	uint32_t r;

	ntmc_random(NULL, &r, sizeof(r));
	if (!loop_timer_armed(p->tell))
		loop_timer_arm(p->tell, LOOP_MS(TELL_MS + r % TELL_SPREAD_MS));
}

int tell_take(struct papers *all, const char *from, const uint8_t *b,
	      size_t len)
{
	struct node *n = papers_node(all);
	struct part *p = len == GROUP_SEAL_LEN ? part_by_id(n, b) : NULL;
	const struct group_member *who =
		p && !p->over ? papers_mate(p, from) : NULL;
	uint64_t now = loop_now_exact(n->loop);
	int r;

	if (!who)
		return -NTM_ENOTFOUND;
	r = member_told(p->m, b, len, who->index);
	if (r != -NTM_ESTATE && r != -NTM_EFORK)
		return r == -NTM_EAGAIN ? 0 : r;
	if (p->answered && now - p->answered < LOOP_S(ANSWER_S) &&
	    p->answered_index == who->index)
		return 0;
	p->answered = now;
	p->answered_index = who->index;
	show(p, who);
	return 0;
}
