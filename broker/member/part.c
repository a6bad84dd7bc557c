/* SPDX-License-Identifier: MIT */
/* part - a group of this device: its engine, its server, who waits for what */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/alive.h"
#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "broker/member/node.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "broker/member/saw.h"
#include "broker/member/tell.h"
#include "common/log.h"

#define PATIENCE_S 25 /* of who asks; `ntm-group` waits for 30 s */
#define UNHEARD_S  5  /* where there is no connection */

const char *part_id_text(const uint8_t id[static GROUP_ID_LEN])
{
	static char text[NTMC_BASE64URL_LEN(GROUP_ID_LEN) + 3];

	ntmc_base64url_encode(id, GROUP_ID_LEN, text);
	return text;
}

/* --- what the engine says ------------------------------------------------------------- */

static void on_send(void *arg, Ntm__Envelope *msg)
{
	struct part *p = arg;

	/* what is lost is said again at the next hello */
	if (p->server && !server_send(p->server, p, msg))
		log_debug("member", "%s: not connected", member_name(p->m));
}

static void part_over(void *arg)
{
	struct part *p = arg;

	/* its keys went before; now it is not there */
	words_part(p->node->words, p);
	papers_left(p->node->papers, p);
	part_free(p);
}

static void on_state(void *arg, struct member *m, enum member_state before)
{
	struct part *p = arg;
	struct node *n = p->node;
	enum member_state now = member_state(m);

	(void)before;
	if (now == MEMBER_JOINED) {
		if (p->founding && p->waits)
			asks_founded(p);
		p->founding = false;
		papers_joined(n->papers, p);
		chat_work(n->chat);
	}
	asking_changed(n->asks);
	if (now != MEMBER_OUT || p->over)
		return;
	/* removed, or we have left: nothing is kept. Not while it speaks to us */
	p->over = true;
	if (memberstore_drop(n->store, member_id(m)))
		log_err("member",
			"%s cannot be forgotten: the store cannot be "
			"written",
			member_name(m));
	node_wipe_soon(n);
	chat_forget(n->chat, member_id(m));
	if (loop_defer(n->loop, part_over, p))
		log_err("member", "out of memory");
}

static void on_keys(void *arg, const struct group_keys *k, uint32_t index)
{
	struct part *p = arg;
	int64_t left = member_valid_s(p->m), renewal = member_renewal_s(p->m);
	uint64_t now = loop_now_exact(p->node->loop);

	(void)index;
	p->valid_until = k ? now + LOOP_S(left > 0 ? (uint64_t)left : 0) : 0;
	p->renewal_at =
		k ? now + LOOP_S(renewal > 0 ? (uint64_t)renewal : 0) : 0;
	words_part(p->node->words, p);
	if (k && k->epoch != p->told) {
		p->told = k->epoch;
		tell_soon(p);
	}
	node_wipe_soon(p->node);
	if (k) /* who has come may have sent already what was held, or waits */
		papers_fetch(p->node->papers);
	asking_changed(p->node->asks);
}

static void on_saw(void *arg, enum member_saw what, uint32_t who,
		   uint64_t epoch, int code)
{
	saw_add(arg, what, who, epoch, code);
}

static void on_done(void *arg, int code)
{
	struct part *p = arg;
	bool adding = p->adding, founding = p->founding;
	/* what adds may have made room: then who waits does so for what comes now */
	struct ask *a = adding ? NULL : p->waits;

	if (a)
		p->waits = NULL;
	p->adding = p->founding = false;
	if (a)
		ask_done(a, code);
	if (adding)
		papers_added(p->node->papers, p, code);
	/* its server did not take the first entry: there is no such group */
	if (founding && code && !p->over) {
		p->over = true;
		if (memberstore_drop(p->node->store, member_id(p->m)) ||
		    loop_defer(p->node->loop, part_over, p))
			log_err("member", "a group that was refused stays");
		node_wipe_soon(p->node);
		return;
	}
	papers_work(p->node->papers);
}

