/* SPDX-License-Identifier: MIT */
/*
 * fixture - what the tests of libntmcrypto share: hexadecimal, a clock and a
 * source of randomness that repeat, damage to every byte of an encoding
 *
 * Owner:    the test program; fixture.c has no state of its own.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_FIXTURE_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "libntmcrypto/ntmcrypto.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** unhex() - fails the test unless @hex is pairs of digits that fit @size */
size_t unhex(const char *hex, void *out, size_t size);
#define assert_hex(p, len, hex)                                                \
	assert_hex_at((p), (len), (hex), __FILE__, __LINE__)
void assert_hex_at(const void *p, size_t len, const char *hex, const char *file,
		   int line);

/**
 * struct script - an env that gives given bytes first, then counts
 * @bytes, @len: handed out once, in order
 * @fill:        every later byte is fill++
 * @now:         the clock
 */
struct script {
	uint8_t bytes[64];
	size_t len, pos;
	uint8_t fill;
	int64_t now;
};
struct ntmc_env script_env(struct script *s);

/** fixture_identity() - an identity that is the same every time for @n */
void fixture_identity(uint8_t n, struct ntmc_identity *id);

#define FIXTURE_NOW 1800000000 /* some second in 2027 */

/** fixture_ca() - a CA of @domain over 198.18.0.0/15, one year from FIXTURE_NOW
 */
struct ntmc_ca *fixture_ca(const char *domain, uint8_t n,
			   uint8_t prefix6[static 16]);
/** fixture_node() - a node's certificate fields, ready to issue */
void fixture_node(const uint8_t prefix6[static 16], const char *fqdn,
		  const struct ntmc_identity *id, struct ntmc_cert *cert);
/** fixture_server() - the same for a server with @roles */
void fixture_server(const char *fqdn, const struct ntmc_identity *id,
		    uint32_t roles, struct ntmc_cert *cert);
/** a temporary folder of the test's own; removed by fixture_rmdir() */
void fixture_mkdir(char path[static 64]);
void fixture_rmdir(const char *path);

#endif
