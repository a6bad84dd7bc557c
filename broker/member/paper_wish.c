/* SPDX-License-Identifier: MIT */
/* paper_wish - what the person wants of invitations: to invite, to accept, to decline */
#include "broker/member/papers_impl.h"

#include <stdio.h>
#include <string.h>

#include <utlist.h>

/* what was declined, of that device for that group, says nothing any more */
static void refused_drop(struct papers *all, const struct paper *like)
{
	struct paper *p, *tmp;

	DL_FOREACH_SAFE (all->list, p, tmp)
		if (p->state == PAPER_REFUSED &&
		    !memcmp(p->i.id, like->i.id, GROUP_ID_LEN) &&
		    !strcmp(p->i.invitee, like->i.invitee))
			paper_drop(p);
}

int papers_invite(struct papers *all, struct part *part, const char *name,
		  const uint8_t key[static NTMC_KEY_LEN], uint8_t rights)
{
	struct node *n = all->node;
	const struct group *g = member_group(part->m);
	struct paper *p, like = {.state = PAPER_ASKED};
	const uint8_t *server_key;
	unsigned int asked = 0;
	int r;

	if (group_find_key(g, key))
		return -NTM_EEXISTS;
	DL_FOREACH (all->list, p) {
		if (p->state != PAPER_ASKED && p->state != PAPER_ACCEPTED)
			continue;
		asked++;
		if (!memcmp(p->i.id, group_id(g), GROUP_ID_LEN) &&
		    !memcmp(p->i.invitee_key, key, NTMC_KEY_LEN))
			return -NTM_EEXISTS;
	}
	if (asked >= PAPERS_ASKED_MAX)
		return -NTM_ELIMIT;
	memcpy(like.i.id, group_id(g), GROUP_ID_LEN);
	strcpy(like.i.name, member_name(part->m));
	snprintf(like.i.server, sizeof(like.i.server), "%s",
		 group_server(g, &server_key));
	memcpy(like.i.server_key, server_key, NTMC_KEY_LEN);
	r = server_ways(part->server, like.i.ways);
	if (r)
		return r;
	strcpy(like.i.inviter, n->who.fqdn);
	memcpy(like.i.inviter_key, n->who.id->ed_pub, NTMC_KEY_LEN);
	snprintf(like.i.invitee, sizeof(like.i.invitee), "%s", name);
	memcpy(like.i.invitee_key, key, NTMC_KEY_LEN);
	like.i.rights = rights;
	like.i.expires = node_now(n) + GROUP_INVITE_LIFE_S - 3600;
	ntmc_random(NULL, like.i.token, sizeof(like.i.token));
	r = group_invite_make(n->who.id, &like.i, like.bytes, &like.len);
	if (r)
		return r;
	refused_drop(all, &like);
	return papers_add(all, &like);
}

int papers_find(struct papers *all, const char *text, struct paper **out)
{
	struct paper *p, *found = NULL;

	DL_FOREACH (all->list, p) {
		if (p->state != PAPER_INVITED ||
		    (strcmp(p->i.name, text) && strcmp(p->i.inviter, text) &&
		     strcmp(part_id_text(p->i.id), text)))
			continue;
		if (found && memcmp(found->i.id, p->i.id, GROUP_ID_LEN))
			return -NTM_EEXISTS;
		found = p; /* the newest of one group */
	}
	*out = found;
	return found ? 0 : -NTM_ENOTFOUND;
}

/* NAME.group.DOMAIN means one group on a device */
static bool is_taken(struct papers *all, const struct paper *p)
{
	struct paper *other;
	struct part *part;

	DL_FOREACH (all->node->parts, part)
		if (!part->over && !strcmp(member_name(part->m), p->i.name) &&
		    !strcmp(server_name(part->server), p->i.server))
			return true;
	DL_FOREACH (all->list, other)
		if (other != p &&
		    (other->state == PAPER_AGREED ||
		     other->state == PAPER_WELCOMED) &&
		    !strcmp(other->i.name, p->i.name) &&
		    !strcmp(other->i.server, p->i.server))
			return true;
	return false;
}

/* What the person says stands when it is on the disk */
static int answer(struct papers *all, struct paper *p, enum paper_state state)
{
	int r;

	p->state = state;
	r = paper_store(p);
	if (r)
		p->state = PAPER_INVITED;
	else
		papers_work(all);
	return r;
}

int papers_accept(struct papers *all, struct paper *p)
{
	if (is_taken(all, p))
		return -NTM_EEXISTS;
	if (p->i.expires < node_now(all->node))
		return -NTM_EEXPIRED;
	ntmc_x25519_keygen(NULL, &p->prekey.priv, p->prekey.pub);
	p->handed = false;
	return answer(all, p, PAPER_AGREED);
}

int papers_decline(struct papers *all, struct paper *p)
{
	return answer(all, p, PAPER_DECLINED);
}
