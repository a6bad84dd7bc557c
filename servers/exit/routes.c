/* SPDX-License-Identifier: MIT */
/* routes - what this machine is linked with beside its interfaces' prefixes */
#include "servers/exit/routes.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/netdump.h"

/* struct found - @full: there was no room */
struct found {
	struct filter_list *own, *links;
	bool full;
};

/* struct target - where a route leads: to whom, and whether by a router */
struct target {
	const struct nlattr *dst;
	bool by_router;
};

static int on_attribute(const struct nlattr *attr, void *data)
{
	struct target *t = data;

	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		t->dst = attr;
		break;
	case RTA_GATEWAY:
	case RTA_VIA:
	case RTA_MULTIPATH:
	case RTA_NH_ID:
		t->by_router = true;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(nlh);
	struct target t = {.dst = NULL};
	struct found *f = data;
	unsigned int least;
	size_t n;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return MNL_CB_OK;
	n = m->rtm_family == AF_INET ? 4 : 16;
	least = n == 4 ? ROUTES_LINK4_MIN : ROUTES_LINK6_MIN;
	mnl_attr_parse(nlh, sizeof(*m), on_attribute, &t);
	if (!t.dst || mnl_attr_get_payload_len(t.dst) != n)
		return MNL_CB_OK;
	if (m->rtm_type == RTN_LOCAL || m->rtm_type == RTN_ANYCAST ||
	    m->rtm_type == RTN_BROADCAST)
		f->full |= !filter_list_add(f->own, mnl_attr_get_payload(t.dst),
					    n, m->rtm_dst_len);
	else if (m->rtm_type == RTN_UNICAST && !t.by_router &&
		 m->rtm_dst_len >= least)
		f->full |=
			!filter_list_add(f->links, mnl_attr_get_payload(t.dst),
					 n, m->rtm_dst_len);
	return MNL_CB_OK;
}

int routes_add(struct filter_list *own, struct filter_list *links)
{
	struct found f = {.own = own, .links = links};
	int err = netdump(RTM_GETROUTE, sizeof(struct rtmsg), on_route, &f);

	return err ? err : f.full ? -NTM_ELIMIT : 0;
}
