/* SPDX-License-Identifier: MIT */
/* shimpage - addresses as programs see them, and readers of the shared page */
#include "preload/shimproto.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define SEQ_TRIES 1000 /* a writer that died half-way must not hang a reader */

/* --- addresses ------------------------------------------------------------------- */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int shim_addr_from(const struct sockaddr *sa, socklen_t len,
		   struct shim_addr *out)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	memset(out, 0, sizeof(*out));
	if (!sa || len < offsetof(struct sockaddr_in, sin_zero))
		return -EINVAL;
	if (sa->sa_family == AF_INET) {
		out->port = ntohs(in->sin_port);
		memcpy(out->addr, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6 &&
		   len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		out->port = ntohs(in6->sin6_port);
		memcpy(out->addr, &in6->sin6_addr, 16);
	} else {
		return -EAFNOSUPPORT;
	}
	out->family = sa->sa_family;
	return 0;
}

socklen_t shim_addr_to(const struct shim_addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *in6 = (void *)ss;
	struct sockaddr_in *in = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = a->family;
	if (a->family == AF_INET) {
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->addr, 4);
		return sizeof(*in);
	}
	if (a->family != AF_INET6)
		return 0;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->addr, 16);
	return sizeof(*in6);
}

void shim_addr_unmap(struct shim_addr *a)
{
	if (a->family != AF_INET6 || memcmp(a->addr, mapped, sizeof(mapped)))
		return;
	a->family = AF_INET;
	memmove(a->addr, a->addr + 12, 4);
	memset(a->addr + 4, 0, 12);
}

/* --- the shared page --------------------------------------------------------------- */

/* What follows is what every connect() and send of every program pays: scalars
 * only, for an array would have the compiler guard the frame. */
static uint64_t load64(const void *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

static inline bool ranges_hold4(const struct shim_page *page, uint32_t addr)
{
	const struct shim_range *r = page->ranges;
	uint32_t net;

	for (; r < page->ranges + SHIM_RANGES_MAX && r->family; r++) {
		memcpy(&net, r->addr, sizeof(net));
		if (r->family == AF_INET && r->prefix_len <= 32 &&
		    !((uint64_t)(ntohl(net) ^ addr) >> (32 - r->prefix_len)))
			return true;
	}
	return false;
}

static inline bool ranges_hold6(const struct shim_page *page, uint64_t high,
				uint64_t low)
{
	const struct shim_range *r = page->ranges;
	unsigned int len;

	for (; r < page->ranges + SHIM_RANGES_MAX && r->family; r++) {
		len = r->prefix_len;
		if (r->family != AF_INET6 || len > 128)
			continue;
		if (len > 64 && load64(r->addr) == high &&
		    !((load64(r->addr + 8) ^ low) >> (128 - len)))
			return true;
		if (!len ||
		    (len <= 64 && !((load64(r->addr) ^ high) >> (64 - len))))
			return true;
	}
	return false;
}

/* Has the page stayed the same since @seq was read? */
static inline bool page_same(const struct shim_page *page, uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(seq & 1) &&
	       __atomic_load_n(&page->seq, __ATOMIC_RELAXED) == seq;
}

static inline uint32_t page_seq(const struct shim_page *page)
{
	return __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
}

/* The writer is at work, or dead: try some times, then take what is there. */
__attribute__((noinline, cold)) static bool
virtual_again(const struct shim_page *page, bool four, uint64_t high,
	      uint64_t low)
{
	bool yes = false, same = false;
	uint32_t seq;
	int tries;

	for (tries = 0; !same && tries < SEQ_TRIES; tries++) {
		seq = page_seq(page);
		yes = four ? ranges_hold4(page, (uint32_t)low)
			   : ranges_hold6(page, high, low);
		same = page_same(page, seq);
	}
	return yes;
}

__attribute__((noinline)) static bool virtual4(const struct shim_page *page,
					       uint32_t addr)
{
	uint32_t seq = page_seq(page);
	bool yes = ranges_hold4(page, addr);

	return page_same(page, seq) ? yes : virtual_again(page, true, 0, addr);
}

__attribute__((noinline)) static bool virtual6(const struct shim_page *page,
					       uint64_t high, uint64_t low)
{
	uint32_t seq = page_seq(page);
	bool yes;

	if (!high && low >> 32 == 0xffff)
		return virtual4(page, (uint32_t)low);
	yes = ranges_hold6(page, high, low);
	return page_same(page, seq) ? yes
				    : virtual_again(page, false, high, low);
}

bool shim_page_virtual(const struct shim_page *page, const struct sockaddr *sa,
		       socklen_t len)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	if (!sa || len < sizeof(struct sockaddr_in))
		return false;
	if (sa->sa_family == AF_INET)
		return virtual4(page, ntohl(in->sin_addr.s_addr));
	if (sa->sa_family != AF_INET6 ||
	    len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return false;
	return virtual6(page, load64(&in6->sin6_addr.s6_addr[0]),
			load64(&in6->sin6_addr.s6_addr[8]));
}

uint32_t shim_flow_hash(const struct shim_addr *peer, uint16_t server)
{
	size_t i, n = peer->family == AF_INET ? 4 : 16;
	uint32_t h = 2166136261u ^ peer->family;

	for (i = 0; i < n; i++)
		h = (h ^ peer->addr[i]) * 16777619u;
	h = (h ^ peer->port) * 16777619u;
	h = (h ^ server) * 16777619u;
	/* the product leaves the low bits weak, and these choose the chain */
	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	return h ^ h >> 13;
}

/* A consistent copy of a flow, live or not. */
static bool flow_read(const struct shim_page *page, uint32_t number,
		      struct shim_flow *out)
{
	const struct shim_flow *f;
	uint32_t seq;
	int tries;

	if (number >= SHIM_FLOWS)
		return false;
	f = &page->flows[number];
	for (tries = 0; tries < SEQ_TRIES; tries++) {
		seq = __atomic_load_n(&f->seq, __ATOMIC_ACQUIRE);
		if (seq & 1)
			continue;
		memcpy(out, f, sizeof(*out));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&f->seq, __ATOMIC_RELAXED) == seq)
			return true;
	}
	return false;
}

