/* SPDX-License-Identifier: MIT */
/* netdump - all addresses or routes of this machine, by one rtnetlink dump */
#include "common/netdump.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#define DUMP_BYTES 32768

int netdump(uint16_t type, size_t head, mnl_cb_t fn, void *arg)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	uint8_t buf[DUMP_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int port;
	ssize_t n;
	int ret = -1;

	if (!s)
		return -NTM_ESYSTEM;
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(nlh, head);
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		goto out;
	port = mnl_socket_get_portid(s);
	do {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		ret = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1, port, fn, arg);
	} while (ret > 0);
out:
	mnl_socket_close(s);
	return ret < 0 ? -NTM_ESYSTEM : 0;
}
