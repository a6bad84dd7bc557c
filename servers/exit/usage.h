/* SPDX-License-Identifier: MIT */
/*
 * usage - what each account has sent and received through the exit today
 *
 * Owner:    main.c. Context: loop thread, once a second for each tunnel.
 * Day of UTC; it begins anew with the process. Limit: USAGE_ACCOUNTS_MAX accounts, above
 * which the ones that came later are not limited.
 */
#ifndef NTM_SERVERS_EXIT_USAGE_H
#define NTM_SERVERS_EXIT_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define USAGE_ACCOUNTS_MAX 65536

struct usage;

/** struct usage_numbers - of an account, as long as the day, and of a node */
struct usage_numbers {
	uint32_t account, node;
};

NTM_MUST_CHECK int usage_new(struct usage **out);
void usage_free(struct usage *u);
/** @day: since 1970; a new one forgets the last; @limit: bytes of an account, 0: any */
void usage_day(struct usage *u, int64_t day, uint64_t limit);
/**
 * usage_count() - a tunnel's counter as it stands now
 * @node: whose tunnel; @bytes: since the tunnel was made, so less than before when
 *        it is another one
 * @out: 0: more than are kept, not limited
 * Return: is @account over its limit?
 */
bool usage_count(struct usage *u, const char *account, const char *node,
		 uint64_t bytes, struct usage_numbers *out);
/** how often in a row @node was idle, now included */
unsigned int usage_idle(struct usage *u, const char *node, bool idle);
/** true once a day: it is over its limit, and that is to be said */
bool usage_to_say(struct usage *u, const char *account);

#endif
