/* SPDX-License-Identifier: MIT */
/* fakenet - the namespace, doorbells and UDP mapping of the fake broker */
#include "tests/preload/fakenet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/preload/fake.h"

#define BELLS 64
#define MAPS  64

static int factory = -1;
static struct shim_page *page;

static struct bell {
	int fd, behind;
	struct shim_addr from, to;
} bells[BELLS];

static socklen_t addr_make(const char *text, uint16_t port,
			   struct sockaddr_storage *ss)
{
	struct shim_addr a = {.family = AF_INET, .port = port};

	if (strchr(text, ':'))
		a.family = AF_INET6;
	inet_pton(a.family, text, a.addr);
	return shim_addr_to(&a, ss);
}

/* --- the namespace ------------------------------------------------------------------ */

static int ns_address4(int fd, const char *label, const char *text)
{
	struct ifreq ifr = {0};
	struct sockaddr_storage ss;

	strncpy(ifr.ifr_name, label, IFNAMSIZ - 1);
	addr_make(text, 0, &ss);
	memcpy(&ifr.ifr_addr, &ss, sizeof(ifr.ifr_addr));
	return ioctl(fd, SIOCSIFADDR, &ifr);
}

static int ns_address6(const char *text)
{
	struct in6_ifreq ifr = {.ifr6_prefixlen = 128, .ifr6_ifindex = 1};
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), ret, turns = 5000;
	struct sockaddr_storage ss;

	inet_pton(AF_INET6, text, &ifr.ifr6_addr);
	ret = ioctl(fd, SIOCSIFADDR, &ifr);
	/* It is tentative until the kernel's worker has been at it, even on lo. */
	addr_make(text, 0, &ss);
	while (!ret && (ret = bind(fd, (struct sockaddr *)&ss, sizeof(ss))) &&
	       errno == EADDRNOTAVAIL && turns-- > 0)
		ret = usleep(1000);
	close(fd);
	return ret;
}

/* addresses of many lead to lo, as to the TUN in a broker's namespace */
static int ns_routes(int fd)
{
	struct in6_rtmsg six = {.rtmsg_dst_len = 16,
				.rtmsg_metric = 1,
				.rtmsg_flags = RTF_UP,
				.rtmsg_ifindex = 1};
	char lo[] = "lo";
	struct rtentry four = {.rt_flags = RTF_UP, .rt_dev = lo};
	struct sockaddr_storage ss;
	int fd6 = socket(AF_INET6, SOCK_DGRAM, 0), ret;

	addr_make("239.0.0.0", 0, &ss);
	memcpy(&four.rt_dst, &ss, sizeof(four.rt_dst));
	addr_make("255.0.0.0", 0, &ss);
	memcpy(&four.rt_genmask, &ss, sizeof(four.rt_genmask));
	inet_pton(AF_INET6, "ff38::", &six.rtmsg_dst);
	ret = ioctl(fd, SIOCADDRT, &four) | ioctl(fd6, SIOCADDRT, &six);
	close(fd6);
	return ret;
}

static int ns_setup(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd, ret;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
	ret = ioctl(fd, SIOCSIFFLAGS, &ifr);
	if (!ret)
		ret = ns_address4(fd, "lo:1", NODE4) |
		      ns_address4(fd, "lo:2", PEER4) | ns_address6(NODE6) |
		      ns_address6(PEER6) | ns_routes(fd);
	close(fd);
	return ret;
}

static void ns_serve(int link)
{
	int want[3], fd, unwanted;
	uint8_t ok = 1;

	ok = ns_setup() == 0;
	shim_msg_send(link, &ok, 1, -1);
	while (ok && shim_msg_recv(link, (uint8_t *)want, sizeof(want),
				   &unwanted, 0) == sizeof(want)) {
		fd = socket(want[0], want[1] | SOCK_CLOEXEC, want[2]);
		shim_msg_send(link, &ok, 1, fd);
		close(fd);
	}
	_exit(0);
}

