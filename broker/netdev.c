/* SPDX-License-Identifier: MIT */
/* netdev - brings the interface inside the namespace to what it shall be */
#include "broker/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/datapath/batch.h"
#include "common/packet.h"

#define LOOPBACK_IFINDEX 1
#define ADDRS_MAX	 32 /* strays seen in one pass; the next takes more */
#define LOCAL_TRIES	 1000
#define LOCAL_TRY_MS	 1
#define GSO_HEADERS	 72 /* IPv6, TCP, timestamps */
#define GSO_SIZE_MAX	 65536

struct netdev {
	int fd;
	uint32_t seq;
	char buf[16384]; /* an answer of the kernel */
};

struct link_state {
	uint32_t ifindex, flags, mtu, txqueue, gso_size;
};

struct addr_seen {
	uint8_t family, prefix, len;
	uint8_t ip[16];
};

struct addrs_state {
	uint32_t ifindex;
	size_t n;
	struct addr_seen addr[ADDRS_MAX];
};

struct route_state {
	uint32_t ifindex;
	bool found;
};

/* One request and all its answers to @cb (NULL: only success matters).
 * Return: 0 or -errno as the kernel says. */
static int talk(struct netdev *nd, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;
	int ret;

	nlh->nlmsg_seq = ++nd->seq;
	if (sendto(nd->fd, nlh, nlh->nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	do {
		n = recv(nd->fd, nd->buf, sizeof(nd->buf), 0);
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(nd->buf, (size_t)n, nd->seq, 0, cb, arg);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

static void *start(void *space, struct nlmsghdr **nlh, uint16_t type,
		   uint16_t flags, size_t size)
{
	*nlh = mnl_nlmsg_put_header(space);
	(*nlh)->nlmsg_type = type;
	(*nlh)->nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(*nlh, size);
}

/* --- links --------------------------------------------------------------------- */

static int link_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link_state *st = arg;
	const struct nlattr *attr;

	st->ifindex = (uint32_t)ifi->ifi_index;
	st->flags = ifi->ifi_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(attr) == IFLA_MTU)
			st->mtu = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == IFLA_TXQLEN)
			st->txqueue = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == IFLA_GSO_MAX_SIZE)
			st->gso_size = mnl_attr_get_u32(attr);
	}
	return MNL_CB_STOP;
}

static int link_get(struct netdev *nd, const char *ifname, uint32_t ifindex,
		    struct link_state *st)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi;

	memset(st, 0, sizeof(*st));
	ifi = start(space, &nlh, RTM_GETLINK, 0, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	if (ifname)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	return talk(nd, nlh, link_cb, st);
}

static int link_up(struct netdev *nd, uint32_t ifindex, uint32_t mtu,
		   uint32_t txqueue)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi;

	ifi = start(space, &nlh, RTM_NEWLINK, NLM_F_ACK, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	if (mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	if (txqueue)
		mnl_attr_put_u32(nlh, IFLA_TXQLEN, txqueue);
	return talk(nd, nlh, NULL, NULL);
}

/* A super-packet of TCP, cut and sealed, fits one send of BATCH_RUN_BYTES: what is
 * over would cost both ends another turn through everything. The kernel takes its
 * own headers (up to 320 bytes) off the size; 72 are those of each segment. */
static uint32_t gso_size(uint32_t mtu)
{
	uint32_t whole = BATCH_RUN_BYTES / (mtu + PACKET_OVERHEAD), size;

	if (whole > BATCH_SEGMENTS)
		whole = BATCH_SEGMENTS;
	size = (whole + 1) * (mtu - GSO_HEADERS);
	return size < GSO_SIZE_MAX ? size : GSO_SIZE_MAX;
}

/* Only speed hangs on it. */
static void link_set_gso(struct netdev *nd, uint32_t ifindex, uint32_t size)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi;

	ifi = start(space, &nlh, RTM_NEWLINK, NLM_F_ACK, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SIZE, size);
	(void)talk(nd, nlh, NULL, NULL);
}