static void on_people(void *arg)
{
	struct part *p = arg;
	struct ask *a = p->answers;

	p->answers = NULL;
	if (a)
		asks_people(a, p);
}

static void on_wanted(void *arg, uint32_t index)
{
	papers_give(((struct part *)arg)->node->papers, arg, index);
}

static void on_say(void *arg, const uint8_t *text, size_t len)
{
	words_say_control(arg, text, len);
}

static void on_ask(void *arg, uint32_t index)
{
	alive_ask(arg, index);
}

static bool on_login(void *arg, struct member_login *out)
{
	struct part *p = arg;
	const struct who_manager *m =
		p->server ? server_manager(p->server) : NULL;

	if (!m)
		return false;
	out->node_id = p->node->who.node_id;
	out->key_id = m->key_id;
	out->key = m->key;
	return true;
}

static const struct member_ops ops = {.send = on_send,
				      .state = on_state,
				      .keys = on_keys,
				      .saw = on_saw,
				      .done = on_done,
				      .people = on_people,
				      .wanted = on_wanted,
				      .say = on_say,
				      .ask = on_ask};

/* --- who waits ------------------------------------------------------------------------------ */

static void on_patience(void *arg)
{
	struct part *p = arg;
	struct ask *a = p->waits, *b = p->answers;

	if (a && !b && server_is_open(p->server) && !p->patient) {
		p->patient = true;
		loop_timer_arm(p->patience, LOOP_S(PATIENCE_S - UNHEARD_S));
		return;
	}
	p->waits = p->answers = NULL;
	if (b)
		asks_people(b, p); /* as it was known last */
	if (a)
		ask_late(a, p);
}

static void be_patient(struct part *p)
{
	p->patient = false;
	loop_timer_arm(p->patience, LOOP_S(UNHEARD_S));
}

int part_wish(struct part *p, const struct group_change *c, struct ask *a)
{
	int r;

	if (p->waits || (p->adding && !a))
		return -NTM_EAGAIN;
	p->waits = a;
	if (!a)
		p->adding = true;
	r = member_submit(p->m, c);
	if (r && a)
		p->waits = NULL;
	else if (r)
		p->adding = false;
	else if (a)
		be_patient(p);
	return r;
}

bool part_forget(struct part *p, const struct ask *a)
{
	bool was = p->waits == a || p->answers == a;

	if (p->waits == a)
		p->waits = NULL;
	if (p->answers == a)
		p->answers = NULL;
	return was;
}

/* --- life ----------------------------------------------------------------------------------------- */

static struct member_setup setup_of(struct part *p)
{
	return (struct member_setup){.loop = p->node->loop,
				     .id = p->node->who.id,
				     .store = p->node->store,
				     .ops = &ops,
				     .login = on_login,
				     .arg = p};
}

static int part_new(struct node *n, struct part **out)
{
	struct part *p;
	size_t count;
	int r;

	DL_COUNT(n->parts, p, count);
	if (count >= NODE_GROUPS_MAX)
		return -NTM_ELIMIT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -NTM_ENOMEM;
	p->node = n;
	r = loop_timer_new(n->loop, on_patience, p, &p->patience);
	if (!r)
		r = loop_timer_new(n->loop, tell_due, p, &p->tell);
	if (!r)
		r = loop_timer_new(n->loop, tell_again, p, &p->retell);
	if (!r)
		r = loop_timer_new(n->loop, saw_keep, p, &p->saw_due);
	if (r) {
		loop_timer_free(p->patience);
		loop_timer_free(p->tell);
		loop_timer_free(p->retell);
		free(p);
		return r;
	}
	DL_APPEND(n->parts, p);
	*out = p;
	return 0;
}

/* its engine is there: @name, @key are its server's */
static int part_begin(struct part *p, const char *name, const uint8_t *key)
{
	int r = server_of(p->node, name, key, &p->server);

	if (!r)
		server_use(p->server, p);
	return r;
}

