/* SPDX-License-Identifier: MIT */
/*
 * shelf_room - how much a receiver may have, in all and of each sender
 *
 * Theory of operation
 *
 * How many entries and temporal keys a receiver has, in all and of each account,
 * stands in tallies, which triggers keep: to count is no reason to read a list. Whoever
 * runs another domain has as many accounts there as he likes, and there are as many
 * domains: so what one of them has here is counted, and what all of them have of one
 * receiver. An account of ours has a sum over all receivers too: a temporal key needs no
 * Cache Server, whose quota would bound it. Status entries have room of their own; a
 * sender who does not look at them can still receive.
 */
#include <stdio.h>
#include <string.h>

#include "servers/box/shelf_impl.h"

static int64_t tally(struct shelf *s, const char *receiver, int what,
		     const char *account)
{
	int64_t n = 0;
	int r;

	store_bind_text(s->store, TALLY, 1, receiver);
	store_bind_int(s->store, TALLY, 2, what);
	store_bind_text(s->store, TALLY, 3, account);
	r = store_step(s->store, TALLY);
	if (r > 0) {
		n = store_int(s->store, TALLY, 0);
		store_reset(s->store, TALLY);
	}
	return r < 0 ? r : n;
}

const char *shelf_other_domain(const struct shelf_item *i)
{
	const char *domain = shelf_account(shelf_account(i->from));

	return strcmp(domain, shelf_account(shelf_account(i->to))) ? domain
								   : "";
}

/* struct room - a tally and what it may reach */
struct room {
	const char *receiver, *account;
	int64_t max;
};

int shelf_check_room(struct shelf *s, const struct shelf_item *i, int what)
{
	const char *account = shelf_account(i->from),
		   *domain = shelf_other_domain(i);
	char of_it[FQDN_MAX + 2];
	const struct room own[] = {
		{i->to, "", SHELF_ENTRIES_MAX},
		{i->to, account, SHELF_ACCOUNT_MAX},
		{"", account, SHELF_OWN_ALL_MAX},
	};
	const struct room foreign[] = {
		{i->to, "", SHELF_ENTRIES_MAX},
		{i->to, account, SHELF_ACCOUNT_MAX},
		{i->to, "@", SHELF_FOREIGN_MAX},
		{i->to, of_it, SHELF_DOMAIN_MAX},
		{"", of_it, SHELF_DOMAIN_ALL_MAX},
	};
	const struct room *rooms = *domain ? foreign : own;
	size_t n = what == TALLY_STATUS ? 1 : *domain ? 5 : 3;

	snprintf(of_it, sizeof(of_it), "@%s", domain);
	for (size_t k = 0; k < n; k++) {
		int64_t has =
			tally(s, rooms[k].receiver, what, rooms[k].account);

		if (has < 0)
			return -NTM_ESTORE;
		if (has >= rooms[k].max)
			return -NTM_ELIMIT;
	}
	return 0;
}

int shelf_check_item(struct shelf *s, const struct shelf_item *i,
		     int64_t *expires, int64_t *number)
{
	uint8_t fp[NTMC_FP_LEN];
	size_t fp_len;
	int r;

	*expires = i->expires > s->now + SHELF_LIFE_S ? s->now + SHELF_LIFE_S
						      : i->expires;
	if (*expires <= s->now)
		return -NTM_EEXPIRED;
	r = shelf_device_get(s, i->to, fp, &fp_len, number);
	if (r < 0)
		return r;
	if (!r)
		return -NTM_ENONAME;
	*number = *number + 1 > s->now ? *number + 1 : s->now;
	return 0;
}
