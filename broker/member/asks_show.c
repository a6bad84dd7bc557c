/* SPDX-License-Identifier: MIT */
/* asks_show - groups, members, invitations and logs as a person or program is shown them */
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "common/grouprules.h"
#include "libntmcrypto/wire.h"

static json_t *saw_json(const struct part *p)
{
	unsigned int i = p->n_saw > NODE_SAW_MAX ? p->n_saw - NODE_SAW_MAX : 0;
	json_t *list = json_array(), *j;

	for (; i < p->n_saw; i++) {
		const struct part_saw *s = &p->saw[i % NODE_SAW_MAX];
		const struct group_member *who =
			group_find(member_group(p->m), s->who);

		j = json_pack("{s:s, s:I, s:I}", "text",
			      member_saw_text(s->what), "epoch",
			      (json_int_t)s->epoch, "at", (json_int_t)s->at);
		if (s->code)
			json_object_set_new(j, "error",
					    json_string(err_name(s->code)));
		if (who)
			json_object_set_new(j, "member",
					    json_string(who->fqdn));
		json_array_append_new(list, j);
	}
	return list;
}

static size_t confirmed(const struct part *p)
{
	size_t i, k = 0, n = group_size(member_group(p->m));

	for (i = 0; i < n; i++)
		k += member_confirmed(p->m, i);
	return k;
}

/* what has a time: none of it where there is no key */
static void times_show(const struct part *p, json_t *j)
{
	uint64_t now = loop_now_exact(p->node->loop);

	if (p->valid_until > now)
		json_object_set_new(
			j, "valid_s",
			json_integer((json_int_t)((p->valid_until - now) /
						  LOOP_S(1))));
	if (!p->renewal_at)
		return;
	json_object_set_new(
		j, "renewal_s",
		json_integer(p->renewal_at > now
				     ? (json_int_t)((p->renewal_at - now) /
						    LOOP_S(1))
				     : 0));
	json_object_set_new(j, "refresh_s",
			    json_integer((json_int_t)member_refresh_s(p->m)));
}

json_t *show_group(struct part *p, bool brief)
{
	const struct group *g = member_group(p->m);
	json_t *j;

	j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:b}", "name",
		      member_name(p->m), "id", part_id_text(member_id(p->m)),
		      "state", member_state_text(member_state(p->m)), "epoch",
		      (json_int_t)group_epoch(g), "members",
		      (json_int_t)group_size(g), "server",
		      server_name(p->server), "connected",
		      server_is_open(p->server));
	if (!server_is_open(p->server) && *server_trouble(p->server))
		json_object_set_new(j, "trouble",
				    json_string(server_trouble(p->server)));
	json_object_set_new(
		j, "unread",
		json_integer(chatstore_count(chat_store(p->node->chat),
					     member_id(p->m), CHAT_NEW)));
	if (brief)
		return j;
	json_object_set_new(j, "generation", json_integer(group_generation(g)));
	json_object_set_new(j, "index",
			    json_integer((json_int_t)member_index(p->m)));
	json_object_set_new(j, "confirmed",
			    json_integer((json_int_t)confirmed(p)));
	times_show(p, j);
	if (group_policy(g))
		json_object_set_new(j, "policy",
				    grouprules_json(group_policy(g)));
	json_object_set_new(j, "saw", saw_json(p));
	return j;
}

static json_t *rights_json(uint8_t rights)
{
	json_t *list = json_array();

	if (rights & GROUP_MAY_INVITE)
		json_array_append_new(list, json_string("invite"));
	if (rights & GROUP_MAY_REMOVE)
		json_array_append_new(list, json_string("remove"));
	if (rights & GROUP_ADMIN)
		json_array_append_new(list, json_string("admin"));
	return list;
}

json_t *show_members(struct part *p)
{
	const struct group *g = member_group(p->m);
	char fp[NTMC_BASE64URL_LEN(NTMC_FP_LEN) + 3];
	json_t *list = json_array();
	uint8_t hash[NTMC_FP_LEN];
	size_t i, n = group_size(g);

	for (i = 0; i < n; i++) {
		const struct group_member *m = group_at(g, i);

		ntmc_fingerprint(m->ed_pub, hash);
		ntmc_base64url_encode(hash, sizeof(hash), fp);
		json_array_append_new(
			list,
			json_pack("{s:I, s:s, s:o, s:b, s:b, s:s}", "index",
				  (json_int_t)m->index, "name", m->fqdn,
				  "rights", rights_json(m->rights), "confirmed",
				  member_confirmed(p->m, i), "self",
				  m->index == member_index(p->m), "fingerprint",
				  fp));
	}
	return list;
}

static const char *paper_text(enum paper_state s)
{
	switch (s) {
	case PAPER_ASKED:
		return "invited";
	case PAPER_ACCEPTED:
		return "accepted";
	case PAPER_INVITED:
		return "waits for you";
	case PAPER_REFUSED:
		return "declined";
	default:
		return "joining";
	}
}

