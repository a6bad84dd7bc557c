/* SPDX-License-Identifier: MIT */
/*
 * papers - invitations on their way, of either side
 *
 * Theory of operation
 *
 * inviter:  ASKED --acceptance--> ACCEPTED --entry, then welcome--> gone
 *           ACCEPTED --entry, and removed before the welcome--> gone
 * invitee:  INVITED --person--> AGREED --welcome--> WELCOMED --log--> gone
 *           INVITED --person--> DECLINED --ntm-post has it--> gone; inviter: REFUSED
 *
 * A state is in the store before anything is said. What is said travels as an item whose
 * name is the invite's token, so ntm-post knows it again when we died in between. That a
 * device was added shows in the log by the token: who added it and died sends the welcome
 * when it is back, with RN1 as it is then, and the invitee steps on from there.
 */
#include "broker/member/papers_impl.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/postcall.h"
#include "common/log.h"
#include "libntmcrypto/wire.h"

#define AGAIN_S	   5
#define LATE_S	   86400 /* papers go so long after their invite has ended */
#define VERSION	   2 /* 1 is without what the inviter has of an acceptance */
#define TOKEN_TEXT (NTMC_BASE64URL_LEN(GROUP_TOKEN_LEN) + 3)

/* --- the store ---------------------------------------------------------------------- */

int paper_store(struct paper *p)
{
	uint8_t b[MEMBERSTORE_PAPER_MAX];
	struct wire_out w = wire_out(b, sizeof(b));
	int r;

	wire_put_number(&w, VERSION, 1);
	wire_put_number(&w, p->state, 1);
	wire_put_number(&w, p->handed, 1);
	wire_put_number(&w, p->len, 2);
	wire_put(&w, p->bytes, p->len);
	wire_put(&w, p->prekey.priv.b, NTMC_KEY_LEN);
	wire_put(&w, p->prekey.pub, NTMC_KEY_LEN);
	wire_put_number(&w, p->welcome_len, 2);
	wire_put(&w, p->welcome, p->welcome_len);
	wire_put(&w, p->accepted, sizeof(p->accepted));
	r = memberstore_paper_put(p->all->node->store, p->i.token, b, w.len);
	ntmc_wipe(b, sizeof(b));
	return r;
}

static void paper_load(void *arg, const uint8_t *token, const uint8_t *body,
		       size_t len)
{
	struct papers *all = arg;
	struct paper *p = calloc(1, sizeof(*p));
	struct wire_in w = wire_in(body, len);
	unsigned int version;

	if (!p)
		return;
	p->all = all;
	version = (unsigned int)wire_get_number(&w, 1);
	p->state = (enum paper_state)wire_get_number(&w, 1);
	p->handed = wire_get_number(&w, 1);
	p->len = (size_t)wire_get_number(&w, 2);
	if (p->len <= sizeof(p->bytes))
		wire_get(&w, p->bytes, p->len);
	wire_get(&w, p->prekey.priv.b, NTMC_KEY_LEN);
	wire_get(&w, p->prekey.pub, NTMC_KEY_LEN);
	p->welcome_len = (size_t)wire_get_number(&w, 2);
	if (p->welcome_len <= sizeof(p->welcome))
		wire_get(&w, p->welcome, p->welcome_len);
	if (version == VERSION)
		wire_get(&w, p->accepted, sizeof(p->accepted));
	if (!wire_ends(&w) || version < 1 || version > VERSION ||
	    group_invite_open(p->bytes, p->len, &p->i) ||
	    memcmp(p->i.token, token, GROUP_TOKEN_LEN)) {
		log_err("member", "an invitation in the store makes no sense");
		ntmc_wipe(p, sizeof(*p));
		free(p);
		return;
	}
	DL_APPEND(all->list, p);
	all->n++;
}

void paper_drop(struct paper *p)
{
	struct papers *all = p->all;

	if (memberstore_paper_drop(all->node->store, p->i.token))
		log_err("member", "the store cannot be written");
	node_wipe_soon(all->node);
	postcall_forget(all->node->post, p);
	if (p->sending)
		all->sending--;
	DL_DELETE(all->list, p);
	all->n--;
	ntmc_wipe(p, sizeof(*p));
	free(p);
}