int net_start(void)
{
	int link[2], unwanted;
	uint8_t ok = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
		return -1;
	if (fork() == 0) {
		close(link[0]);
		ns_serve(link[1]);
	}
	close(link[1]);
	if (shim_msg_recv(link[0], &ok, 1, &unwanted, 0) != 1 || !ok)
		return -1;
	factory = link[0];
	return 0;
}

void net_page(struct shim_page *p)
{
	page = p;
	page->ranges[0].family = AF_INET6;
	page->ranges[0].prefix_len = 64;
	inet_pton(AF_INET6, "fd6e::", page->ranges[0].addr);
	page->ranges[1].family = AF_INET;
	page->ranges[1].prefix_len = 15;
	inet_pton(AF_INET, "198.18.0.0", page->ranges[1].addr);
	page->ranges[2].family = AF_INET6;
	page->ranges[2].prefix_len = 48;
	inet_pton(AF_INET6, "ff38:40:fd6e::", page->ranges[2].addr);
	page->ranges[3].family = AF_INET;
	page->ranges[3].prefix_len = 32;
	inet_pton(AF_INET, GROUP4, page->ranges[3].addr);
	page->version = SHIM_PAGE_VERSION;
	page->magic = SHIM_PAGE_MAGIC;
}

int net_socket(const struct shim_request *req)
{
	int want[3] = {req->domain, req->type, req->protocol}, fd;
	uint8_t ok;

	if (factory < 0 ||
	    shim_msg_send(factory, (uint8_t *)want, sizeof(want), -1) < 0 ||
	    shim_msg_recv(factory, &ok, 1, &fd, 0) != 1)
		return -1;
	return fd;
}

/* --- doorbells ------------------------------------------------------------------------ */

int net_listener(const struct shim_request *req)
{
	int fd = net_socket(req), on = 1, v6only = req->v6only;
	struct sockaddr_storage ss;
	socklen_t len;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (req->domain == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
			   sizeof(v6only));
	len = addr_make(req->domain == AF_INET6 ? "::" : "0.0.0.0",
			req->local.port, &ss);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 64) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int bell_connect(const struct shim_request *req, struct bell *b)
{
	int family = req->v6only ? AF_INET6 : AF_INET, on = 1, port;
	struct sockaddr_storage ss;
	socklen_t len;

	b->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (req->v6only) {
		for (port = SHIM_DOORBELL6_PORT; port < 65536; port++) {
			len = addr_make("::1", (uint16_t)port, &ss);
			if (bind(b->fd, (struct sockaddr *)&ss, len) == 0)
				break;
		}
	} else {
		setsockopt(b->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
			   sizeof(on));
		len = addr_make(FAKE_DOORBELL, 0, &ss);
		if (bind(b->fd, (struct sockaddr *)&ss, len) < 0)
			return -1;
	}
	len = addr_make(req->v6only ? "::1" : "127.0.0.1", req->local.port,
			&ss);
	shim_addr_from((struct sockaddr *)&ss, len, &b->to);
	/* the bell must be known before the program can accept it */
	fcntl(b->fd, F_SETFL, O_NONBLOCK);
	if (connect(b->fd, (struct sockaddr *)&ss, len) < 0 &&
	    errno != EINPROGRESS)
		return -1;
	len = sizeof(ss);
	getsockname(b->fd, (struct sockaddr *)&ss, &len);
	shim_addr_from((struct sockaddr *)&ss, len, &b->from);
	if (req->defer && send(b->fd, "", 1, MSG_NOSIGNAL) != 1)
		return -1;
	return 0;
}

int net_ring(int listener, const struct shim_request *req)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), i;

	for (i = 0; fd >= 0 && i < BELLS; i++) {
		if (bells[i].fd)
			continue;
		bells[i].behind = fd;
		if (bell_connect(req, &bells[i]) == 0)
			return 0;
		perror("doorbell");
		close(fd);
		close(bells[i].fd);
		bells[i].fd = 0;
		return -1;
	}
	return -1;
}

