/* SPDX-License-Identifier: MIT */
/*
 * handover - the host's addresses and routes: what they are, and when they change
 *
 * Theory of operation
 *
 * A netlink socket hears of addresses, links and routes. The first event of a burst
 * is acted on at once: the addresses are read anew and the owner is told, since the
 * first usable moment counts. What follows within HANDOVER_SETTLE_MS (a default
 * route behind the address, the other family) is taken together in a second call.
 * A tentative IPv6 address is left out; the kernel tells again when it is usable.
 * If the socket overran, everything is read anew: events are hints, the dump is the
 * truth.
 *
 * Which source the kernel would use towards a remote is asked of the kernel itself:
 * a UDP socket is connected there (nothing is sent) and named.
 */
#include "broker/handover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "broker/timers.h"
#include "common/log.h"
#include "common/netdump.h"

#define GROUPS                                                                 \
	(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |               \
	 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
#define DUMP_BYTES 32768

struct handover {
	struct loop *loop;
	struct mnl_socket *events;
	struct loop_io *io;
	struct loop_timer *settle;
	loop_fn *changed;
	void *arg;
	bool more; /* an event came while settling */
	size_t n;
	struct handover_addr list[HANDOVER_ADDRS_MAX];
};

/* --- reading ------------------------------------------------------------------------- */

static int attr_address(const struct nlattr *attr, void *data)
{
	const struct nlattr **best = data;
	uint16_t type = mnl_attr_get_type(attr);

	/* IFA_LOCAL is ours where a link has two ends */
	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !*best))
		*best = attr;
	return MNL_CB_OK;
}

static bool counts(const struct ifaddrmsg *m, const struct addr *a)
{
	struct addr probe = *a;

	if (m->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) &&
	    !(m->ifa_flags & IFA_F_OPTIMISTIC))
		return false;
	if (m->ifa_scope == RT_SCOPE_HOST || m->ifa_scope == RT_SCOPE_LINK)
		return false;
	addr_set_port(&probe, 1);
	return addr_is_usable_remote(&probe);
}

static int on_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr = NULL;
	struct handover *h = data;
	struct handover_addr *e = &h->list[h->n];

	if (h->n == HANDOVER_ADDRS_MAX || nlh->nlmsg_type != RTM_NEWADDR)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*m), attr_address, &attr);
	if (!attr || addr_from_ip(mnl_attr_get_payload(attr),
				  mnl_attr_get_payload_len(attr), 0, &e->addr))
		return MNL_CB_OK;
	if (!counts(m, &e->addr) || !if_indextoname(m->ifa_index, e->interface))
		return MNL_CB_OK;
	h->n++;
	return MNL_CB_OK;
}

static int addresses_read(struct handover *h)
{
	h->n = 0;
	return netdump(RTM_GETADDR, sizeof(struct rtgenmsg), on_address, h);
}

static void act(struct handover *h)
{
	if (addresses_read(h))
		log_warn("handover", "the addresses could not be read");
	h->changed(h->arg);
}

static void settled(void *arg)
{
	struct handover *h = arg;

	if (!h->more)
		return;
	h->more = false;
	loop_timer_arm(h->settle, LOOP_MS(HANDOVER_SETTLE_MS));
	act(h);
}

static void on_event(void *arg, int fd, unsigned int events)
{
	struct handover *h = arg;
	uint8_t buf[DUMP_BYTES];
	bool any = false;

	(void)events;
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0 ||
	       errno == ENOBUFS) {
		any = true;
		errno = 0;
	}
	if (!any)
		return;
	if (loop_timer_armed(h->settle)) {
		h->more = true;
		return;
	}
	loop_timer_arm(h->settle, LOOP_MS(HANDOVER_SETTLE_MS));
	act(h);
}

/* --- questions -------------------------------------------------------------------------- */

static int mtu_of(int fd, int family, unsigned int *mtu)
{
	int value = 0;
	socklen_t len = sizeof(value);
	int ret = family == AF_INET6
			  ? getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &value, &len)
			  : getsockopt(fd, IPPROTO_IP, IP_MTU, &value, &len);

	if (ret || value < 576)
		return -NTM_ESYSTEM;
	*mtu = (unsigned int)value;
	return 0;
}

int handover_route(void *ctx, const struct addr *remote, struct addr *source,
		   unsigned int *mtu)
{
	int family = remote->sa.sa_family;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int err = -NTM_EUNREACHABLE;

	(void)ctx;
	if (fd < 0)
		return -NTM_ESYSTEM;
	if (!connect(fd, &remote->sa, addr_len(remote)) &&
	    !getsockname(fd, (struct sockaddr *)&ss, &len))
		err = addr_from_sockaddr((struct sockaddr *)&ss, len, source);
	if (!err)
		addr_set_port(source, 0);
	if (!err && mtu_of(fd, family, mtu))
		*mtu = 1280;
	close(fd);
	return err;
}

size_t handover_locals(void *ctx, struct addr *out, size_t max)
{
	const struct handover *h = ctx;
	size_t n = 0;

	for (size_t i = 0; i < h->n && n < max; i++)
		out[n++] = h->list[i].addr;
	return n;
}

size_t handover_list(const struct handover *h, struct handover_addr *out,
		     size_t max)
{
	size_t n = h->n < max ? h->n : max;

	memcpy(out, h->list, n * sizeof(*out));
	return n;
}

/* --- life ------------------------------------------------------------------------------------ */

int handover_open(struct loop *l, loop_fn *changed, void *arg,
		  struct handover **out)
{
	struct handover *h = calloc(1, sizeof(*h));
	int err = -NTM_ESYSTEM;

	if (!h)
		return -NTM_ENOMEM;
	h->loop = l;
	h->changed = changed;
	h->arg = arg;
	h->events =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!h->events || mnl_socket_bind(h->events, GROUPS, 0) < 0)
		goto err_close;
	err = loop_timer_new(l, settled, h, &h->settle);
	if (!err)
		err = loop_io_add(l, mnl_socket_get_fd(h->events), LOOP_READ,
				  false, on_event, h, &h->io);
	if (!err)
		err = addresses_read(h);
	if (err)
		goto err_close;
	*out = h;
	return 0;

err_close:
	handover_close(h);
	return err;
}

void handover_close(struct handover *h)
{
	if (!h)
		return;
	loop_io_del(h->io);
	loop_timer_free(h->settle);
	if (h->events)
		mnl_socket_close(h->events);
	free(h);
}