int papers_add(struct papers *all, const struct paper *like)
{
	struct paper *p = all->n < PAPERS_MAX ? malloc(sizeof(*p)) : NULL;
	int r;

	if (!p)
		return all->n < PAPERS_MAX ? -NTM_ENOMEM : -NTM_ELIMIT;
	*p = *like;
	p->all = all;
	r = paper_store(p);
	if (r) {
		ntmc_wipe(p, sizeof(*p));
		free(p);
		return r;
	}
	DL_APPEND(all->list, p);
	all->n++;
	asking_changed(all->node->asks);
	return 0;
}

/* --- items that leave ------------------------------------------------------------------ */

void papers_later(struct papers *all)
{
	if (!loop_timer_armed(all->later))
		loop_timer_arm(all->later, LOOP_S(AGAIN_S));
}

static void on_handed(void *arg, int err, const json_t *answer)
{
	struct paper *p = arg;
	struct papers *all = p->all;

	(void)answer;
	p->sending = false;
	all->sending--;
	if (err && err != -NTM_EEXISTS) {
		log_info("member", "an item of a group is not sent yet: %s",
			 err_text(err));
		papers_later(all);
		return;
	}
	/* the welcome; or that we do not come */
	if (p->state == PAPER_ACCEPTED || p->state == PAPER_DECLINED) {
		paper_drop(p);
		asking_changed(all->node->asks);
		return;
	}
	p->handed = true;
	if (paper_store(p))
		papers_later(all);
}

static void hand(struct paper *p, const char *service, const char *to,
		 const void *bytes, size_t len)
{
	struct papers *all = p->all;
	char *text = malloc(NTMC_BASE64URL_LEN(len) + 3), item[TOKEN_TEXT];
	json_t *j = NULL;

	if (text) {
		ntmc_base64url_encode(bytes, len, text);
		ntmc_base64url_encode(p->i.token, GROUP_TOKEN_LEN, item);
		j = json_pack("{s:s, s:[s], s:s, s:s, s:s, s:s}", "cmd", "send",
			      "to", to, "application", PAPERS_APPLICATION,
			      "service", service, "item", item, "text", text);
		ntmc_wipe(text, strlen(text));
	}
	free(text);
	if (postcall_ask(all->node->post, j, on_handed, p)) {
		papers_later(all);
		return;
	}
	p->sending = true;
	all->sending++;
}

static void hand_acceptance(struct paper *p)
{
	struct ntmc_identity *id = p->all->node->who.id;
	uint8_t b[GROUP_ACCEPT_LEN];
	struct group_accept a;

	memcpy(a.id, p->i.id, sizeof(a.id));
	memcpy(a.token, p->i.token, sizeof(a.token));
	memcpy(a.prekey.pub, p->prekey.pub, sizeof(a.prekey.pub));
	a.prekey.serial = 1;
	group_prekey_sign(id, p->i.id, &a.prekey);
	group_accept_make(id, &a, b);
	hand(p, "accept", p->i.inviter, b, sizeof(b));
}

static void hand_welcome(struct paper *p, struct part *part)
{
	uint8_t b[GROUP_WELCOME_MAX];
	size_t len = member_welcome(part->m, b);

	if (len)
		hand(p, "welcome", p->i.invitee, b, len);
	ntmc_wipe(b, sizeof(b));
}

/* --- entries --------------------------------------------------------------------------- */

static const struct group_member *added(const struct part *part,
					const struct paper *p)
{
	const struct group *g = member_group(part->m);
	size_t i, n = group_size(g);

	for (i = 0; i < n; i++)
		if (!memcmp(group_at(g, i)->token, p->i.token, GROUP_TOKEN_LEN))
			return group_at(g, i);
	return NULL;
}

/* its entry is in the log: the device gets RN1; unless it has gone from the group since,
 * as an invitation makes a member once. Who is a member by another one, or whose name is an
 * old device's that is, is in no entry: it would be refused with all who are in it */