/* No link-local address of its own: nothing inside speaks to neighbours. */
static void link_no_autoconf(struct netdev *nd, uint32_t ifindex)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi;
	struct nlattr *spec, *inet6;

	ifi = start(space, &nlh, RTM_NEWLINK, NLM_F_ACK, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	(void)talk(nd, nlh, NULL, NULL); /* IPv6 may be off */
}

/* --- addresses ----------------------------------------------------------------- */

static int addr_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct addrs_state *st = arg;
	struct addr_seen *seen = &st->addr[st->n];
	const struct nlattr *attr;
	bool local = false;

	if (ifa->ifa_index != st->ifindex || st->n == ADDRS_MAX)
		return MNL_CB_OK;
	memset(seen, 0, sizeof(*seen));
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(attr);

		/* IPv4 has both; the local one counts */
		if (type != IFA_LOCAL && (type != IFA_ADDRESS || local))
			continue;
		local = type == IFA_LOCAL;
		seen->len = (uint8_t)mnl_attr_get_payload_len(attr);
		if (seen->len > sizeof(seen->ip))
			return MNL_CB_OK;
		memcpy(seen->ip, mnl_attr_get_payload(attr), seen->len);
	}
	seen->family = ifa->ifa_family;
	seen->prefix = ifa->ifa_prefixlen;
	st->n++;
	return MNL_CB_OK;
}

static int addr_change(struct netdev *nd, uint16_t type, uint32_t ifindex,
		       const struct addr_seen *a)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	uint16_t flags = NLM_F_ACK;

	if (type == RTM_NEWADDR)
		flags |= NLM_F_CREATE | NLM_F_REPLACE;
	ifa = start(space, &nlh, type, flags, sizeof(*ifa));
	ifa->ifa_family = a->family;
	ifa->ifa_prefixlen = a->prefix;
	ifa->ifa_index = ifindex;
	if (a->family == AF_INET6 && type == RTM_NEWADDR)
		ifa->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(nlh, IFA_LOCAL, a->len, a->ip);
	mnl_attr_put(nlh, IFA_ADDRESS, a->len, a->ip);
	return talk(nd, nlh, NULL, NULL);
}

static size_t addrs_wanted(const struct engine_config *conf,
			   struct addr_seen want[static 2])
{
	static const uint8_t zero[16];
	size_t n = 0;

	memset(want, 0, 2 * sizeof(*want));
	if (memcmp(conf->vip6, zero, 16)) {
		want[n] = (struct addr_seen){AF_INET6, 128, 16, {0}};
		memcpy(want[n++].ip, conf->vip6, 16);
	}
	if (memcmp(conf->vip4, zero, 4)) {
		want[n] = (struct addr_seen){AF_INET, 32, 4, {0}};
		memcpy(want[n++].ip, conf->vip4, 4);
	}
	return n;
}

static bool addr_in(const struct addr_seen *a, const struct addr_seen *set,
		    size_t n)
{
	while (n--)
		if (memcmp(a, &set[n], sizeof(*a)) == 0)
			return true;
	return false;
}

static int type_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	*(uint8_t *)arg = rtm->rtm_type;
	return MNL_CB_STOP;
}

/* The kernel makes the route to a new IPv6 address of ours a little later, in a work
 * queue; until then what is sent to it would leave through the TUN. */
static int local_await(struct netdev *nd, const struct addr_seen *a)
{
	char space[256];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	uint8_t type = RTN_UNSPEC;
	int tries, err;

	for (tries = 0; tries < LOCAL_TRIES; tries++) {
		rtm = start(space, &nlh, RTM_GETROUTE, 0, sizeof(*rtm));
		rtm->rtm_family = a->family;
		rtm->rtm_dst_len = a->prefix;
		mnl_attr_put(nlh, RTA_DST, a->len, a->ip);
		err = talk(nd, nlh, type_cb, &type);
		if (!err && type == RTN_LOCAL)
			return 0;
		poll(NULL, 0, LOCAL_TRY_MS);
	}
	return -ETIMEDOUT;
}

