/* SPDX-License-Identifier: MIT */
/* usage - what each account has sent and received through the exit today */
#include "servers/exit/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/fqdn.h"

/* @name: of an account or a node. @bytes: account: of today; node: its counter */
struct entry {
	char name[FQDN_MAX + 1];
	uint64_t bytes;
	UT_hash_handle hh;
};

struct usage {
	struct entry *accounts, *nodes;
	int64_t day;
	uint64_t limit;
};

int usage_new(struct usage **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

static void table_clear(struct entry **table)
{
	struct entry *e, *tmp;

	HASH_ITER (hh, *table, e, tmp) {
		HASH_DEL(*table, e);
		free(e);
	}
}

void usage_free(struct usage *u)
{
	if (!u)
		return;
	table_clear(&u->accounts);
	table_clear(&u->nodes);
	free(u);
}

void usage_day(struct usage *u, int64_t day, uint64_t limit)
{
	if (day != u->day)
		table_clear(&u->accounts);
	u->day = day;
	u->limit = limit;
}

static struct entry *entry_get(struct entry **table, const char *name)
{
	struct entry *e;

	HASH_FIND_STR(*table, name, e);
	if (e || HASH_COUNT(*table) >= USAGE_ACCOUNTS_MAX)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	snprintf(e->name, sizeof(e->name), "%s", name);
	HASH_ADD_STR(*table, name, e);
	return e;
}

bool usage_count(struct usage *u, const char *account, const char *node,
		 uint64_t bytes)
{
	struct entry *a = entry_get(&u->accounts, account);
	struct entry *n = entry_get(&u->nodes, node);

	if (!a || !n)
		return false;
	a->bytes += bytes < n->bytes ? bytes : bytes - n->bytes;
	n->bytes = bytes;
	return u->limit && a->bytes > u->limit;
}
