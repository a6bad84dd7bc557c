/* SPDX-License-Identifier: MIT */
/*
 * addr - an outer address: IPv4 or IPv6 and port
 *
 * Owner:    by value, everywhere. Unused bytes are zero, so that a struct addr
 *           can be a hash key and memcmp() agrees with addr_equal().
 * Context:  any.
 * An IPv4 address inside IPv6 (::ffff:a.b.c.d) becomes IPv4 on its way in, so
 * that one host has one form. Scope ids are kept from sockets, never from peers.
 */
#ifndef NTM_COMMON_ADDR_H
#define NTM_COMMON_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/ntm.pb-c.h"

#define ADDR_TEXT_LEN	 72 /* "[IPv6%scope]:port" and NUL */
#define ADDR_REMOTES_MAX 8  /* addresses a message may name for one node */

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
};

/** all zero: no address; neither family */
void addr_clear(struct addr *a);
bool addr_is_set(const struct addr *a);
/** bytes of the sockaddr; 0 when not set */
socklen_t addr_len(const struct addr *a);

/** Return: 0, -NTM_EINVAL (another family, or @len too short for it) */
NTM_MUST_CHECK int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len,
				      struct addr *out);
/** @ip: @ip_len 4 or 16 bytes, network order. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int addr_from_ip(const void *ip, size_t ip_len, uint16_t port,
				struct addr *out);
/** the wildcard of AF_INET or AF_INET6 */
NTM_MUST_CHECK int addr_any(int family, uint16_t port, struct addr *out);
/** network order, 4 or 16 bytes; borrowed. NULL and 0 when not set */
const uint8_t *addr_ip(const struct addr *a, size_t *len);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_equal_ip(const struct addr *a, const struct addr *b);
/** a total order: family, address, port, scope; for qsort() */
int addr_compare(const struct addr *a, const struct addr *b);

/**
 * addr_parse() - "192.0.2.1:4500", "[2001:db8::1]:4500", or an address alone
 * @port: for an address alone; no names are looked up
 *
 * Return: 0, -NTM_EINVAL
 */
NTM_MUST_CHECK int addr_parse(const char *text, uint16_t port,
			      struct addr *out);
/** as addr_parse() reads it. Return: @buf */
const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN]);
/** the address without port and brackets. Return: @buf */
const char *addr_format_ip(const struct addr *a,
			   char buf[static ADDR_TEXT_LEN]);

/** may we send to it because somebody named it? Not: unspecified, 0/8, loopback,
 *  multicast, broadcast, IPv6 link-local (no scope travels), port 0 */
bool addr_is_usable_remote(const struct addr *a);

/** Return: 0, -NTM_EDECODE (a length or port that is none) */
NTM_MUST_CHECK int addr_from_message(const Ntm__Address *m, struct addr *out);
/** @out borrows the bytes of @a, which must outlive it */
void addr_to_message(const struct addr *a, Ntm__AddressKind kind,
		     Ntm__Address *out);
/**
 * addr_list_from_messages() - the usable ones, each once, in order
 * @out: @max places; more are left out
 *
 * Return: how many
 */
size_t addr_list_from_messages(Ntm__Address *const *m, size_t n,
			       struct addr *out, size_t max);

#endif
