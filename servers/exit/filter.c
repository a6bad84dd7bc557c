/* SPDX-License-Identifier: MIT */
/*
 * filter - where an exit may send for a node, and where never
 *
 * Theory of operation
 *
 * Whoever sends through the exit sends from the relay's place in the network, and
 * must gain nothing by that: no service that listens for this machine alone, no
 * neighbour, no metadata service. So of IPv4 the special ranges are closed, of IPv6
 * everything but global unicast (2000::/3) and NAT64. What a translator further on
 * would make of an address counts too: an IPv4 address inside an IPv6 one is looked
 * at as if it stood alone.
 *
 * Order: an entry of exit.allow opens what it covers, unless one of exit.deny covers it
 * that is as long or longer; but an address of this machine only when it is that very
 * address. Then what is linked and the closed ranges. Both sides of an address that
 * holds another one are asked, and both must be open.
 */
#include "servers/exit/filter.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "servers/exit/routes.h"

/* closed, of IPv4: RFC 6890, and the metadata service of one provider */
static const struct {
	uint8_t ip[4];
	uint8_t len;
} closed4[] = {
	{{0, 0, 0, 0}, 8},	 {{10, 0, 0, 0}, 8},	 {{100, 64, 0, 0}, 10},
	{{127, 0, 0, 0}, 8},	 {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12},
	{{192, 0, 0, 0}, 24},	 {{192, 88, 99, 0}, 24}, {{192, 168, 0, 0}, 16},
	{{198, 18, 0, 0}, 15},	 {{224, 0, 0, 0}, 4},	 {{240, 0, 0, 0}, 4},
	{{168, 63, 129, 16}, 32}};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

void filter_widen(const void *ip, size_t ip_len, uint8_t out[static 16])
{
	if (ip_len == 4) {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + 12, ip, 4);
	} else {
		memcpy(out, ip, 16);
	}
}

bool filter_is4(const uint8_t ip[static 16])
{
	return !memcmp(ip, mapped, sizeof(mapped));
}

static bool covers(const struct filter_prefix *p, const uint8_t *ip)
{
	unsigned int whole = p->len / 8, rest = p->len % 8;

	if (memcmp(p->ip, ip, whole))
		return false;
	return !rest || !((p->ip[whole] ^ ip[whole]) >> (8 - rest));
}

/* bits of the longest prefix that covers @ip, and one more; 0: none does */
static unsigned int list_find(const struct filter_list *l, const uint8_t *ip)
{
	unsigned int longest = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->p[i].len >= longest && covers(&l->p[i], ip))
			longest = l->p[i].len + 1u;
	return longest;
}

bool filter_list_add(struct filter_list *l, const void *ip, size_t ip_len,
		     unsigned int len)
{
	struct filter_prefix *p = &l->p[l->n];
	uint8_t wide[16];

	if (len > ip_len * 8)
		return false;
	filter_widen(ip, ip_len, wide);
	if (list_find(l, wide) == (ip_len == 4 ? len + 96 : len) + 1)
		return true; /* it is there */
	if (l->n == FILTER_PREFIXES_MAX)
		return false;
	memcpy(p->ip, wide, sizeof(wide));
	p->len = (uint8_t)(ip_len == 4 ? len + 96 : len);
	for (unsigned int bit = p->len; bit < 128; bit++)
		p->ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	l->n++;
	return true;
}

/* --- text ------------------------------------------------------------------------ */

int filter_prefix_parse(const char *text, struct filter_prefix *out)
{
	struct filter_list one = {.n = 0};
	char copy[ADDR_TEXT_LEN], *slash, *end;
	unsigned long len;
	const uint8_t *ip;
	struct addr a;
	size_t n;

	if (strlen(text) >= sizeof(copy))
		return -NTM_EINVAL;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	if (strchr(copy, '[') || strchr(copy, '%') || addr_parse(copy, 0, &a) ||
	    addr_port(&a))
		return -NTM_EINVAL;
	ip = addr_ip(&a, &n);
	len = n * 8;
	if (slash) {
		if (*slash < '0' || *slash > '9')
			return -NTM_EINVAL;
		len = strtoul(slash, &end, 10);
		if (*end || len > n * 8)
			return -NTM_EINVAL;
	}
	if (!filter_list_add(&one, ip, n, (unsigned int)len))
		return -NTM_EINVAL;
	*out = one.p[0];
	return 0;
}

/* the next item of a comma separated list. Return: its length, 0 at the end */
static size_t list_item(const char **at, const char **item)
{
	size_t n;

	*at += strspn(*at, ", \t");
	*item = *at;
	n = strcspn(*at, ", \t");
	*at += n;
	return n;
}

int filter_list_parse(const char *text, struct filter_list *out)
{
	const char *at = text ? text : "", *item;
	struct filter_list l = {.n = 0};
	char word[ADDR_TEXT_LEN];
	size_t n;
	int err;

	while ((n = list_item(&at, &item))) {
		if (l.n == FILTER_PREFIXES_MAX)
			return -NTM_ELIMIT;
		if (n >= sizeof(word))
			return -NTM_EINVAL;
		memcpy(word, item, n);
		word[n] = '\0';
		err = filter_prefix_parse(word, &l.p[l.n]);
		if (err)
			return err;
		l.n++;
	}
	*out = l;
	return 0;
}

