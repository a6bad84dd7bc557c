/* SPDX-License-Identifier: MIT */
/* join - the join string: where a domain's AS is and which CA it must show */
#include "common/join.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "ntm1:"

static bool looks_newer(const char *text)
{
	return !strncmp(text, "ntm", 3) && isdigit((unsigned char)text[3]) &&
	       strchr(text, ':');
}

static int join_parse_addrs(char *list, struct join *j)
{
	char *save = NULL, *item;

	/* strtok_r() would hide an empty item */
	if (!*list || *list == ',' || list[strlen(list) - 1] == ',' ||
	    strstr(list, ",,"))
		return -NTM_EINVAL;
	for (item = strtok_r(list, ",", &save); item;
	     item = strtok_r(NULL, ",", &save)) {
		if (j->n_addrs == JOIN_ADDRESSES_MAX)
			return -NTM_EINVAL;
		if (addr_parse(item, JOIN_PORT, &j->addrs[j->n_addrs]) ||
		    !addr_port(&j->addrs[j->n_addrs]))
			return -NTM_EINVAL;
		j->n_addrs++;
	}
	return j->n_addrs ? 0 : -NTM_EINVAL;
}

int join_parse(const char *text, struct join *out)
{
	char copy[JOIN_TEXT_MAX], *at, *hash;
	struct join j = {.n_addrs = 0};
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= sizeof(copy))
		return -NTM_EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strncmp(copy, PREFIX, strlen(PREFIX)))
		return looks_newer(copy) ? -NTM_EVERSION : -NTM_EINVAL;

	at = strchr(copy, '@');
	hash = at ? strchr(at, '#') : NULL;
	if (!hash)
		return -NTM_EINVAL;
	*at++ = '\0';
	*hash++ = '\0';
	if (fqdn_normalize(copy + strlen(PREFIX), j.domain) ||
	    join_parse_addrs(at, &j) || ntmc_fingerprint_parse(hash, j.ca_fp))
		return -NTM_EINVAL;
	*out = j;
	return 0;
}

int join_format(const struct join *j, char buf[static JOIN_TEXT_MAX])
{
	char fp[NTMC_FP_TEXT_LEN], text[ADDR_TEXT_LEN];
	size_t used;

	if (!j->n_addrs || j->n_addrs > JOIN_ADDRESSES_MAX)
		return -NTM_EINVAL;
	used = (size_t)snprintf(buf, JOIN_TEXT_MAX, PREFIX "%s@", j->domain);
	for (size_t i = 0; i < j->n_addrs; i++)
		used += (size_t)snprintf(buf + used, JOIN_TEXT_MAX - used,
					 "%s%s", i ? "," : "",
					 addr_format(&j->addrs[i], text));
	ntmc_fingerprint_text(j->ca_fp, fp);
	snprintf(buf + used, JOIN_TEXT_MAX - used, "#%s", fp);
	return 0;
}