static bool addr_equal(const struct shim_addr *a, const struct shim_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->addr, b->addr, a->family == AF_INET ? 4 : 16);
}

bool shim_flow_find(const struct shim_page *page, const struct shim_addr *peer,
		    uint16_t server, bool v6only, struct shim_addr *alias)
{
	uint32_t slot = shim_flow_hash(peer, server) % SHIM_FLOWS;
	uint32_t next = __atomic_load_n(&page->hash[slot], __ATOMIC_ACQUIRE);
	uint32_t ip, steps;
	struct shim_flow f;

	/* bounded: the chain may be changing under us */
	for (steps = 0; next && steps < 64; steps++) {
		uint32_t number = next - 1;

		if (!flow_read(page, number, &f))
			return false;
		next = f.next;
		if (!f.live || f.server != server ||
		    !addr_equal(&f.peer, peer) ||
		    !(v6only ? f.alias6_port : f.alias_port))
			continue;
		memset(alias, 0, sizeof(*alias));
		if (v6only) {
			alias->family = AF_INET6;
			alias->port = f.alias6_port;
			alias->addr[15] = 1;
			return true;
		}
		alias->family = AF_INET;
		alias->port = f.alias_port;
		ip = htonl(SHIM_UDPALIAS_NET + number);
		memcpy(alias->addr, &ip, 4);
		return true;
	}
	return false;
}

static bool alias_number(const struct shim_addr *a, uint32_t *number)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *v4 = a->addr;
	uint32_t ip;

	if (a->family == AF_INET6) {
		if (!memcmp(a->addr, one, 16)) {
			*number = (uint32_t)a->port - SHIM_UDPALIAS6_PORT;
			return a->port >= SHIM_UDPALIAS6_PORT;
		}
		if (memcmp(a->addr, mapped, sizeof(mapped)))
			return false;
		v4 += 12;
	} else if (a->family != AF_INET) {
		return false;
	}
	memcpy(&ip, v4, 4);
	ip = ntohl(ip);
	*number = ip & ~SHIM_UDPALIAS_MASK;
	return (ip & SHIM_UDPALIAS_MASK) == SHIM_UDPALIAS_NET;
}

bool shim_alias_range(const struct shim_addr *a)
{
	uint32_t number;

	return alias_number(a, &number);
}

bool shim_flow_source(const struct shim_page *page,
		      const struct shim_addr *alias, uint16_t server,
		      struct shim_addr *peer)
{
	struct shim_addr a = *alias;
	struct shim_flow f;
	uint32_t number;

	shim_addr_unmap(&a);
	if (!alias_number(&a, &number) || !flow_read(page, number, &f) ||
	    !f.live || f.server != server || !a.port ||
	    (a.family == AF_INET ? f.alias_port : f.alias6_port) != a.port)
		return false;
	*peer = f.peer;
	return true;
}
