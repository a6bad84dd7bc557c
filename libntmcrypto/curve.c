/* SPDX-License-Identifier: MIT */
/*
 * curve - X25519 and Ed25519 on libsodium, with checks of our own
 *
 * Nettle has both, too, and takes two to three times as long (docs/benchmarks.md). Of
 * points each rule that a library may omit is checked here, for keys and for a
 * signature's R: canonical, of no small order. The equation is the library's, without the
 * cofactor.
 */
#include "libntmcrypto/ntmcrypto.h"

#include <sodium.h>
#include <string.h>

/* It looks which instructions the processor has: before there are threads, and before a
 * process is confined. Where there are no random bytes it ends the process, which could
 * do nothing without. */
__attribute__((constructor)) static void curve_init(void)
{
	(void)!sodium_init();
}

void ntmc_x25519_keygen(const struct ntmc_env *env, struct ntmc_key *priv,
			uint8_t pub[static NTMC_KEY_LEN])
{
	ntmc_key_random(env, priv);
	/* every multiplication does this; done here, one key has one encoding */
	priv->b[0] &= 0xf8;
	priv->b[31] = (priv->b[31] & 0x7f) | 0x40;
	ntmc_x25519_public(priv, pub);
}

void ntmc_x25519_public(const struct ntmc_key *priv,
			uint8_t pub[static NTMC_KEY_LEN])
{
	/* fails for no scalar */
	(void)!crypto_scalarmult_curve25519_base(pub, priv->b);
}

int ntmc_x25519(const struct ntmc_key *priv,
		const uint8_t pub[static NTMC_KEY_LEN], struct ntmc_key *shared)
{
	static const uint8_t zero[NTMC_KEY_LEN];
	struct ntmc_key k;
	int r = 0;

	/* low-order points */
	if (crypto_scalarmult_curve25519(k.b, priv->b, pub) ||
	    ntmc_equal(k.b, zero, sizeof(zero)))
		r = -NTM_EAUTH;
	else
		*shared = k;
	ntmc_key_clear(&k);
	return r;
}

/* The u coordinates of all points whose order divides 8, little-endian: 0, 1, both of
 * order 8, and p - 1; 0 and 1 are also written as p and p + 1. Bit 255 counts for nothing. */
bool ntmc_x25519_public_ok(const uint8_t pub[static NTMC_KEY_LEN])
{
	static const uint8_t low[][NTMC_KEY_LEN] = {
		{0x00},
		{0x01},
		{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24,
		 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86,
		 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
		 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
		 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
		{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	};
	uint8_t u[NTMC_KEY_LEN];

	memcpy(u, pub, sizeof(u));
	u[31] &= 0x7f;
	for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++)
		if (!memcmp(u, low[i], sizeof(u)))
			return false;
	return true;
}

void ntmc_ed25519_keygen(const struct ntmc_env *env, struct ntmc_key *priv,
			 uint8_t pub[static NTMC_KEY_LEN])
{
	ntmc_key_random(env, priv);
	ntmc_ed25519_public(priv, pub);
}

void ntmc_ed25519_public(const struct ntmc_key *priv,
			 uint8_t pub[static NTMC_KEY_LEN])
{
	uint8_t both[crypto_sign_ed25519_SECRETKEYBYTES];

	(void)!crypto_sign_ed25519_seed_keypair(pub, both, priv->b);
	ntmc_wipe(both, sizeof(both));
}

void ntmc_ed25519_sign(const struct ntmc_key *priv,
		       const uint8_t pub[static NTMC_KEY_LEN], const void *msg,
		       size_t len, uint8_t sig[static NTMC_SIG_LEN])
{
	uint8_t both[crypto_sign_ed25519_SECRETKEYBYTES];

	memcpy(both, priv->b, NTMC_KEY_LEN);
	memcpy(both + NTMC_KEY_LEN, pub, NTMC_KEY_LEN);
	(void)!crypto_sign_ed25519_detached(sig, NULL, msg, len, both);
	ntmc_wipe(both, sizeof(both));
}

int ntmc_ed25519_verify(const uint8_t pub[static NTMC_KEY_LEN], const void *msg,
			size_t len, const uint8_t sig[static NTMC_SIG_LEN])
{
	/* a small-order key would verify one signature for any message */
	if (!ntmc_ed25519_public_ok(pub) || !ntmc_ed25519_public_ok(sig) ||
	    crypto_sign_ed25519_verify_detached(sig, msg, len, pub))
		return -NTM_EAUTH;
	return 0;
}

/*
 * The y coordinates of the eight points whose order divides 8, little-endian:
 * order 1, 2, 4, and both of order 8. The sign bit of x chooses between the
 * two points of one y.
 */
static const uint8_t small_order[][NTMC_KEY_LEN] = {
	{0x01},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0x00},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
	 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
	 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

/* y below 2^255 - 19, so that each point has one encoding */
static bool canonical(const uint8_t y[static NTMC_KEY_LEN])
{
	if (y[31] != 0x7f || y[0] < 0xed)
		return true;
	for (int i = 1; i < 31; i++)
		if (y[i] != 0xff)
			return true;
	return false;
}

bool ntmc_ed25519_public_ok(const uint8_t pub[static NTMC_KEY_LEN])
{
	uint8_t y[NTMC_KEY_LEN];

	memcpy(y, pub, sizeof(y));
	y[31] &= 0x7f;
	if (!canonical(y))
		return false;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]);
	     i++)
		if (!memcmp(y, small_order[i], sizeof(y)))
			return false;
	return true;
}
