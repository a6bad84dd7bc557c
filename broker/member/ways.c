/* SPDX-License-Identifier: MIT */
/* ways - where a GMS of another domain is, as text: ADDRESS:PORT|ADDRESS:PORT */
#include "broker/member/ways.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

size_t ways_read(const char *text, struct addr out[static WAYS_MAX])
{
	char copy[GROUP_WAYS_MAX + 1], *save = NULL, *one;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (one = strtok_r(copy, "|", &save); one && n < WAYS_MAX;
	     one = strtok_r(NULL, "|", &save))
		if (!addr_parse(one, 0, &out[n]) && addr_port(&out[n]))
			n++;
	return n;
}

void ways_write(const struct addr *list, size_t n,
		char out[static GROUP_WAYS_MAX + 1])
{
	char text[ADDR_TEXT_LEN];
	size_t len = 0;

	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		addr_format(&list[i], text);
		if (len + (len > 0) + strlen(text) > GROUP_WAYS_MAX)
			break;
		len += (size_t)sprintf(out + len, "%s%s", len ? "|" : "", text);
	}
}

/* those of @from that @to has not, while there is room */
static size_t add(struct addr to[static WAYS_MAX], size_t n,
		  const struct addr *from, size_t count)
{
	for (size_t i = 0; i < count && n < WAYS_MAX; i++) {
		size_t k = 0;

		while (k < n && !addr_equal(&to[k], &from[i]))
			k++;
		if (k == n)
			to[n++] = from[i];
	}
	return n;
}

void ways_learn(const char *known, const char *heard,
		char out[static GROUP_WAYS_MAX + 1])
{
	struct addr old[WAYS_MAX], fresh[WAYS_MAX], list[WAYS_MAX];
	size_t n_old = ways_read(known, old), n_fresh = ways_read(heard, fresh);
	size_t first = n_old < WAYS_FIRST ? n_old : WAYS_FIRST;
	size_t n = add(list, 0, old, first);

	n = add(list, n, fresh, n_fresh);
	n = add(list, n, old + first, n_old - first);
	ways_write(list, n, out);
}
