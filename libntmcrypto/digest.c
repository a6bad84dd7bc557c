/* SPDX-License-Identifier: MIT */
/* digest - SHA-256 of what comes in pieces */
#include <nettle/sha2.h>
#include <stdlib.h>

#include "libntmcrypto/ntmcrypto.h"

struct ntmc_digest {
	struct sha256_ctx ctx;
};

int ntmc_digest_new(struct ntmc_digest **out)
{
	struct ntmc_digest *d = malloc(sizeof(*d));

	if (!d)
		return -NTM_ENOMEM;
	sha256_init(&d->ctx);
	*out = d;
	return 0;
}

void ntmc_digest_free(struct ntmc_digest *d)
{
	if (d)
		ntmc_wipe(d, sizeof(*d));
	free(d);
}

void ntmc_digest_add(struct ntmc_digest *d, const void *data, size_t len)
{
	sha256_update(&d->ctx, len, data);
}

void ntmc_digest_end(struct ntmc_digest *d, uint8_t out[static NTMC_HASH_LEN])
{
	sha256_digest(&d->ctx, NTMC_HASH_LEN, out);
}
