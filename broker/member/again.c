/* SPDX-License-Identifier: MIT */
/*
 * again - welcomes for those who are members already (docs/groups.md, W17)
 *
 * Whose state is too old to open anything asks by the server for RN1. We give it to the
 * identity that our own log has at that index, and to nobody else: so ntm-post is asked
 * first whether the name has that key. It comes as an item, as to who joins.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define LOOK_MS	  300
#define LOOKS_MAX 60
#define GIVEN_MAX                                                              \
	64 /* at a time: a server that makes wishes up costs no more */

struct giving {
	struct node *node;
	uint8_t id[GROUP_ID_LEN];
	uint32_t index;
	unsigned int looks;
	struct loop_timer *again;
};

static void giving_free(struct giving *v)
{
	v->node->giving--;
	loop_timer_free(v->again);
	free(v);
}

/* Return: is one of @devices @who, with its key? */
static bool is_there(const json_t *devices, const struct group_member *who)
{
	uint8_t key[NTMC_KEY_LEN];
	const char *name, *text;
	size_t i;
	json_t *j;

	json_array_foreach(devices, i, j)
	{
		name = json_string_value(json_object_get(j, "name"));
		text = json_string_value(json_object_get(j, "key"));
		if (name && text && !strcmp(name, who->fqdn) &&
		    !ntmc_base64url_decode(text, key, sizeof(key)) &&
		    !memcmp(key, who->ed_pub, sizeof(key)))
			return true;
	}
	return false;
}

static void give(struct giving *v, struct part *p,
		 const struct group_member *who)
{
	char text[NTMC_BASE64URL_LEN(GROUP_WELCOME_MAX) + 3];
	uint8_t b[GROUP_WELCOME_MAX];
	size_t len = member_welcome(p->m, b);

	if (!len)
		return;
	ntmc_base64url_encode(b, len, text);
	if (postcall_ask(v->node->post,
			 json_pack("{s:s, s:[s], s:s, s:s, s:s}", "cmd", "send",
				   "to", who->fqdn, "application",
				   PAPERS_APPLICATION, "service", "welcome",
				   "text", text),
			 NULL, NULL))
		log_warn("member", "no welcome for %s now", who->fqdn);
	else
		log_info("member", "%s: a welcome again for %s",
			 member_name(p->m), who->fqdn);
	ntmc_wipe(b, sizeof(b));
	ntmc_wipe(text, sizeof(text));
}

static void on_who(void *arg, int err, const json_t *answer)
{
	struct giving *v = arg;
	struct part *p = part_by_id(v->node, v->id);
	const struct group_member *who =
		p ? group_find(member_group(p->m), v->index) : NULL;

	if (err == -NTM_EAGAIN && ++v->looks < LOOKS_MAX) {
		loop_timer_arm(v->again, LOOP_MS(LOOK_MS));
		return;
	}
	/* it asks again, and then another member may be asked */
	if (!err && who && is_there(json_object_get(answer, "devices"), who))
		give(v, p, who);
	giving_free(v);
}

static void look(void *arg)
{
	struct giving *v = arg;
	struct part *p = part_by_id(v->node, v->id);
	const struct group_member *who =
		p ? group_find(member_group(p->m), v->index) : NULL;

	if (!who || postcall_ask(v->node->post,
				 json_pack("{s:s, s:s}", "cmd", "who", "name",
					   who->fqdn),
				 on_who, v))
		giving_free(v);
}

void papers_give(struct papers *all, struct part *part, uint32_t index)
{
	struct node *n = papers_node(all);
	struct giving *v = n->giving < GIVEN_MAX ? calloc(1, sizeof(*v)) : NULL;

	if (!v)
		return; /* it asks again */
	v->node = n;
	memcpy(v->id, member_id(part->m), sizeof(v->id));
	v->index = index;
	if (loop_timer_new(n->loop, look, v, &v->again)) {
		free(v);
		return;
	}
	n->giving++;
	look(v);
}

/* --- the other side ------------------------------------------------------------------ */

const struct group_member *papers_mate(const struct part *p, const char *name)
{
	const struct group *g = member_group(p->m);
	size_t i, n = group_size(g);

	for (i = 0; i < n; i++)
		if (!strcmp(group_at(g, i)->fqdn, name))
			return group_at(g, i);
	return NULL;
}

bool papers_is_mate(struct papers *all, const char *from)
{
	struct part *p;

	for (p = papers_node(all)->parts; p; p = p->next)
		if (papers_mate(p, from))
			return true;
	return false;
}

int papers_again(struct papers *all, const char *from, const uint8_t *b,
		 size_t len)
{
	struct node *n = papers_node(all);
	uint8_t hash[NTMC_HASH_LEN], fp[NTMC_FP_LEN];
	const struct group_member *who;
	struct group_secret s;
	struct part *p;
	bool verified;
	int r = group_welcome_get(b, len, &s, hash);

	if (r)
		return r;
	p = part_by_id(n, s.id);
	group_secret_clear(&s);
	if (!p)
		return -NTM_ENOTFOUND;
	who = papers_mate(p, from);
	if (!who)
		return -NTM_EPERM;
	ntmc_fingerprint(who->ed_pub, fp);
	if (who_pinned(&n->who, from, fp, &verified) == -NTM_EPIN)
		return -NTM_EPERM;
	return member_rejoin(p->m, b, len);
}
