/* SPDX-License-Identifier: MIT */
/* usage - what each account has sent and received through the exit today */
#include "servers/exit/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/fqdn.h"

/* @name: of an account or a node. @bytes: account: of today; node: its counter. @day:
 * node: when it was last counted. @said: account: usage_to_say() */
struct entry {
	char name[FQDN_MAX + 1];
	uint64_t bytes;
	int64_t day;
	uint32_t number;
	unsigned int idle;
	bool said;
	UT_hash_handle hh;
};

struct usage {
	struct entry *accounts, *nodes;
	int64_t day;
	uint64_t limit;
	uint32_t last; /* number */
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
	struct entry *e, *tmp;

	if (day != u->day) {
		table_clear(&u->accounts);
		HASH_ITER (hh, u->nodes, e, tmp) {
			if (e->day == u->day)
				continue;
			HASH_DEL(u->nodes, e); /* not seen all day */
			free(e);
		}
	}
	u->day = day;
	u->limit = limit;
}

static struct entry *entry_get(struct usage *u, struct entry **table,
			       const char *name)
{
	struct entry *e;

	HASH_FIND_STR(*table, name, e);
	if (e || HASH_COUNT(*table) >= USAGE_ACCOUNTS_MAX)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->number = ++u->last ? u->last : ++u->last;
	HASH_ADD_STR(*table, name, e);
	return e;
}

unsigned int usage_idle(struct usage *u, const char *node, bool idle)
{
	struct entry *n = entry_get(u, &u->nodes, node);

	if (!n)
		return 0;
	n->idle = idle ? n->idle + 1 : 0;
	return n->idle;
}

bool usage_to_say(struct usage *u, const char *account)
{
	struct entry *a = entry_get(u, &u->accounts, account);

	if (!a || a->said || !u->limit || a->bytes <= u->limit)
		return false;
	a->said = true;
	return true;
}

bool usage_count(struct usage *u, const char *account, const char *node,
		 uint64_t bytes, struct usage_numbers *out)
{
	struct entry *a = entry_get(u, &u->accounts, account);
	struct entry *n = entry_get(u, &u->nodes, node);

	*out = (struct usage_numbers){a ? a->number : 0, n ? n->number : 0};
	if (!a || !n)
		return false;
	n->day = u->day;
	a->bytes += bytes < n->bytes ? bytes : bytes - n->bytes;
	n->bytes = bytes;
	return u->limit && a->bytes > u->limit;
}
