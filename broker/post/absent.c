/* SPDX-License-Identifier: MIT */
/* absent - who could not be reached a moment ago */
#include "broker/post/absent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/loop.h"

struct one {
	char name[FQDN_MAX + 1]; /* "": none */
	uint64_t until_ns;
};

struct absent {
	struct one list[ABSENT_MAX];
	size_t next;
};

struct absent *absent_new(void)
{
	return calloc(1, sizeof(struct absent));
}

void absent_free(struct absent *a)
{
	free(a);
}

void absent_clear(struct absent *a)
{
	memset(a, 0, sizeof(*a));
}

void absent_put(struct absent *a, const char *name, uint64_t until_ns)
{
	struct one *o = NULL;
	size_t i;

	for (i = 0; i < ABSENT_MAX && !o; i++)
		if (!strcmp(a->list[i].name, name))
			o = &a->list[i];
	if (!o)
		o = &a->list[a->next++ % ABSENT_MAX];
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->until_ns = until_ns;
}

bool absent_is(const struct absent *a, const char *name, uint64_t now_ns)
{
	size_t i;

	for (i = 0; i < ABSENT_MAX; i++)
		if (!strcmp(a->list[i].name, name))
			return now_ns < a->list[i].until_ns;
	return false;
}