static void welcome(struct paper *p, struct part *part)
{
	const struct group *g = member_group(part->m);

	if (added(part, p)) {
		hand_welcome(p, part);
	} else if (group_find_key(g, p->i.invitee_key) ||
		   papers_mate(part, p->i.invitee)) {
		log_warn("member", "%s: %s is not added: it is a member%s",
			 member_name(part->m), p->i.invitee,
			 group_find_key(g, p->i.invitee_key)
				 ? " already"
				 : " with another key; remove that first");
		paper_drop(p);
		asking_changed(part->node->asks);
	} else if (group_token_used(g, p->i.token) ||
		   node_now(p->all->node) > p->i.expires + LATE_S) {
		log_info("member", "%s: the invitation of %s is over",
			 member_name(part->m), p->i.invitee);
		paper_drop(p);
		asking_changed(part->node->asks);
	}
}

bool paper_is_open(const struct paper *p)
{
	struct part *part = part_by_id(p->all->node, p->i.id);

	return p->state == PAPER_ASKED ||
	       (p->state == PAPER_ACCEPTED && !p->sending && !p->adding &&
		!(part && added(part, p)));
}

static bool may_add(const struct paper *p, const struct part *part, size_t with)
{
	return p->state == PAPER_ACCEPTED && !p->sending &&
	       !memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN) &&
	       !added(part, p) && with < GROUP_JOIN_MAX && !(p->alone && with);
}

/* all that were accepted, in one entry */
static void add_members(struct papers *all, struct part *part)
{
	struct group_joiner j[GROUP_JOIN_MAX];
	struct group_change c = {.kind = GROUP_ADD, .joiners = j};
	struct paper *p;
	int r;

	DL_FOREACH (all->list, p) {
		struct group_joiner *to = &j[c.n_joiners];

		if (!may_add(p, part, c.n_joiners))
			continue;
		*to = (struct group_joiner){.rights = p->i.rights,
					    .fqdn = p->i.invitee};
		memcpy(to->token, p->i.token, sizeof(to->token));
		memcpy(to->ed_pub, p->i.invitee_key, sizeof(to->ed_pub));
		memcpy(to->prekey, p->accepted, sizeof(to->prekey));
		p->adding = true;
		c.n_joiners++;
		if (p->alone)
			break;
	}
	if (!c.n_joiners)
		return;
	r = part_wish(part, &c, NULL);
	if (r)
		log_debug("member", "no entry yet: %s", err_text(r));
	if (r && r != -NTM_EAGAIN)
		papers_later(all);
}

void papers_added(struct papers *all, struct part *part, int code)
{
	struct paper *p, *tmp;
	size_t n = 0;

	DL_FOREACH (all->list, p)
		n += p->adding &&
		     !memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN);
	DL_FOREACH_SAFE (all->list, p, tmp) {
		if (!p->adding ||
		    memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN))
			continue;
		p->adding = false;
		if (!code || code == -NTM_EAGAIN || code == -NTM_ECLOSED ||
		    code == -NTM_ESTATE || code == -NTM_ERATE)
			continue;
		if (n > 1) { /* one of them may be all that is wrong */
			p->alone = true;
			continue;
		}
		log_warn("member", "%s cannot be added: %s", p->i.invitee,
			 err_text(code));
		paper_drop(p);
	}
	if (code)
		papers_later(all);
}

/* --- what is due ------------------------------------------------------------------------ */

static void step(struct papers *all, struct paper *p)
{
	struct part *part = part_by_id(all->node, p->i.id), *made;
	int r;

	if (p->sending)
		return;
	switch (p->state) {
	case PAPER_ASKED:
		if (!p->handed)
			hand(p, "invite", p->i.invitee, p->bytes, p->len);
		break;
	case PAPER_AGREED:
		if (!p->handed)
			hand_acceptance(p);
		break;
	case PAPER_ACCEPTED:
		if (!part)
			paper_drop(p); /* we are not in that group any more */
		else if (member_state(part->m) == MEMBER_JOINED)
			welcome(p, part);
		break;
	case PAPER_WELCOMED:
		if (part)
			break;
		r = part_join(all->node, p->welcome, p->welcome_len, &p->prekey,
			      &p->i, &made);
		if (r)
			log_warn("member", "%s cannot be joined: %s", p->i.name,
				 err_text(r));
		break;
	case PAPER_DECLINED:
		hand(p, "decline", p->i.inviter, p->i.token, GROUP_TOKEN_LEN);
		break;
	case PAPER_INVITED:
	case PAPER_REFUSED:
		break;
	}
}

