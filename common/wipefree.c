/* SPDX-License-Identifier: MIT */
/* wipefree - what SQLite and jansson give back is wiped */
#include "common/wipefree.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sqlite3.h>

static sqlite3_mem_methods plain;

static void json_wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void sql_free(void *p)
{
	if (p)
		explicit_bzero(p, (size_t)plain.xSize(p));
	plain.xFree(p);
}

/* never in place: what realloc() leaves behind nobody wipes */
static void *sql_realloc(void *p, int n)
{
	int had = plain.xSize(p);
	void *more = n > had ? plain.xMalloc(n) : NULL;

	if (n <= had)
		return p;
	if (more) {
		memcpy(more, p, (size_t)had);
		sql_free(p);
	}
	return more;
}

int wipefree(void)
{
	sqlite3_mem_methods wiping;

	json_set_alloc_funcs(malloc, json_wipe_free);
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK)
		return -NTM_ESTATE;
	wiping = plain;
	wiping.xFree = sql_free;
	wiping.xRealloc = sql_realloc;
	/* small pieces of a connection are never given back but with it */
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &wiping) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
		return -NTM_ESTATE;
	return 0;
}
