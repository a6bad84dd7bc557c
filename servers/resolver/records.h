/* SPDX-License-Identifier: MIT */
/*
 * records - what is taken from DNS records: a fingerprint, a host and port, addresses
 *
 * Owner:   stateless. Bytes are the data of one record, as libunbound gives them:
 *          names in full, nothing about them believed.
 */
#ifndef NTM_SERVERS_RESOLVER_RECORDS_H
#define NTM_SERVERS_RESOLVER_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "libntmcrypto/ntmcrypto.h"

#define RECORDS_NAME_MAX 254

/** struct record_srv - @target: printable: letters, digits, - _ and . */
struct record_srv {
	uint16_t priority, weight, port;
	char target[RECORDS_NAME_MAX];
};

/** TXT: "v=ntm1 ca=" and 64 hexadecimal digits begin its first string. Return: it is */
bool records_txt(const uint8_t *p, size_t len, uint8_t fp[static NTMC_FP_LEN]);
/** Return: it names a host and a port */
bool records_srv(const uint8_t *p, size_t len, struct record_srv *out);
/** of two SRV records: is @a to be taken before @b? */
bool records_srv_first(const struct record_srv *a, const struct record_srv *b);
/** A or AAAA. Return: it is an address that one may connect to (@loopback: 127.0.0.1
 *  and the like, too) */
bool records_address(const uint8_t *p, size_t len, uint16_t port, bool loopback,
		     struct addr *out);

#endif
