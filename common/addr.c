/* SPDX-License-Identifier: MIT */
/* addr - an outer address: IPv4 or IPv6 and port */
#include "common/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void addr_clear(struct addr *a)
{
	memset(a, 0, sizeof(*a));
}

bool addr_is_set(const struct addr *a)
{
	return addr_len(a) != 0;
}

socklen_t addr_len(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return sizeof(a->in4);
	if (a->sa.sa_family == AF_INET6)
		return sizeof(a->in6);
	return 0;
}

int addr_from_ip(const void *ip, size_t ip_len, uint16_t port, struct addr *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *b = ip; /* may lie anywhere: no struct in6_addr */

	if (ip_len != 4 && ip_len != 16)
		return -NTM_EINVAL;
	if (ip_len == 16 && !memcmp(b, mapped, sizeof(mapped))) {
		b += 12;
		ip_len = 4;
	}
	addr_clear(out);
	if (ip_len == 4) {
		out->in4.sin_family = AF_INET;
		out->in4.sin_port = htons(port);
		memcpy(&out->in4.sin_addr, b, 4);
	} else {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		memcpy(&out->in6.sin6_addr, b, 16);
	}
	return 0;
}

int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len,
		       struct addr *out)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;
	int ret;

	if (len < sizeof(sa->sa_family))
		return -NTM_EINVAL;
	if (sa->sa_family == AF_INET && len >= sizeof(in4)) {
		memcpy(&in4, sa, sizeof(in4));
		return addr_from_ip(&in4.sin_addr, 4, ntohs(in4.sin_port), out);
	}
	if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		ret = addr_from_ip(&in6.sin6_addr, 16, ntohs(in6.sin6_port),
				   out);
		if (ret == 0 && out->sa.sa_family == AF_INET6)
			out->in6.sin6_scope_id = in6.sin6_scope_id;
		return ret;
	}
	return -NTM_EINVAL;
}

int addr_any(int family, uint16_t port, struct addr *out)
{
	static const uint8_t zero[16];

	if (family != AF_INET && family != AF_INET6)
		return -NTM_EINVAL;
	return addr_from_ip(zero, family == AF_INET ? 4 : 16, port, out);
}

const uint8_t *addr_ip(const struct addr *a, size_t *len)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		*len = 4;
		return (const uint8_t *)&a->in4.sin_addr;
	case AF_INET6:
		*len = 16;
		return (const uint8_t *)&a->in6.sin6_addr;
	}
	*len = 0;
	return NULL;
}

uint16_t addr_port(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in4.sin_port);
	if (a->sa.sa_family == AF_INET6)
		return ntohs(a->in6.sin6_port);
	return 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in4.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_ip(const struct addr *a, const struct addr *b)
{
	size_t len_a, len_b;
	const uint8_t *ip_a = addr_ip(a, &len_a), *ip_b = addr_ip(b, &len_b);

	if (len_a != len_b)
		return order(len_a, len_b);
	return len_a ? memcmp(ip_a, ip_b, len_a) : 0;
}

static uint32_t addr_scope(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? a->in6.sin6_scope_id : 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	int diff = compare_ip(a, b);

	if (!diff)
		diff = order(addr_port(a), addr_port(b));
	return diff ? diff : order(addr_scope(a), addr_scope(b));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
	return compare_ip(a, b) == 0 && addr_scope(a) == addr_scope(b);
}

static int parse_port(const char *text, uint16_t *port)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] < '0' || text[i] > '9' || i == 5)
			return -NTM_EINVAL;
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	if (i == 0 || n > 65535)
		return -NTM_EINVAL;
	*port = (uint16_t)n;
	return 0;
}

/* An IPv6 address with an optional %scope: a number or an interface here. */
static int parse_in6(char *text, uint16_t port, struct addr *out)
{
	char *scope = strchr(text, '%');
	struct in6_addr ip;
	uint32_t id = 0;
	int ret;

	if (scope) {
		char *end;

		*scope++ = '\0';
		id = if_nametoindex(scope);
		if (!id && scope[0] >= '0' && scope[0] <= '9') {
			id = (uint32_t)strtoul(scope, &end, 10);
			if (*end)
				id = 0;
		}
		if (!id)
			return -NTM_EINVAL;
	}
	if (inet_pton(AF_INET6, text, &ip) != 1)
		return -NTM_EINVAL;
	ret = addr_from_ip(&ip, 16, port, out);
	if (ret == 0 && out->sa.sa_family == AF_INET6)
		out->in6.sin6_scope_id = id;
	return ret;
}

int addr_parse(const char *text, uint16_t port, struct addr *out)
{
	char buf[ADDR_TEXT_LEN], *colon, *close;
	size_t len = strlen(text);
	struct in_addr ip;

	if (len >= sizeof(buf))
		return -NTM_EINVAL;
	memcpy(buf, text, len + 1);
	if (buf[0] == '[') {
		close = strchr(buf, ']');
		if (!close)
			return -NTM_EINVAL;
		if (close[1] &&
		    (close[1] != ':' || parse_port(close + 2, &port)))
			return -NTM_EINVAL;
		*close = '\0';
		return parse_in6(buf + 1, port, out);
	}
	colon = strchr(buf, ':');
	if (colon && strchr(colon + 1, ':'))
		return parse_in6(buf, port, out);
	if (colon) {
		*colon = '\0';
		if (parse_port(colon + 1, &port))
			return -NTM_EINVAL;
	}
	if (inet_pton(AF_INET, buf, &ip) != 1)
		return -NTM_EINVAL;
	return addr_from_ip(&ip, 4, port, out);
}

const char *addr_format_ip(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	if (!ip) {
		strcpy(buf, "none");
		return buf;
	}
	inet_ntop(a->sa.sa_family, ip, buf, ADDR_TEXT_LEN);
	if (addr_scope(a)) {
		len = strlen(buf);
		snprintf(buf + len, ADDR_TEXT_LEN - len, "%%%u", addr_scope(a));
	}
	return buf;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	char ip[ADDR_TEXT_LEN];

	addr_format_ip(a, ip);
	if (!addr_is_set(a))
		snprintf(buf, ADDR_TEXT_LEN, "%.60s", ip);
	else if (a->sa.sa_family == AF_INET)
		snprintf(buf, ADDR_TEXT_LEN, "%.60s:%u", ip, addr_port(a));
	else
		snprintf(buf, ADDR_TEXT_LEN, "[%.60s]:%u", ip, addr_port(a));
	return buf;
}

bool addr_is_usable_remote(const struct addr *a)
{
	const struct in6_addr *ip6 = &a->in6.sin6_addr;
	uint32_t ip;

	if (!addr_port(a))
		return false;
	if (a->sa.sa_family == AF_INET) {
		ip = ntohl(a->in4.sin_addr.s_addr);
		return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 != 0xe &&
		       ip != INADDR_BROADCAST;
	}
	return !IN6_IS_ADDR_MULTICAST(ip6) && !IN6_IS_ADDR_LINKLOCAL(ip6) &&
	       !IN6_IS_ADDR_UNSPECIFIED(ip6) && !IN6_IS_ADDR_LOOPBACK(ip6) &&
	       !IN6_IS_ADDR_V4COMPAT(ip6) && !IN6_IS_ADDR_V4MAPPED(ip6);
}
