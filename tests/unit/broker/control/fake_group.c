/* SPDX-License-Identifier: MIT */
/*
 * fake_group - broker/datapath/group.h for the world
 *
 * Who may come in is told by the groups' members; their packets are datapath's own tests.
 */
#include "tests/unit/broker/control/fake_datapath.h"

#include <stdlib.h>
#include <string.h>

#include "broker/datapath/group.h"

struct dp_group {
	struct datapath *dp;
	const struct ntmc_env *env;
	void *arg;
	uint64_t epoch;
	uint32_t met[GROUP_MEMBERS_MAX];
	size_t n_met;
};

int dp_group_new(struct datapath *dp, const struct ntmc_env *env, void *arg,
		 struct dp_group **out)
{
	struct dp_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -NTM_ENOMEM;
	g->dp = dp;
	g->env = env;
	g->arg = arg;
	*out = g;
	return 0;
}

const struct ntmc_env *fake_group_env(const struct dp_group *g)
{
	return g->env;
}

void dp_group_free(struct dp_group *g)
{
	free(g);
}

void *dp_group_arg(const struct dp_group *g)
{
	return g->arg;
}

int dp_group_set_addresses(struct dp_group *g, const uint8_t vip6[static 16],
			   const uint8_t vip4[static 4])
{
	(void)g, (void)vip6, (void)vip4;
	return 0;
}

int dp_group_epoch(struct dp_group *g, const struct group_keys *k,
		   const struct group *members, const struct ntmc_identity *id,
		   uint32_t index)
{
	(void)members, (void)id, (void)index;
	if (k->epoch <= g->epoch)
		return -NTM_ESTATE;
	g->epoch = k->epoch;
	return 0;
}

uint64_t dp_group_sends(const struct dp_group *g)
{
	return g->epoch;
}

void dp_group_until(struct dp_group *g, uint64_t ns)
{
	(void)g, (void)ns;
}

void dp_group_meet(struct dp_group *g, uint32_t index,
		   const uint8_t vip6[static 16], const uint8_t vip4[static 4])
{
	(void)vip6, (void)vip4;
	if (!dp_group_met(g, index) && g->n_met < GROUP_MEMBERS_MAX)
		g->met[g->n_met++] = index;
}

bool dp_group_met(const struct dp_group *g, uint32_t index)
{
	for (size_t i = 0; i < g->n_met; i++)
		if (g->met[i] == index)
			return true;
	return false;
}

void dp_group_relay(struct dp_group *g, uint64_t epoch, const struct addr *at,
		    const uint8_t *places, size_t len)
{
	struct fake_group_relay *r = fake_group_relay(g->dp);

	r->epoch = at ? epoch : 0;
	r->places = at && len ? places[0] : 0;
	if (at)
		r->at = *at;
}

int dp_group_control(struct dp_group *g, const uint8_t *text, size_t len)
{
	(void)g, (void)text, (void)len;
	return 0;
}

void dp_group_counters(const struct dp_group *g, struct dp_group_counters *out)
{
	(void)g;
	memset(out, 0, sizeof(*out));
}