static int addr_same(const struct shim_addr *a, const struct shim_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

int net_claim(const struct shim_request *req)
{
	int i;

	for (i = 0; i < BELLS; i++) {
		if (!bells[i].fd || !addr_same(&bells[i].from, &req->remote) ||
		    !addr_same(&bells[i].to, &req->local))
			continue;
		close(bells[i].fd);
		bells[i].fd = 0;
		return bells[i].behind;
	}
	return -1;
}

/* --- UDP mapping ----------------------------------------------------------------------- */

/**
 * enum mapping_kind - the sockets of one wildcard port
 * @MAP_NS:    in the namespace, one for each family: peers send there
 * @MAP_HOST:  on the host, for all aliases in 127.80.0.0/12
 * @MAP_HOST6: on the host, ::1, for one flow of a V6ONLY socket
 */
enum mapping_kind { MAP_NS, MAP_HOST, MAP_HOST6 };

static struct mapping {
	enum mapping_kind kind;
	int fd;
	uint16_t server;
	bool v6only;
	uint32_t flow;
} maps[MAPS];
static int map_count;
static uint32_t flow_count;

static struct mapping *map_add(enum mapping_kind kind, int fd, uint16_t server,
			       bool v6only)
{
	struct mapping *m = &maps[map_count++];

	if (map_count > MAPS)
		abort();
	*m = (struct mapping){kind, fd, server, v6only, 0};
	return m;
}

static struct mapping *map_find(enum mapping_kind kind, uint16_t server,
				bool v6only, int family)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int i;

	for (i = 0; i < map_count; i++) {
		len = sizeof(ss);
		getsockname(maps[i].fd, (struct sockaddr *)&ss, &len);
		if (maps[i].kind == kind && maps[i].server == server &&
		    maps[i].v6only == v6only && ss.ss_family == family)
			return &maps[i];
	}
	return NULL;
}

static void udp_ns_bind(const struct shim_request *req, const char *text)
{
	struct shim_request want = {.type = SOCK_DGRAM};
	struct sockaddr_storage ss;
	int fd, on = 1;
	socklen_t len = addr_make(text, req->local.port, &ss);

	want.domain = ss.ss_family;
	fd = net_socket(&want);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		perror("udp in the namespace");
	map_add(MAP_NS, fd, req->local.port, req->v6only);
}

