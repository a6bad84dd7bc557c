/* SPDX-License-Identifier: MIT */
/* exits - who may use the domain's exits, and which exit a node is directed to */
#include "servers/dc/exits.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"

#define LOAD_FULL    1000
#define RTT_LEAST_US 1000 /* beside it a load counts even where all are near */

/* struct user - an account that may; @round: of the list that named it last */
struct user {
	char name[FQDN_LABEL_MAX + 1];
	uint32_t round;
	UT_hash_handle hh;
};

/* struct status - what exit @node said last, at @heard; 0: never */
struct status {
	uint32_t node, load;
	bool draining;
	uint64_t heard;
};

struct exits {
	struct user *users;
	struct status list[EXITS_MAX];
	uint32_t round; /* of the list that is coming, or came */
	bool whole;	/* it began at its beginning */
	uint32_t turn;
};

int exits_new(struct dc *dc, struct exits **out)
{
	(void)dc;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

static void user_free(struct exits *e, struct user *u)
{
	HASH_DEL(e->users, u);
	free(u);
}

void exits_free(struct exits *e)
{
	struct user *u, *tmp;

	if (!e)
		return;
	HASH_ITER (hh, e->users, u, tmp)
		user_free(e, u);
	free(e);
}

/* --- the AS's list -------------------------------------------------------------- */

static bool user_put(struct exits *e, const char *name)
{
	struct user *u;

	HASH_FIND_STR(e->users, name, u);
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u)
			return false;
		memcpy(u->name, name,
		       strlen(name)); /* a label: it is checked */
		HASH_ADD_STR(e->users, name, u);
	}
	u->round = e->round;
	return true;
}

static void end_tunnels(struct dc *dc, const char *name)
{
	char fqdn[FQDN_MAX + 1], exit[FQDN_MAX + 1];

	log_info("exits", "%s may use them no more", name);
	if (!fqdn_join(NULL, name, dc->cert.domain.domain, fqdn) &&
	    !fqdn_join(NULL, EXITS_ACCOUNT, dc->cert.domain.domain, exit))
		withdraw_between(dc, nodes_find_account(&dc->nodes, fqdn),
				 nodes_find_account(&dc->nodes, exit));
}

void exits_told(struct dc *dc, const Ntm__ExitAccounts *msg)
{
	struct exits *e = dc->exits;
	struct user *u, *tmp;

	if (msg->first) {
		e->round++;
		e->whole = true;
	}
	for (size_t i = 0; i < msg->n_accounts; i++)
		if (!user_put(e, msg->accounts[i]))
			e->whole = false;
	if (!msg->last || !e->whole)
		return; /* out of memory: nobody loses what it has */
	e->whole = false;
	HASH_ITER (hh, e->users, u, tmp) {
		if (u->round == e->round)
			continue;
		end_tunnels(dc, u->name);
		user_free(e, u);
	}
}

/* --- directions ------------------------------------------------------------------- */

static bool account_label(const struct dc *dc, const char *fqdn,
			  char out[static FQDN_LABEL_MAX + 1])
{
	struct fqdn_parts parts;

	if (fqdn_split(fqdn, dc->cert.domain.domain, &parts))
		return false;
	memcpy(out, parts.account, FQDN_LABEL_MAX + 1);
	return true;
}

bool exits_is(const struct dc *dc, const struct node *n)
{
	char label[FQDN_LABEL_MAX + 1];

	return account_label(dc, n->fqdn, label) &&
	       !strcmp(label, EXITS_ACCOUNT);
}

bool exits_may(const struct dc *dc, const struct node *mn,
	       const struct node *cn)
{
	const struct node *other = cn;
	char label[FQDN_LABEL_MAX + 1];
	struct user *u;

	/* an exit asks, too: for a node that sleeps while a connection is open */
	if (exits_is(dc, mn))
		other = mn;
	else if (!exits_is(dc, cn))
		return true;
	if (!account_label(dc, other == mn ? cn->fqdn : mn->fqdn, label))
		return false;
	HASH_FIND_STR(dc->exits->users, label, u);
	return u != NULL;
}

bool exits_is_name(const struct dc *dc, const char *fqdn)
{
	struct fqdn_parts parts;

	return !fqdn_split(fqdn, dc->cert.domain.domain, &parts) &&
	       !parts.device[0] && !strcmp(parts.account, EXITS_ACCOUNT);
}

static struct status *status_find(struct exits *e, uint32_t node)
{
	for (size_t i = 0; i < EXITS_MAX; i++)
		if (e->list[i].heard && e->list[i].node == node)
			return &e->list[i];
	return NULL;
}

int exits_status(struct dc *dc, uint32_t h, const Ntm__ExitStatus *msg)
{
	const struct node *n = nodes_at(&dc->nodes, h);
	struct exits *e = dc->exits;
	struct status *s;

	if (!exits_is(dc, n))
		return -NTM_EPERM;
	s = status_find(e, h);
	for (size_t i = 0; !s && i < EXITS_MAX; i++)
		if (!e->list[i].heard || loop_now(dc->loop) - e->list[i].heard >
						 LOOP_S(EXITS_SILENT_S))
			s = &e->list[i];
	if (!s)
		return 0; /* more than we keep: its load is taken for 0 */
	if (s->node != h || s->draining != msg->draining)
		log_info("exits", "%s %s", n->fqdn,
			 msg->draining ? "drains" : "takes nodes");
	*s = (struct status){.node = h,
			     .load = msg->load,
			     .draining = msg->draining,
			     .heard = loop_now(dc->loop)};
	return 0;
}

/* As of relays: the round trip, and half as much again for each half of its capacity in
 * use. UINT64_MAX: not this one. */
static uint64_t cost_of(struct dc *dc, const struct node *mn, uint32_t h)
{
	const struct node *x = nodes_at(&dc->nodes, h);
	const struct status *s = status_find(dc->exits, h);
	uint64_t rtt = reach_between(mn, x) + RTT_LEAST_US;

	if (!dc_is_online(dc, x))
		return UINT64_MAX;
	if (!s)
		return rtt * LOAD_FULL;
	if (s->draining ||
	    loop_now(dc->loop) - s->heard > LOOP_S(EXITS_SILENT_S))
		return UINT64_MAX;
	return rtt * (LOAD_FULL + s->load);
}

uint32_t exits_choose(struct dc *dc, const struct node *mn)
{
	uint64_t cost, least = UINT64_MAX;
	char name[FQDN_MAX + 1];
	uint32_t h, best = 0, n = 0;

	if (fqdn_join(NULL, EXITS_ACCOUNT, dc->cert.domain.domain, name))
		return 0;
	h = nodes_find_account(&dc->nodes, name);
	for (; h; h = nodes_at(&dc->nodes, h)->next_of_account) {
		cost = cost_of(dc, mn, h);
		if (cost == UINT64_MAX || cost > least)
			continue;
		n = cost < least ? 1 : n + 1;
		least = cost;
		/* alike: by turns */
		if (n == 1 || dc->exits->turn % n == 0)
			best = h;
	}
	dc->exits->turn++;
	return best;
}
