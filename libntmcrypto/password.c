/* SPDX-License-Identifier: MIT */
/*
 * password - Argon2id (RFC 9106) over the password of an account
 *
 * 19 MiB, two passes, one lane: the middle of what is advised for a server
 * that answers interactive logins. One look costs tens of milliseconds and
 * 19 MiB, so the Account Server limits how many run at once. The parameters
 * stand in the hash itself; hashes made with others keep verifying.
 */
#include "libntmcrypto/ntmcrypto.h"

#include <argon2.h>
#include <string.h>

#define PASSES	     2
#define MEMORY_KIB   (19 * 1024)
#define LANES	     1
#define SALT_LEN     16
#define TAG_LEN	     32
#define PASSWORD_MAX 1024 /* bytes; longer ones only cost the server */

int ntmc_password_hash(const struct ntmc_env *env, const char *password,
		       char out[static NTMC_PASSWORD_HASH_MAX])
{
	size_t len = strnlen(password, PASSWORD_MAX + 1);
	char hash[NTMC_PASSWORD_HASH_MAX];
	uint8_t salt[SALT_LEN];

	if (len > PASSWORD_MAX)
		return -NTM_EINVAL;
	ntmc_random(env, salt, sizeof(salt));
	if (argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password, len,
				  salt, sizeof(salt), TAG_LEN, hash,
				  sizeof(hash)) != ARGON2_OK)
		return -NTM_ENOMEM;
	memcpy(out, hash, sizeof(hash));
	ntmc_wipe(hash, sizeof(hash));
	return 0;
}

int ntmc_password_verify(const char *password, const char *hash)
{
	size_t len = strnlen(password, PASSWORD_MAX + 1);

	if (len > PASSWORD_MAX)
		return -NTM_EPASSWORD;
	switch (argon2id_verify(hash, password, len)) {
	case ARGON2_OK:
		return 0;
	case ARGON2_MEMORY_ALLOCATION_ERROR:
		return -NTM_ENOMEM;
	default:
		return -NTM_EPASSWORD;
	}
}