static int addrs_reconcile(struct netdev *nd, uint32_t ifindex,
			   const struct addr_seen *want, size_t n_want)
{
	struct addrs_state st = {.ifindex = ifindex};
	char space[256];
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	int err, fixed = 0;
	size_t i;

	ifa = start(space, &nlh, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	err = talk(nd, nlh, addr_cb, &st);
	for (i = 0; !err && i < st.n; i++)
		if (!addr_in(&st.addr[i], want, n_want)) {
			err = addr_change(nd, RTM_DELADDR, ifindex,
					  &st.addr[i]);
			fixed++;
		}
	for (i = 0; !err && i < n_want; i++)
		if (!addr_in(&want[i], st.addr, st.n)) {
			err = addr_change(nd, RTM_NEWADDR, ifindex, &want[i]);
			if (!err)
				err = local_await(nd, &want[i]);
			fixed++;
		}
	return err ? err : fixed;
}

/* --- routes -------------------------------------------------------------------- */

static int route_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_state *st = arg;
	const struct nlattr *attr;

	if (rtm->rtm_dst_len || rtm->rtm_table != RT_TABLE_MAIN ||
	    rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(
		attr, nlh,
		sizeof(*rtm)) if (mnl_attr_get_type(attr) == RTA_OIF &&
				  mnl_attr_get_u32(attr) == st->ifindex)
		st->found = true;
	return MNL_CB_OK;
}

static int route_reconcile(struct netdev *nd, uint32_t ifindex, uint8_t family)
{
	struct route_state st = {.ifindex = ifindex};
	char space[256];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	int err;

	rtm = start(space, &nlh, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));
	rtm->rtm_family = family;
	err = talk(nd, nlh, route_cb, &st);
	if (err || st.found)
		return err;
	rtm = start(space, &nlh, RTM_NEWROUTE,
		    NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	err = talk(nd, nlh, NULL, NULL);
	return err ? err : 1;
}

/* --- all ------------------------------------------------------------------------ */

static int links_reconcile(struct netdev *nd, const char *ifname, uint32_t mtu,
			   uint32_t *ifindex)
{
	struct link_state lo, dev;
	int fixed = 0, err;

	err = link_get(nd, NULL, LOOPBACK_IFINDEX, &lo);
	if (!err && !(lo.flags & IFF_UP)) {
		err = link_up(nd, lo.ifindex, 0, 0);
		fixed++;
	}
	if (!err)
		err = link_get(nd, ifname, 0, &dev);
	if (err)
		return err;
	*ifindex = dev.ifindex;
	if (!mtu)
		mtu = dev.mtu;
	if (dev.flags & IFF_UP && dev.mtu == mtu &&
	    dev.txqueue == NETDEV_TXQUEUE &&
	    (!dev.gso_size || dev.gso_size == gso_size(mtu)))
		return fixed;
	link_no_autoconf(nd, dev.ifindex);
	err = link_up(nd, dev.ifindex, mtu, NETDEV_TXQUEUE);
	if (!err)
		link_set_gso(nd, dev.ifindex, gso_size(mtu));
	return err ? err : fixed + 1;
}

static int reconcile(struct netdev *nd, const char *ifname,
		     const struct engine_config *conf)
{
	struct addr_seen want[2];
	uint32_t ifindex = 0;
	size_t n_want, i;
	int fixed, n;

	fixed = links_reconcile(nd, ifname, conf ? conf->mtu : 0, &ifindex);
	if (fixed < 0 || !conf)
		return fixed;
	n_want = addrs_wanted(conf, want);
	n = addrs_reconcile(nd, ifindex, want, n_want);
	for (i = 0; n >= 0 && i < n_want; i++) {
		fixed += n;
		n = route_reconcile(nd, ifindex, want[i].family);
	}
	return n < 0 ? n : fixed + n;
}

int netdev_reconcile(int netlink, const char *ifname,
		     const struct engine_config *conf)
{
	struct netdev *nd = calloc(1, sizeof(*nd));
	int ret;

	if (!nd)
		return -NTM_ESYSTEM;
	nd->fd = netlink;
	/* what an earlier failure left unread */
	while (recv(netlink, nd->buf, sizeof(nd->buf), MSG_DONTWAIT) >= 0)
		;
	ret = reconcile(nd, ifname, conf);
	free(nd);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return ret == -ENODEV ? -NTM_ENOTFOUND : -NTM_ESYSTEM;
}