/* Return: false: it waits no more. Its engine tells us when that has ended, too */
static bool is_in_time(struct papers *all, struct paper *p, int64_t now)
{
	struct part *part;

	if (p->state == PAPER_ACCEPTED || now <= p->i.expires + LATE_S)
		return true;
	part = part_by_id(all->node, p->i.id);
	if (p->state != PAPER_WELCOMED || !part ||
	    member_index(part->m) != GROUP_SERVER)
		return false;
	return part->over || !member_leave(part->m, true);
}

void papers_work(struct papers *all)
{
	int64_t now = node_now(all->node);
	struct paper *p, *tmp;
	struct part *part, *next;

	if (!all || all->node->ending)
		return;
	DL_FOREACH_SAFE (all->list, p, tmp) {
		if (is_in_time(all, p, now))
			step(all, p);
		else
			paper_drop(p);
	}
	DL_FOREACH_SAFE (all->node->parts, part, next)
		if (!part->over && member_state(part->m) == MEMBER_JOINED &&
		    !part->waits && !part->adding)
			add_members(all, part);
	node_check_idle(all->node);
}

static void on_later(void *arg)
{
	papers_work(arg);
}

void papers_left(struct papers *all, const struct part *part)
{
	struct paper *p, *tmp;

	DL_FOREACH_SAFE (all->list, p, tmp)
		if (p->state == PAPER_WELCOMED &&
		    !memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN))
			paper_drop(p);
}

void papers_joined(struct papers *all, struct part *part)
{
	struct paper *p, *tmp;

	papers_left(all, part);
	/* another inviter's, for the same group, accepted or not */
	DL_FOREACH_SAFE (all->list, p, tmp)
		if ((p->state == PAPER_AGREED || p->state == PAPER_INVITED) &&
		    !memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN))
			paper_drop(p);
	/* not in the midst of the news */
	loop_timer_arm(all->later, 0);
}

/* --- life ----------------------------------------------------------------------------------- */

struct node *papers_node(struct papers *all)
{
	return all->node;
}

struct paper *papers_first(struct papers *all)
{
	return all->list;
}

struct paper *papers_by_token(struct papers *all, const uint8_t *token)
{
	struct paper *p;

	DL_FOREACH (all->list, p)
		if (!memcmp(p->i.token, token, GROUP_TOKEN_LEN))
			return p;
	return NULL;
}

bool papers_busy(const struct papers *all)
{
	return all->fetching || all->sending;
}

bool papers_expect(const struct papers *all, const uint8_t *group)
{
	const struct paper *p;

	DL_FOREACH (all->list, p)
		if ((p->state == PAPER_AGREED || p->state == PAPER_WELCOMED) &&
		    !memcmp(p->i.id, group, GROUP_ID_LEN))
			return true;
	return false;
}

/* an invitation that the person has not answered waits without us */
bool papers_wait(const struct papers *all)
{
	struct paper *p;

	DL_FOREACH (all->list, p)
		if (p->state != PAPER_INVITED && p->state != PAPER_REFUSED)
			return true;
	return false;
}

int papers_open(struct node *n, struct papers **out)
{
	struct papers *all = calloc(1, sizeof(*all));
	int r = all ? 0 : -NTM_ENOMEM;

	if (r)
		return r;
	all->node = n;
	r = loop_timer_new(n->loop, on_later, all, &all->later);
	if (!r)
		r = memberstore_papers(n->store, paper_load, all);
	if (r)
		papers_close(all);
	else
		*out = all;
	return r;
}

void papers_close(struct papers *all)
{
	struct paper *p, *tmp;

	if (!all)
		return;
	DL_FOREACH_SAFE (all->list, p, tmp) {
		DL_DELETE(all->list, p);
		ntmc_wipe(p, sizeof(*p));
		free(p);
	}
	loop_timer_free(all->later);
	free(all);
}
