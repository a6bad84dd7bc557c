/* SPDX-License-Identifier: MIT */
/*
 * removed - servers that an administrator took back: `removed` in the data folder
 *
 * A server away from the AS renews its certificate for as long as it asks; whoever
 * stole its key would, too. A line each, the fingerprint of its identity. The AS gives
 * those no certificate any more, and the DC takes no channel of theirs.
 *
 * Owner:   the folder of AS and DC; written by commands. Context: any; waits for the
 *          disk, so it is asked when a channel begins or a certificate is wanted.
 */
#ifndef NTM_SERVERS_REMOVED_H
#define NTM_SERVERS_REMOVED_H

#include <stdbool.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"

#define REMOVED_MAX 10000 /* lines */

/** a file that cannot be read is said to hold everybody: no way in by breaking it */
bool removed_has(const char *dir, const uint8_t fp[static NTMC_FP_LEN]);
/** twice is fine. Return: 0, -NTM_ELIMIT, file_write()'s */
NTM_MUST_CHECK int removed_add(const char *dir,
			       const uint8_t fp[static NTMC_FP_LEN]);

#endif
