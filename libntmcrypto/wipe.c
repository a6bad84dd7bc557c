/* SPDX-License-Identifier: MIT */
/* wipe - apart from all else: `ntm` needs nothing more of the library, and so does not
 * load others' libraries at each start */
#include "libntmcrypto/ntmcrypto.h"

#include <string.h>

void ntmc_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}