int net_udp_bind(const struct shim_request *req)
{
	uint32_t *map = req->v6only ? page->udp6_ports : page->udp_ports;
	uint32_t bit = 1u << (req->local.port % 32);
	struct sockaddr_storage ss;
	int on = 1, host;
	socklen_t len;

	if (factory < 0)
		return NTM_ENOENGINE;
	if (map[req->local.port / 32] & bit)
		return 0;
	if (!req->v6only) {
		udp_ns_bind(req, NODE4);
		host = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(host, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
		len = addr_make("0.0.0.0", 0, &ss);
		if (bind(host, (struct sockaddr *)&ss, len) < 0)
			return NTM_ESYSTEM;
		map_add(MAP_HOST, host, req->local.port, false);
	}
	if (req->domain == AF_INET6)
		udp_ns_bind(req, NODE6);
	map[req->local.port / 32] |= bit;
	return 0;
}

/* A new flow for @peer, written as the page's readers expect. */
static void flow_add(const struct shim_addr *peer, uint16_t server, bool v6only)
{
	uint32_t n = flow_count++, slot;
	struct shim_flow *f = &page->flows[n];
	struct sockaddr_storage ss;
	struct shim_addr local;
	struct mapping *m;
	socklen_t len = sizeof(ss);

	f->seq++;
	f->server = server;
	f->peer = *peer;
	if (v6only) {
		m = map_add(MAP_HOST6, socket(AF_INET6, SOCK_DGRAM, 0), server,
			    true);
		m->flow = n;
		f->alias6_port = (uint16_t)(SHIM_UDPALIAS6_PORT + n);
		len = addr_make("::1", f->alias6_port, &ss);
		if (bind(m->fd, (struct sockaddr *)&ss, len) < 0)
			perror("alias on ::1");
	} else {
		m = map_find(MAP_HOST, server, false, AF_INET);
		getsockname(m->fd, (struct sockaddr *)&ss, &len);
		shim_addr_from((struct sockaddr *)&ss, len, &local);
		f->alias_port = local.port;
	}
	f->live = 1;
	slot = shim_flow_hash(peer, server) % SHIM_FLOWS;
	f->next = page->hash[slot];
	f->seq++;
	page->hash[slot] = n + 1;
}

int net_udp_alias(const struct shim_request *req, struct shim_addr *alias)
{
	const uint16_t port = req->local.port;

	if (!shim_flow_find(page, &req->remote, port, req->v6only, alias))
		flow_add(&req->remote, port, req->v6only);
	return shim_flow_find(page, &req->remote, port, req->v6only, alias)
		       ? 0
		       : NTM_ENOTFOUND;
}

/* From a peer: to the program's socket, out of the peer's alias. */
static void map_from_ns(struct mapping *m)
{
	struct shim_request req = {.v6only = m->v6only};
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} ctl = {0};
	struct sockaddr_storage ss, to;
	struct in_pktinfo info = {0};
	struct shim_addr alias;
	char buf[2048];
	struct iovec iov = {buf, 0};
	struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};
	socklen_t len = sizeof(ss);
	ssize_t n;
	uint32_t i;

	n = recvfrom(m->fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &len);
	if (n < 0)
		return;
	iov.iov_len = (size_t)n;
	shim_addr_from((struct sockaddr *)&ss, len, &req.remote);
	req.local.port = m->server;
	net_udp_alias(&req, &alias);
	if (m->v6only) {
		msg.msg_namelen = addr_make("::1", m->server, &to);
		for (i = 0; i < (uint32_t)map_count; i++)
			if (maps[i].kind == MAP_HOST6 &&
			    maps[i].flow + SHIM_UDPALIAS6_PORT == alias.port)
				sendmsg(maps[i].fd, &msg, 0);
		return;
	}
	msg.msg_namelen = addr_make("127.0.0.1", m->server, &to);
	msg.msg_control = &ctl;
	msg.msg_controllen = sizeof(ctl.space);
	ctl.h.cmsg_level = IPPROTO_IP;
	ctl.h.cmsg_type = IP_PKTINFO;
	ctl.h.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(&info.ipi_spec_dst, alias.addr, 4);
	memcpy(CMSG_DATA(&ctl.h), &info, sizeof(info));
	sendmsg(map_find(MAP_HOST, m->server, false, AF_INET)->fd, &msg, 0);
}

/* From the program's socket, sent to an alias: on to the peer it stands for. */
static void map_from_host(struct mapping *m)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} ctl = {0};
	char buf[2048];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ctl,
			     .msg_controllen = sizeof(ctl.space)};
	uint32_t flow = m->flow, ip;
	struct sockaddr_storage to;
	struct in_pktinfo info;
	struct mapping *out;
	socklen_t len;
	ssize_t n = recvmsg(m->fd, &msg, 0);

	if (n < 0)
		return;
	if (m->kind == MAP_HOST) {
		memcpy(&info, CMSG_DATA(&ctl.h), sizeof(info));
		ip = ntohl(info.ipi_addr.s_addr);
		flow = ip & ~SHIM_UDPALIAS_MASK;
	}
	if (flow >= flow_count)
		return;
	len = shim_addr_to(&page->flows[flow].peer, &to);
	out = map_find(MAP_NS, m->server, m->v6only, to.ss_family);
	if (out)
		sendto(out->fd, buf, (size_t)n, 0, (struct sockaddr *)&to, len);
}

int net_udp_poll(struct pollfd *p)
{
	int i;

	for (i = 0; i < map_count; i++)
		p[i] = (struct pollfd){.fd = maps[i].fd, .events = POLLIN};
	return map_count;
}

void net_udp_ready(int i)
{
	if (maps[i].kind == MAP_NS)
		map_from_ns(&maps[i]);
	else
		map_from_host(&maps[i]);
}
