/* SPDX-License-Identifier: MIT */
/*
 * filter - where an exit may send for a node, and where never
 *
 * Owner:    the exit's net process; by value. Context: its one thread.
 * An address inside another one (v4-mapped, NAT64, 6to4, ISATAP) is looked at as
 * well as the one around it. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d.
 */
#ifndef NTM_SERVERS_EXIT_FILTER_H
#define NTM_SERVERS_EXIT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define FILTER_PREFIXES_MAX 512 /* of each list */
#define FILTER_PORTS_MAX    16

/** struct filter_prefix - @len of 128 bits; of IPv4 96 more than people write */
struct filter_prefix {
	uint8_t ip[16];
	uint8_t len;
};

struct filter_list {
	struct filter_prefix p[FILTER_PREFIXES_MAX];
	size_t n;
};

/**
 * struct filter
 * @allow:  what the administrator opened (exit.allow)
 * @deny:   what else is closed (exit.deny, the domain's virtual addresses); where both
 *          name an address the longer prefix decides, and this one among equals
 * @own:    this machine's addresses: only a whole address in @allow opens one
 * @links:  what this machine is directly connected to
 * @closed: ports to which nothing is sent (exit.closed_ports)
 */
struct filter {
	struct filter_list allow, deny, own, links;
	uint16_t closed[FILTER_PORTS_MAX];
	size_t n_closed;
};

/** "192.0.2.0/24", "2001:db8::/32", or an address alone; host bits are cleared.
 *  Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int filter_prefix_parse(const char *text,
				       struct filter_prefix *out);
/** a comma separated list; NULL is empty. Return: 0, -NTM_EINVAL, -NTM_ELIMIT */
NTM_MUST_CHECK int filter_list_parse(const char *text, struct filter_list *out);
/** the same of port numbers. Return: 0, -NTM_EINVAL, -NTM_ELIMIT */
NTM_MUST_CHECK int filter_ports_parse(const char *text, struct filter *f);
/** appended; nothing when it is full: then false */
bool filter_list_add(struct filter_list *l, const void *ip, size_t ip_len,
		     unsigned int len);

/** may anything be sent there? */
bool filter_address(const struct filter *f, const uint8_t ip[static 16]);
bool filter_port(const struct filter *f, uint16_t port);
/** of 16 bytes: IPv4? */
bool filter_is4(const uint8_t ip[static 16]);
/** 4 or 16 bytes as 16 */
void filter_widen(const void *ip, size_t ip_len, uint8_t out[static 16]);

/** this machine's addresses, and what it is linked with by its interfaces and routes,
 *  read anew. Return: 0, -NTM_ESYSTEM, -NTM_ELIMIT (too many): the old ones stay */
NTM_MUST_CHECK int filter_look(struct filter *f);

#endif
