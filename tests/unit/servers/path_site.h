/* SPDX-License-Identifier: MIT */
/*
 * path_site - an RS with a path between two nodes
 *
 * Owner: the test program, one at a time. Context: the relay's loop.
 */
#ifndef NTM_TESTS_SERVERS_PATH_SITE_H
#define NTM_TESTS_SERVERS_PATH_SITE_H

#include "relay.h"

#define PATH_ID UINT64_C(0x1122334455667788)
#define OTHER	UINT64_C(0x99aabbccddeeff00)

extern struct relay relay;
/** of PATH_ID, when it is directed */
extern struct ntmc_key kpunch;
extern struct end mn, cn;

/* cmocka's: the RS alone */
int setup(void **state);
int teardown(void **state);

/** PATH_ID, and a socket of each node */
void direct(void);
/** and both are bound */
void direct_and_bind(void);
void ends_free(void);

#endif