int filter_ports_parse(const char *text, struct filter *f)
{
	const char *at = text ? text : "", *item;
	uint16_t ports[FILTER_PORTS_MAX];
	size_t n, n_ports = 0;

	while ((n = list_item(&at, &item))) {
		char *end;
		unsigned long v = strtoul(item, &end, 10);

		if (n_ports == FILTER_PORTS_MAX)
			return -NTM_ELIMIT;
		if (*item < '0' || *item > '9' || end != item + n || !v ||
		    v > 65535)
			return -NTM_EINVAL;
		ports[n_ports++] = (uint16_t)v;
	}
	memcpy(f->closed, ports, n_ports * sizeof(ports[0]));
	f->n_closed = n_ports;
	return 0;
}

/* --- the question ------------------------------------------------------------------- */

static bool is_closed4(const uint8_t *ip4)
{
	for (size_t i = 0; i < sizeof(closed4) / sizeof(closed4[0]); i++) {
		struct filter_prefix p = {.len = closed4[i].len};

		memcpy(p.ip, closed4[i].ip, 4);
		if (covers(&p, ip4))
			return true;
	}
	return false;
}

/* by its kind alone */
static bool is_closed(const uint8_t *ip)
{
	static const uint8_t teredo[4] = {0x20, 0x01, 0, 0};

	if (filter_is4(ip))
		return is_closed4(ip + 12);
	if (!memcmp(ip, nat64, 12))
		return false; /* what is inside decides */
	/* not global unicast, or an address whose place a stranger chose */
	return ip[0] >> 5 != 1 || !memcmp(ip, teredo, 4);
}

/* the IPv4 address that a translator would find in @ip. Return: false: none */
static bool inner4(const uint8_t *ip, uint8_t out[static 16])
{
	const uint8_t *at = NULL;

	if (!memcmp(ip, nat64, 12))
		at = ip + 12;
	else if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4 */
		at = ip + 2;
	else if (!(ip[8] & ~2) && !ip[9] && ip[10] == 0x5e && ip[11] == 0xfe)
		at = ip + 12; /* ISATAP */
	if (!at)
		return false;
	filter_widen(at, 4, out);
	return true;
}

static bool is_open(const struct filter *f, const uint8_t *ip)
{
	unsigned int allow = list_find(&f->allow, ip);
	unsigned int deny = list_find(&f->deny, ip);

	if (list_find(&f->own, ip))
		return allow == 128 + 1 && deny < allow;
	if (allow || deny)
		return allow > deny;
	return !list_find(&f->links, ip) && !is_closed(ip);
}

bool filter_address(const struct filter *f, const uint8_t ip[static 16])
{
	uint8_t inside[16];

	if (!is_open(f, ip))
		return false;
	return !inner4(ip, inside) || is_open(f, inside);
}

bool filter_port(const struct filter *f, uint16_t port)
{
	for (size_t i = 0; i < f->n_closed; i++)
		if (f->closed[i] == port)
			return false;
	return port != 0;
}

/* --- this machine ---------------------------------------------------------------------- */

static unsigned int mask_bits(const uint8_t *mask, size_t n)
{
	unsigned int bits = 0;

	while (bits < n * 8 && mask[bits / 8] >> (7 - bits % 8) & 1)
		bits++;
	return bits;
}

static const uint8_t *ip_of(const struct sockaddr *sa, size_t *n)
{
	*n = sa->sa_family == AF_INET ? 4 : 16;
	return *n == 4 ? (const uint8_t *)&(
				 (const struct sockaddr_in *)(const void *)sa)
				 ->sin_addr
		       : ((const struct sockaddr_in6 *)(const void *)sa)
				 ->sin6_addr.s6_addr;
}

int filter_look(struct filter *f)
{
	struct filter_list own = {.n = 0}, links = {.n = 0};
	struct ifaddrs *list, *i;
	bool room = true;
	int err;

	if (getifaddrs(&list))
		return -NTM_ESYSTEM;
	for (i = list; i && room; i = i->ifa_next) {
		const uint8_t *ip, *mask;
		size_t n;

		if (!i->ifa_addr || !i->ifa_netmask ||
		    (i->ifa_addr->sa_family != AF_INET &&
		     i->ifa_addr->sa_family != AF_INET6))
			continue;
		ip = ip_of(i->ifa_addr, &n);
		mask = ip_of(i->ifa_netmask, &n);
		n = i->ifa_addr->sa_family == AF_INET ? 4 : 16;
		room = filter_list_add(&own, ip, n, (unsigned int)n * 8) &&
		       filter_list_add(&links, ip, n, mask_bits(mask, n));
		if (room && i->ifa_dstaddr &&
		    i->ifa_dstaddr->sa_family == i->ifa_addr->sa_family)
			room = filter_list_add(&links,
					       ip_of(i->ifa_dstaddr, &n), n,
					       (unsigned int)n * 8);
	}
	freeifaddrs(list);
	if (!room) /* more than we can hold: what is not known is not safe */
		return -NTM_ELIMIT;
	err = routes_add(&own, &links);
	if (err)
		return err;
	f->own = own;
	f->links = links;
	return 0;
}
