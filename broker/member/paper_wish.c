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

/* of the same name by its old key: the device is another one now. What is on its way into
 * the log stays. Return: how many of ours are open; -NTM_EEXISTS: it is invited already */
static int open_ones(struct papers *all, const struct part *part,
		     const char *name, const uint8_t *key)
{
	struct paper *p, *tmp;
	int asked = 0;

	DL_FOREACH_SAFE (all->list, p, tmp) {
		bool same = !memcmp(p->i.id, member_id(part->m), GROUP_ID_LEN);

		if (p->state != PAPER_ASKED && p->state != PAPER_ACCEPTED)
			continue;
		if (same && !memcmp(p->i.invitee_key, key, NTMC_KEY_LEN))
			return -NTM_EEXISTS;
		if (same && !p->adding && !strcmp(p->i.invitee, name))
			paper_drop(p);
		else
			asked++;
	}
	return asked;
}

int papers_invite(struct papers *all, struct part *part, const char *name,
		  const uint8_t key[static NTMC_KEY_LEN], uint8_t rights)
{
	struct node *n = all->node;
	const struct group *g = member_group(part->m);
	struct paper like = {.state = PAPER_ASKED};
	const struct group_member *me;
	const uint8_t *server_key;
	int r;

	me = group_find(g, member_index(part->m));
	/* the group would not take the entry, days later, and nobody say so */
	if (!me || !group_may_add(g, me, rights))
		return -NTM_EPERM;
	if (group_find_key(g, key))
		return -NTM_EEXISTS;
	if (papers_mate(part, name))
		return -NTM_EPIN; /* no entry has a name twice */
	r = open_ones(all, part, name, key);
	if (r < 0)
		return r;
	if (r >= PAPERS_ASKED_MAX)
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

int papers_find(struct papers *all, enum paper_state state, const char *text,
		struct paper **out)
{
	struct paper *p, *found = NULL;

	DL_FOREACH (all->list, p) {
		if (p->state != state ||
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

/* NAME.group.DOMAIN means one group on a device. An invitation of another member to the same
 * one is no other group: the first inviter may be gone */
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
		    (other->state == PAPER_WELCOMED ||
		     (other->state == PAPER_AGREED &&
		      memcmp(other->i.id, p->i.id, GROUP_ID_LEN))) &&
		    !strcmp(other->i.name, p->i.name) &&
		    !strcmp(other->i.server, p->i.server))
			return true;
	return false;
}

/* What the person says stands when it is on the disk */
static int answer(struct papers *all, struct paper *p, enum paper_state state)
{
	enum paper_state before = p->state;
	int r;

	p->state = state;
	p->handed = false;
	r = paper_store(p);
	if (r)
		p->state = before;
	else
		papers_work(all);
	return r;
}

static int decline(struct papers *all, struct paper *p)
{
	/* its acceptance is on its way to ntm-post: the end of that is not ours */
	return p->sending ? -NTM_EAGAIN : answer(all, p, PAPER_DECLINED);
}

/* another one that was accepted, for the same group; @inviter: of that one, NULL: of any */
static struct paper *agreed(struct papers *all, const struct paper *p,
			    const char *inviter)
{
	struct paper *other;

	DL_FOREACH (all->list, other)
		if (other != p && other->state == PAPER_AGREED &&
		    !memcmp(other->i.id, p->i.id, GROUP_ID_LEN) &&
		    (!inviter || !strcmp(other->i.inviter, inviter)))
			return other;
	return NULL;
}

/* Whichever inviter adds us, with which acceptance: the GMS has the prekey of that, so all
 * have the same */
int papers_accept(struct papers *all, struct paper *p)
{
	const struct paper *twin = agreed(all, p, NULL);
	struct paper *before;
	int r;

	if (is_taken(all, p))
		return -NTM_EEXISTS;
	if (p->i.expires < node_now(all->node))
		return -NTM_EEXPIRED;
	if (twin)
		p->prekey = twin->prekey;
	else
		ntmc_x25519_keygen(NULL, &p->prekey.priv, p->prekey.pub);
	p->handed = false;
	r = answer(all, p, PAPER_AGREED);
	before = r ? NULL : agreed(all, p, p->i.inviter);
	if (before)
		paper_drop(before);
	return r;
}

int papers_decline(struct papers *all, struct paper *p)
{
	struct paper *other;
	int r = 0;

	/* all that were accepted, or one of them would bring it in */
	while (!r && p->state == PAPER_AGREED && (other = agreed(all, p, NULL)))
		r = decline(all, other);
	return r ? r : decline(all, p);
}
