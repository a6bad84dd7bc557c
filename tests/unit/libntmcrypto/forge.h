/* SPDX-License-Identifier: MIT */
/*
 * forge - certificates that ntmc_ca_new() and ntmc_ca_issue() would not make
 *
 * Owner:    none; the bytes are written into the caller's struct der.
 *
 * fixture_ca(n) has the key of fixture_identity(n), so these are signed by the
 * very CA that the tests trust.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_FORGE_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_FORGE_H

#include "fixture.h"

#define FORGE_DAY 86400
#define FORGE_CA  1 /* the n of the CA that signs leaves */

struct der {
	uint8_t b[2048];
	size_t len;
};

/** enum forge - what is wrong with it, as bits */
enum forge {
	NO_CONSTRAINTS = 1 << 0,
	NOT_CRITICAL = 1 << 1,
	OTHER_PREFIX6 = 1 << 2,
	WIDE_PREFIX6 = 1 << 3,
	NO_DOMAIN = 1 << 4,
	TWO_DOMAINS = 1 << 5,
	EXCLUDED = 1 << 6,
	NO_IP4 = 1 << 7,
	HOLED_MASK4 = 1 << 8,
	NOT_CA = 1 << 9,
	OTHER_SIGNER = 1 << 10,
	EMAIL_TOO = 1 << 11,
	NO_IP6 = 1 << 12,
	ANY_NAME = 1 << 13,
	SAME_SUBJECT = 1 << 14, /* name and key identifier of FORGE_CA's */
	/* leaves */
	LEAF_EMAIL = 1 << 16,
	LEAF_CA = 1 << 17,
	LEAF_UNKNOWN_CRITICAL = 1 << 18,
	LEAF_NO_USAGE = 1 << 19,
	LEAF_UNKNOWN = 1 << 20,
	LEAF_TWO_NAMES = 1 << 21,
};

/** forge_ca() - a self-signed CA with the key of fixture_identity(@n) */
void forge_ca(uint8_t n, const char *domain, unsigned int how, struct der *out);
/** forge_leaf() - @c as it is, one day from FIXTURE_NOW, signed by FORGE_CA */
void forge_leaf(const struct der *ca, const struct ntmc_cert *c,
		unsigned int how, struct der *out);

#endif
