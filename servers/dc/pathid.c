/* SPDX-License-Identifier: MIT */
/* pathid - Path IDs that say whose they are, to the DC that drew them */
#include "servers/dc/pathid.h"

#include <endian.h>
#include <string.h>

#include "servers/datadir.h"
#include "servers/dc/state.h"

#define LABEL	    "ntm path id v1"
#define RANDOM_BITS (~UINT64_C(0) << 41) /* above the MAC and bit 0 */

int pathid_key(const char *dir, struct ntmc_key *out)
{
	char path[DATADIR_PATH_MAX];
	struct ntmc_identity *id = ntmc_secret_alloc(sizeof(*id));
	struct ntmc_key secret;
	int r = id ? datadir_file(dir, DATADIR_DC_KEY, path) : -NTM_ENOMEM;

	if (!r)
		r = ntmc_identity_load(path, id);
	if (!r) {
		ntmc_hmac(id->ed_priv.b, NTMC_KEY_LEN, LABEL, sizeof(LABEL) - 1,
			  secret.b);
		*out = secret;
		ntmc_key_clear(&secret);
	}
	if (id)
		ntmc_secret_free(id, sizeof(*id));
	return r;
}

uint64_t pathid_make(const struct dc *dc, uint64_t random, uint64_t a,
		     uint64_t b)
{
	uint64_t in[3] = {htobe64(random & RANDOM_BITS), a < b ? a : b,
			  a < b ? b : a};
	uint8_t mac[NTMC_HASH_LEN];
	uint64_t tag;

	ntmc_hmac(dc->path_key.b, NTMC_KEY_LEN, in, sizeof(in), mac);
	memcpy(&tag, mac, sizeof(tag));
	tag = be64toh(tag) & ~RANDOM_BITS & ~UINT64_C(1);
	return (random & RANDOM_BITS) | tag;
}

bool pathid_is_of(const struct dc *dc, uint64_t id, uint64_t a, uint64_t b)
{
	return pathid_make(dc, id, a, b) == (id & ~UINT64_C(1));
}
