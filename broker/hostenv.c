/* SPDX-License-Identifier: MIT */
/* hostenv - what the control plane asks of the machine it runs on */
#include "broker/hostenv.h"

static int env_route(void *ctx, const struct addr *remote, struct addr *source,
		     unsigned int *mtu)
{
	struct handover **h = ctx;

	return handover_route(*h, remote, source, mtu);
}

static size_t env_locals(void *ctx, struct addr *out, size_t max)
{
	struct handover **h = ctx;

	return handover_locals(*h, out, max);
}

/* the system's, with a context of its own: env is never NULL here */
static void env_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	ntmc_random(NULL, buf, len);
}

static int64_t env_now(void *ctx)
{
	(void)ctx;
	return ntmc_now(NULL);
}

void hostenv_fill(struct worker_env *out, struct handover **h)
{
	*out = (struct worker_env){
		.crypto = {.random = env_random, .now = env_now},
		.route = env_route,
		.locals = env_locals,
		.ctx = h};
}
