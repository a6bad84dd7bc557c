/* SPDX-License-Identifier: MIT */
/*
 * join - the join string: where a domain's AS is and which CA it must show
 *
 *   ntm1:DOMAIN@ADDRESS:PORT[,ADDRESS:PORT...]#FINGERPRINT
 *
 * One word a person can paste: the CA's fingerprint is 64 hexadecimal digits
 * (SHA-256 of its SubjectPublicKeyInfo), an IPv6 address stands in brackets.
 * Owner: by value. Context: ntm login, ntm-broker, ntm-server.
 */
#ifndef NTM_COMMON_JOIN_H
#define NTM_COMMON_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/ntmcrypto.h"

#define JOIN_ADDRESSES_MAX 4
#define JOIN_PORT	   4501 /* of an AS, where the string names none */
#define JOIN_TEXT_MAX                                                          \
	(5 + FQDN_MAX + JOIN_ADDRESSES_MAX * ADDR_TEXT_LEN + NTMC_FP_TEXT_LEN)

/** struct join - @n_addrs is 1 .. JOIN_ADDRESSES_MAX; tried in this order */
struct join {
	char domain[FQDN_MAX + 1];
	size_t n_addrs;
	struct addr addrs[JOIN_ADDRESSES_MAX];
	uint8_t ca_fp[NTMC_FP_LEN];
};

/**
 * join_parse() - read one; white space around it is allowed
 * @out: untouched on error
 *
 * Return: 0, -NTM_EINVAL (not a join string), -NTM_EVERSION (ntm2: ...)
 */
NTM_MUST_CHECK int join_parse(const char *text, struct join *out);

/** @buf: JOIN_TEXT_MAX bytes. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int join_format(const struct join *j,
			       char buf[static JOIN_TEXT_MAX]);

#endif
