/* SPDX-License-Identifier: MIT */
/*
 * inside - the process inside the namespace: enters it, prepares it, serves it
 *
 * Theory of operation
 *
 * A network namespace needs a user namespace around it when nobody is root. The
 * child makes both, maps its user to 0 there (so that every other user of the host
 * looks like 65534, ours never: SO_PEERCRED can be trusted), makes the TUN, and
 * sends what must outlive it to the keeper: the TUN, the namespaces and a netlink
 * socket. Then it throws its capabilities away. All that is left for it is to make
 * sockets, which needs none: ports below 1024 and ping are open to everybody
 * inside.
 *
 * The parent owns the user namespace (same uid), so it may configure the interface
 * over that netlink socket from outside, and a child made later may enter again.
 */
#include "broker/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/pool.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Descriptors of the parent that this child must not keep. */
#define LINK_FD 3

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* Our user and group become 0 inside; all others are nobody there. */
static enum inside_stage namespaces_make(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[32];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return INSIDE_UNSHARE;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (write_file("/proc/self/setgroups", "deny") < 0 ||
	    write_file("/proc/self/uid_map", map) < 0)
		return INSIDE_MAP;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", map) < 0 ? INSIDE_MAP
							 : INSIDE_DONE;
}

static enum inside_stage namespaces_enter(const struct inside_plan *plan)
{
	if (setns(plan->user_ns, CLONE_NEWUSER) < 0 ||
	    setns(plan->net_ns, CLONE_NEWNET) < 0)
		return INSIDE_UNSHARE;
	return INSIDE_DONE;
}

/* Offloads from best to none: USO came with Linux 6.2. A TUN without any still
 * works, only slower, so failing them all is no error. */
static void tun_offload(int tun)
{
	static const unsigned int wish[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		TUN_F_CSUM,
	};
	size_t i;

	for (i = 0; i < sizeof(wish) / sizeof(wish[0]); i++)
		if (ioctl(tun, TUNSETOFFLOAD, (unsigned long)wish[i]) == 0)
			return;
}

static enum inside_stage tun_make(int *out)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (tun < 0)
		return INSIDE_TUN_OPEN;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", INSIDE_IFNAME);
	if (ioctl(tun, TUNSETIFF, &ifr) < 0) {
		err = errno;
		close(tun);
		errno = err;
		return INSIDE_TUN_MAKE;
	}
	tun_offload(tun);
	*out = tun;
	return INSIDE_DONE;
}

/* A peer that loses a packet must not wait for a path that is fine: reverse path
 * filtering is left off; the worker checks every inner source itself. */
static enum inside_stage sysctl_set(void)
{
	if (write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0") ||
	    write_file("/proc/sys/net/ipv4/ping_group_range", "0 0"))
		return INSIDE_SYSCTL;
	(void)write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	(void)write_file("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
	(void)write_file("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
	return INSIDE_DONE;
}

/* A netlink socket that hears of every change of the interface. */
static int watch_open(void)
{
	struct sockaddr_nl nl = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
			     RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);

	return fd >= 0 && bind(fd, (struct sockaddr *)&nl, sizeof(nl)) == 0
		       ? fd
		       : -1;
}

static enum inside_stage fresh_fds(int fds[static 4])
{
	int i;

	fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	fds[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	fds[2] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	fds[3] = watch_open();
	for (i = 0; i < 4; i++)
		if (fds[i] < 0)
			return INSIDE_NETLINK;
	return INSIDE_DONE;
}

/* @fds: in the order struct inside_report names; *@n counts them. */
static enum inside_stage prepare(const struct inside_plan *plan,
				 int fds[static FDMSG_MAX], size_t *n)
{
	bool fresh = plan->net_ns < 0;
	enum inside_stage stage;

	stage = fresh ? namespaces_make() : namespaces_enter(plan);
	if (stage == INSIDE_DONE && plan->tun) {
		/* before the TUN, so that it takes over the defaults */
		stage = fresh ? sysctl_set() : INSIDE_DONE;
		if (stage == INSIDE_DONE)
			stage = tun_make(&fds[*n]);
		if (stage == INSIDE_DONE)
			(*n)++;
	}
	if (stage == INSIDE_DONE && fresh) {
		stage = fresh_fds(fds + *n);
		if (stage == INSIDE_DONE)
			*n += 4;
	}
	return stage;
}

static bool caps_drop(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};
	int cap;

	for (cap = 0; cap <= 63; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* beyond: EINVAL */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, none) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

void inside_main(int link, const struct inside_plan *plan, pid_t parent)
{
	struct inside_report report = {0};
	int fds[FDMSG_MAX];
	size_t n = 0;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	report.stage = prepare(plan, fds, &n);
	report.err = report.stage == INSIDE_DONE ? 0 : errno;

	/* after the last change of credentials, which would clear it */
	if (report.stage == INSIDE_DONE && plan->serve && !caps_drop())
		report = (struct inside_report){INSIDE_UNSHARE, errno};
	prctl(PR_SET_NAME, "ntm-inside");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	if (fdmsg_send(link, &report, sizeof(report), NULL, 0, fds, n, 0) ||
	    report.stage != INSIDE_DONE || !plan->serve)
		_exit(report.stage != INSIDE_DONE);

	/* keep the link and the standard descriptors, nothing of the keeper's */
	if (dup3(link, LINK_FD, O_CLOEXEC) < 0 && errno != EINVAL)
		_exit(1);
	if (syscall(SYS_close_range, LINK_FD + 1, ~0u, 0) < 0)
		_exit(1);
	_exit(pool_run(LINK_FD));
}

/* A socket hears the groups that it has joined itself. The kernel's usual way would let
 * members of a group reach every wildcard socket of the namespace as soon as one program
 * here joins: ports that the policy closes. */
static void only_joined(int fd, int domain)
{
	static const int off;

	(void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
	if (domain == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off,
				 sizeof(off));
}

int inside_socket(int domain, int type, int protocol, int *fd)
{
	if ((domain != AF_INET && domain != AF_INET6) ||
	    (type != SOCK_STREAM && type != SOCK_DGRAM))
		return EPERM;
	switch (protocol) {
	case 0:
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_MPTCP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_UDPLITE:
		break;
	default:
		return EPERM;
	}
	*fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (*fd < 0)
		return errno;
	if (type == SOCK_DGRAM)
		only_joined(*fd, domain);
	return 0;
}