void part_free(struct part *p)
{
	struct node *n = p->node;

	if (p->waits)
		ask_done(p->waits, -NTM_ESTATE);
	if (p->answers)
		ask_done(p->answers, -NTM_ESTATE);
	p->waits = p->answers = NULL;
	if (p->m) {
		if (loop_timer_armed(p->saw_due))
			saw_keep(p);
		member_offline(p->m);
		member_free(p->m);
	}
	DL_DELETE(n->parts, p);
	if (p->server)
		server_unuse(p->server, p);
	loop_timer_free(p->patience);
	loop_timer_free(p->tell);
	loop_timer_free(p->retell);
	loop_timer_free(p->saw_due);
	if (n->post)
		postcall_forget(n->post, p);
	ntmc_wipe(&p->relay, sizeof(p->relay));
	json_decref(p->log.names);
	free(p);
	node_check_idle(n);
}

int part_found(struct node *n, const char *name,
	       const struct group_policy *policy, struct part **out)
{
	const struct who_manager *gms = n->who.managers;
	struct member_setup setup;
	struct part *p;
	int r;

	if (!n->who.n_managers)
		return -NTM_ENOTFOUND;
	r = part_new(n, &p);
	if (r)
		return r;
	setup = setup_of(p);
	p->founding = true;
	r = member_found(&setup, name, n->who.fqdn, gms->name, gms->ed_pub,
			 policy, &p->m);
	if (!r)
		r = part_begin(p, gms->name, gms->ed_pub);
	if (r) {
		part_free(p);
		return r;
	}
	be_patient(p);
	*out = p;
	return 0;
}

int part_join(struct node *n, const uint8_t *welcome, size_t len,
	      const struct member_prekey *prekey,
	      const struct group_invite *invite, struct part **out)
{
	struct member_setup setup;
	struct part *p;
	int r = server_learn(n, invite->server_key, invite->ways);

	if (!r)
		r = part_new(n, &p);
	if (r)
		return r;
	setup = setup_of(p);
	r = member_join(&setup, welcome, len, prekey, 1, &p->m);
	if (!r && memcmp(member_id(p->m), invite->id, GROUP_ID_LEN))
		r = -NTM_EAUTH;
	if (!r)
		r = part_begin(p, invite->server, invite->server_key);
	if (r)
		part_free(p);
	else
		*out = p;
	return r;
}

int part_load(struct node *n, const uint8_t id[static GROUP_ID_LEN])
{
	struct member_setup setup;
	const uint8_t *key;
	const char *name;
	struct part *p;
	int r = part_new(n, &p);

	if (r)
		return r;
	setup = setup_of(p);
	r = member_load(&setup, id, &p->m);
	if (!r) {
		saw_load(p);
		/* that there is no key any more */
		p->spoken = member_is_leaving(p->m) ||
			    member_state(p->m) != MEMBER_BEHIND;
		name = group_server(member_group(p->m), &key);
		r = part_begin(p, name, key);
	}
	if (r)
		part_free(p);
	return r;
}

/* --- which one ------------------------------------------------------------------------------------ */

struct part *part_by_id(struct node *n, const uint8_t *id)
{
	struct part *p;

	DL_FOREACH (n->parts, p)
		if (p->m && !memcmp(member_id(p->m), id, GROUP_ID_LEN))
			return p;
	return NULL;
}

int part_find(struct node *n, const char *text, struct part **out)
{
	size_t len = strlen(text);
	struct part *p, *found = NULL;

	DL_FOREACH (n->parts, p) {
		if (p->over ||
		    (strcmp(member_name(p->m), text) &&
		     (len < 6 ||
		      strncmp(part_id_text(member_id(p->m)), text, len))))
			continue;
		if (found)
			return -NTM_EEXISTS;
		found = p;
	}
	*out = found;
	return found ? 0 : -NTM_ENOTFOUND;
}
