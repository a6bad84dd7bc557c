/* SPDX-License-Identifier: MIT */
/*
 * tell - members show each other what the server has signed for them (witness.c)
 *
 * Theory of operation
 *
 * Each new epoch's seal goes to one other member, as an item `seal`, some seconds later,
 * so that who is still being told by the server is. To whom, the epoch says: the next in
 * order of index, or the one behind it, and so on. So each member is shown one, and who
 * alone is told another log than the rest hears of it at once.
 *
 * Where several are told another log, or are away, the one who should show may be of
 * them, and who is told nothing has no new epoch to show. So each goes on by itself: every
 * AGAIN_MS it shows what it has to the next of the others, in a round of its own that no
 * server can turn back. Who shows an old seal is answered; so each hears of it after at
 * most as many times as there are others who do not know or cannot answer, and one more.
 * The item before is taken back, if nobody has fetched it: nothing gathers for who is away.
 *
 * Who shows an older seal than ours, or one of another past, is shown ours, each once in
 * ANSWER_S (recent.h): so one that the server tells nothing hears of it, too.
 */
#include <string.h>

#include "broker/member/alive.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "broker/member/tell.h"
#include "common/log.h"

#define TELL_MS		1000 /* and by chance up to */
#define TELL_SPREAD_MS	3000 /* so much more */
#define AGAIN_MS	600000
#define AGAIN_SPREAD_MS 60000 /* or by chance up to so much earlier */
#define ANSWER_S	60

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

static void show_round(struct part *p, uint64_t round)
{
	const struct group *g = member_group(p->m);
	size_t mine = 0, n;

	if (p->over || member_state(p->m) != MEMBER_JOINED)
		return;
	n = group_size(g);
	while (mine < n && group_at(g, mine)->index != member_index(p->m))
		mine++;
	if (n >= 2 && mine < n)
		show(p, group_at(g, member_whom(mine, n, round)));
}

void tell_due(void *arg)
{
	struct part *p = arg;

	show_round(p, group_epoch(member_group(p->m)));
}

static void again(struct part *p)
{
	uint32_t r;

	ntmc_random(NULL, &r, sizeof(r));
	loop_timer_arm(p->retell, LOOP_MS(AGAIN_MS - AGAIN_SPREAD_MS +
					  r % AGAIN_SPREAD_MS));
}

void tell_again(void *arg)
{
	struct part *p = arg;

	show_round(p, p->round);
	if (member_state(p->m) == MEMBER_JOINED) /* nobody's turn is left out */
		p->round++;
	again(p);
}

void tell_soon(struct part *p)
{
	uint32_t r;

	ntmc_random(NULL, &r, sizeof(r));
	if (!loop_timer_armed(p->tell))
		loop_timer_arm(p->tell, LOOP_MS(TELL_MS + r % TELL_SPREAD_MS));
	if (loop_timer_armed(p->retell))
		return;
	/* who starts often does not begin with the same one each time */
	ntmc_random(NULL, &r, sizeof(r));
	p->round = r;
	again(p);
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
	alive_sign(p, who);
	r = member_told(p->m, b, len, who->index);
	if (r != -NTM_ESTATE && r != -NTM_EFORK)
		return r == -NTM_EAGAIN ? 0 : r;
	if (recent_take(&p->corrected, who->index, now, LOOP_S(ANSWER_S)))
		show(p, who);
	return 0;
}
