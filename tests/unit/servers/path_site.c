/* SPDX-License-Identifier: MIT */
/* path_site - an RS with a path between two nodes */
#include "path_site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stddef.h>

#include <cmocka.h>

struct relay relay;
struct ntmc_key kpunch;
struct end mn, cn;

void direct(void)
{
	relay_pair(&relay, PATH_ID, &kpunch, &mn, &cn, false);
}

void direct_and_bind(void)
{
	relay_pair(&relay, PATH_ID, &kpunch, &mn, &cn, true);
}

void ends_free(void)
{
	end_free(&mn);
	end_free(&cn);
}

int setup(void **state)
{
	(void)state;
	relay_new(&relay);
	relay_start(&relay);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	relay_free(&relay);
	return 0;
}