json_t *show_papers(struct node *n)
{
	json_t *list = json_array();
	const struct held *h;
	struct paper *p;
	size_t i, n_held;

	for (p = papers_first(n->papers); p; p = p->next) {
		if (p->state == PAPER_DECLINED)
			continue; /* the person is done with it */
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o}",
				  "state", paper_text(p->state), "name",
				  p->i.name, "id", part_id_text(p->i.id),
				  "inviter", p->i.inviter, "invitee",
				  p->i.invitee, "server", p->i.server,
				  "expires", (json_int_t)p->i.expires, "rights",
				  rights_json(p->i.rights)));
	}
	h = papers_held(n->papers, &n_held);
	for (i = 0; i < n_held; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "state", "held",
						"inviter", h[i].from));
	return list;
}

/* --- the log --------------------------------------------------------------------------- */

static const char *const kinds[GROUP_KINDS] = {
	[GROUP_CREATE] = "create", [GROUP_ADD] = "add",
	[GROUP_REMOVE] = "remove", [GROUP_REFRESH] = "refresh",
	[GROUP_RENEW] = "renew",   [GROUP_RIGHTS] = "rights",
	[GROUP_POLICY] = "policy", [GROUP_MOVE] = "server",
};

/* whose rights, and which, at the beginning of the content */
static void rights_show(struct wire_in *w, json_t *j, json_t *list,
			const json_t *names)
{
	char number[16];
	const char *name;

	snprintf(number, sizeof(number), "%u",
		 (unsigned int)wire_get_number(w, 4));
	name = json_string_value(json_object_get(names, number));
	json_array_append_new(list, json_string(name ? name : number));
	json_object_set_new(j, "rights",
			    rights_json((uint8_t)wire_get_number(w, 1)));
}

/* who joined or left; the contents are docs/groups.md's, and have applied */
static void content_show(const struct group_entry *e, json_t *j, json_t *names)
{
	struct wire_in w = wire_in(e->content, e->content_len);
	json_t *list = json_array();
	unsigned int i, n, reason;

	if (e->kind == GROUP_ADD) {
		n = (unsigned int)wire_get_number(&w, 1);
		for (i = 0; i < n; i++) {
			const uint8_t *name;
			size_t len;
			char number[16];

			wire_take(&w, GROUP_TOKEN_LEN);
			snprintf(number, sizeof(number), "%u",
				 (unsigned int)wire_get_number(&w, 4));
			wire_take(&w, 1 + NTMC_KEY_LEN);
			len = (size_t)wire_get_number(&w, 2);
			name = wire_take(&w, len);
			if (!name)
				break;
			json_array_append_new(
				list, json_stringn((const char *)name, len));
			json_object_set_new(
				names, number,
				json_stringn((const char *)name, len));
		}
	} else if (e->kind == GROUP_REMOVE) {
		reason = (unsigned int)wire_get_number(&w, 1);
		n = reason == GROUP_LEFT ? 1
					 : (unsigned int)wire_get_number(&w, 2);
		json_object_set_new(j, "reason",
				    json_string(reason == GROUP_LEFT ? "left"
						: reason == GROUP_EVICTED
							? "evicted"
							: "removed"));
		for (i = 0; i < n; i++) {
			char number[16];
			const char *name;

			snprintf(number, sizeof(number), "%u",
				 (unsigned int)wire_get_number(&w, 4));
			name = json_string_value(
				json_object_get(names, number));
			json_array_append_new(
				list, json_string(name ? name : number));
		}
	}
	if (e->kind == GROUP_RIGHTS)
		rights_show(&w, j, list, names);
	if (json_array_size(list))
		json_object_set(j, "members", list);
	json_decref(list);
}

static void log_end(struct part *p)
{
	json_decref(p->log.names);
	p->log = (struct part_log){0};
}

/* Who has gone is named in the entry that added it alone, so all before @from are read; but
 * where that is the next page, the one before has done so. */
static json_t *names_before(struct part *p, uint64_t from)
{
	const struct group_member *founder = group_find(member_group(p->m), 0);

	if (p->log.names && p->log.next == from)
		return p->log.names;
	log_end(p);
	p->log.next = 1;
	p->log.names = json_object();
	if (founder)
		json_object_set_new(p->log.names, "0",
				    json_string(founder->fqdn));
	return p->log.names;
}

json_t *show_log(struct part *p, uint64_t from, size_t max)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	uint64_t e, last = group_epoch(member_group(p->m));
	json_t *list = json_array(), *names, *j;
	const struct group_member *author;
	struct group_entry g;
	const char *name;
	char number[16];
	size_t len;

	if (from > last)
		return list;
	names = names_before(p, from);
	for (e = p->log.next; e <= last && json_array_size(list) < max; e++) {
		if (memberstore_log_get(p->node->store, member_id(p->m), e,
					entry, &len, sealer) ||
		    group_entry_get(entry, len, &g))
			continue;
		j = json_pack("{s:I, s:s, s:I, s:I}", "epoch", (json_int_t)e,
			      "kind", kinds[g.kind], "time", (json_int_t)g.time,
			      "generation", (json_int_t)g.generation);
		author = group_find(member_group(p->m), g.author);
		snprintf(number, sizeof(number), "%u", g.author);
		name = json_string_value(json_object_get(names, number));
		json_object_set_new(j, "author",
				    json_string(g.author == GROUP_SERVER
							? "the server"
						: author ? author->fqdn
						: name	 ? name
							 : number));
		content_show(&g, j, names);
		if (e < from)
			json_decref(j);
		else
			json_array_append_new(list, j);
	}
	p->log.next = e;
	if (e > last)
		log_end(p);
	return list;
}
