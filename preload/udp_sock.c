/* SPDX-License-Identifier: MIT */
/* udp_sock - how one socket reaches virtual peers, and the aliases it does it by */
#include "preload/udp_sock.h"

#include <string.h>

#include "preload/brokerlink.h"
#include "preload/shim.h"

enum udp_route udp_sock_route(int fd, int flags, struct udp_sock *s)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	bool wild;
	int type;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6) ||
	    !shim_sock_host(fd))
		return UDP_REAL;
	type = shim_int_option(fd, SOL_SOCKET, SO_TYPE, -1);
	if (type == SOCK_STREAM)
		return flags & MSG_FASTOPEN ? UDP_SWAP : UDP_REAL;
	if (type != SOCK_DGRAM)
		return UDP_REAL;
	wild = shim_wildcard((struct sockaddr *)&ss, len, &s->port);
	if (!s->port ||
	    shim_int_option(fd, SOL_SOCKET, SO_PROTOCOL, 0) != IPPROTO_UDP)
		return UDP_SWAP;
	s->domain = ss.ss_family;
	len = sizeof(ss);
	/* connected to somebody else: neither way could bring an answer */
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		return UDP_REAL;
	s->v6only = s->domain == AF_INET6 &&
		    shim_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 1;
	return wild ? UDP_MAP : UDP_SWAP;
}

/* --- aliases ------------------------------------------------------------------------ */

static int udp_request(int fd, const struct udp_sock *s,
		       struct shim_request *req)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	req->domain = (uint16_t)s->domain;
	req->type = SOCK_DGRAM;
	req->protocol = IPPROTO_UDP;
	req->v6only = s->v6only;
	req->inode = st.st_ino;
	req->local.family = (uint16_t)s->domain;
	req->local.port = s->port;
	return 0;
}

int udp_sock_announce(int fd, const struct udp_sock *s)
{
	struct shim_request req = {.op = SHIM_UDPBIND};
	struct shim_answer ans;
	int ret = udp_request(fd, s, &req);

	if (!ret)
		ret = broker_ask(&req, &ans, NULL);
	return ret ? ret : ans.err ? -EHOSTUNREACH : 0;
}

static bool port_announced(const struct shim_page *page,
			   const struct udp_sock *s)
{
	const uint32_t *map = s->v6only ? page->udp6_ports : page->udp_ports;

	return __atomic_load_n(&map[s->port / 32], __ATOMIC_ACQUIRE) >>
		       (s->port % 32) &
	       1;
}

static int alias_ask(int fd, const struct udp_sock *s,
		     const struct shim_addr *peer, struct shim_addr *alias)
{
	struct shim_request req = {.op = SHIM_UDPALIAS, .remote = *peer};
	const struct shim_page *page = shim_page();
	struct shim_answer ans;
	int ret;

	ret = udp_request(fd, s, &req);
	if (!ret && page && !port_announced(page, s))
		ret = udp_sock_announce(fd, s);
	if (!ret)
		ret = broker_ask(&req, &ans, NULL);
	if (ret)
		return ret == -EHOSTUNREACH || ret == -EBADMSG ? -EHOSTUNREACH
							       : -ENOENT;
	/* nothing but an alias may take the place of a virtual address */
	if (ans.err || !shim_alias_range(&ans.addr) || !ans.addr.port ||
	    ans.addr.family != (s->v6only ? AF_INET6 : AF_INET))
		return -EHOSTUNREACH;
	*alias = ans.addr;
	return 0;
}

/* An AF_INET6 socket shows IPv4 peers mapped. */
static void addr_for_domain(struct shim_addr *a, int domain)
{
	if (domain != AF_INET6 || a->family != AF_INET)
		return;
	memcpy(a->addr + 12, a->addr, 4);
	memset(a->addr, 0, 10);
	memset(a->addr + 10, 0xff, 2);
	a->family = AF_INET6;
}

int udp_sock_alias(int fd, const struct udp_sock *s,
		   const struct sockaddr *peer, socklen_t peer_len,
		   struct sockaddr_storage *out, socklen_t *out_len)
{
	const struct shim_page *page = shim_page();
	struct shim_addr p, alias;
	int ret;

	if (!page || shim_addr_from(peer, peer_len, &p) < 0)
		return -ENOENT;
	shim_addr_unmap(&p);
	/* what the kernel refuses, it shall refuse */
	if ((s->domain == AF_INET && peer->sa_family != AF_INET) ||
	    (s->v6only && p.family != AF_INET6))
		return -ENOENT;
	if (!shim_flow_find(page, &p, s->port, s->v6only, &alias)) {
		ret = alias_ask(fd, s, &p, &alias);
		if (ret)
			return ret;
	}
	addr_for_domain(&alias, s->domain);
	*out_len = shim_addr_to(&alias, out);
	return 0;
}

void udp_sock_unalias(int fd, struct sockaddr *sa, socklen_t *len)
{
	const struct shim_page *page = shim_page();
	struct shim_addr alias, local, peer;
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	int saved = errno;

	if (!page || shim_addr_from(sa, *len, &alias) < 0 ||
	    !shim_alias_range(&alias))
		return;
	if (getsockname(fd, (struct sockaddr *)&ss, &ss_len) == 0 &&
	    shim_addr_from((struct sockaddr *)&ss, ss_len, &local) == 0 &&
	    shim_flow_source(page, &alias, local.port, &peer)) {
		addr_for_domain(&peer, local.family);
		if (peer.family == sa->sa_family) {
			*len = shim_addr_to(&peer, &ss);
			memcpy(sa, &ss, *len);
		}
	}
	errno = saved;
}
