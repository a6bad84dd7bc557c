/* SPDX-License-Identifier: MIT */
/* recent - what the box has answered a moment ago */
#include "broker/post/recent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
	char name[300];
	int64_t at;
	json_t *json;
};

struct recent {
	struct answer list[RECENT_MAX];
};

struct recent *recent_new(void)
{
	return calloc(1, sizeof(struct recent));
}

void recent_free(struct recent *r)
{
	size_t i;

	for (i = 0; r && i < RECENT_MAX; i++)
		json_decref(r->list[i].json);
	free(r);
}

static struct answer *find(struct recent *r, const char *name)
{
	size_t i;

	for (i = 0; i < RECENT_MAX; i++)
		if (r->list[i].json && !strcmp(r->list[i].name, name))
			return &r->list[i];
	return NULL;
}

const json_t *recent_get(struct recent *r, const char *name, int64_t now)
{
	struct answer *a = find(r, name);

	return a && now >= a->at && now - a->at < RECENT_S ? a->json : NULL;
}

void recent_put(struct recent *r, const char *name, const json_t *answer,
		int64_t now)
{
	struct answer *a = find(r, name);
	size_t i;

	if (strlen(name) >= sizeof(r->list[0].name))
		return;
	if (!a) { /* in place of the oldest */
		a = &r->list[0];
		for (i = 1; i < RECENT_MAX; i++)
			if (r->list[i].at < a->at)
				a = &r->list[i];
	}
	json_decref(a->json);
	strcpy(a->name, name);
	a->at = now;
	a->json = json_incref((json_t *)answer);
}
