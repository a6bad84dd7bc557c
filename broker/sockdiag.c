/* SPDX-License-Identifier: MIT */
/* sockdiag - asks the kernel whose socket would receive what we are about to send */
#include "broker/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sockdiag {
	int fd;
	uint32_t seq;
	/* a part of a dump; netlink fills up to 32 KiB when we let it */
	uint8_t buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

int sockdiag_new(struct sockdiag **out)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct sockdiag *d = calloc(1, sizeof(*d));

	if (!d)
		return -NTM_ENOMEM;
	d->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
		       NETLINK_SOCK_DIAG);
	if (d->fd < 0 ||
	    connect(d->fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		sockdiag_free(d);
		return -NTM_ESYSTEM;
	}
	*out = d;
	return 0;
}

void sockdiag_free(struct sockdiag *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

static void endpoint(const struct sockaddr *sa, __be32 addr[static 4],
		     __be16 *port)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	if (sa->sa_family == AF_INET) {
		memcpy(addr, &in->sin_addr, 4);
		*port = in->sin_port;
	} else {
		memcpy(addr, &in6->sin6_addr, 16);
		*port = in6->sin6_port;
	}
}

static void info_read(const struct inet_diag_msg *m, struct sockdiag_info *out)
{
	static const __be32 any[4];

	*out = (struct sockdiag_info){
		.inode = m->idiag_inode,
		.uid = m->idiag_uid,
		.state = m->idiag_state,
		.family = m->idiag_family,
		.port = ntohs(m->id.idiag_sport),
		.wildcard = !memcmp(m->id.idiag_src, any,
				    m->idiag_family == AF_INET ? 4 : 16),
	};
}

static int question_send(struct sockdiag *d, struct question *q, uint16_t flags)
{
	q->head.nlmsg_len = sizeof(*q);
	q->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	q->head.nlmsg_flags = NLM_F_REQUEST | flags;
	q->head.nlmsg_seq = ++d->seq;
	return send(d->fd, q, sizeof(*q), 0) == (ssize_t)sizeof(*q)
		       ? 0
		       : -NTM_ESYSTEM;
}

typedef void info_fn(void *arg, const struct sockdiag_info *info);

/* One netlink datagram. Return: 1 more comes, 0 done, negative on error. */
static int answer_part(struct sockdiag *d, info_fn *fn, void *arg, bool dump)
{
	const struct nlmsgerr *err;
	struct sockdiag_info info;
	struct nlmsghdr *nh = (struct nlmsghdr *)d->buf;
	ssize_t got = recv(d->fd, d->buf, sizeof(d->buf), 0);
	size_t n = got > 0 ? (size_t)got : 0;
	int more = 1;

	if (got < 0)
		return errno == EINTR ? 1 : -NTM_ESYSTEM;
	for (; NLMSG_OK(nh, n); nh = NLMSG_NEXT(nh, n)) {
		if (nh->nlmsg_seq != d->seq)
			continue; /* of a question given up */
		if (nh->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nh->nlmsg_type == NLMSG_ERROR) {
			err = NLMSG_DATA(nh);
			return err->error == -ENOENT ? -NTM_ENOTFOUND
						     : -NTM_ESYSTEM;
		}
		if (nh->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			continue;
		info_read(NLMSG_DATA(nh), &info);
		fn(arg, &info);
		more = dump;
	}
	return more;
}

static int answer_all(struct sockdiag *d, info_fn *fn, void *arg, bool dump)
{
	int ret;

	do
		ret = answer_part(d, fn, arg, dump);
	while (ret > 0);
	return ret;
}

static void info_copy(void *arg, const struct sockdiag_info *info)
{
	*(struct sockdiag_info *)arg = *info;
}

/* For TCP the kernel's "src" is the socket's side; for UDP, for historical reasons,
 * it is the sender's. */
static int exact(struct sockdiag *d, uint8_t protocol,
		 const struct sockaddr *src, const struct sockaddr *dst,
		 struct sockdiag_info *out)
{
	struct question q = {
		.req = {.sdiag_family = (uint8_t)src->sa_family,
			.sdiag_protocol = protocol,
			.idiag_states = ~0u,
			.id.idiag_cookie = {INET_DIAG_NOCOOKIE,
					    INET_DIAG_NOCOOKIE}},
	};
	int err;

	if (src->sa_family != dst->sa_family ||
	    (src->sa_family != AF_INET && src->sa_family != AF_INET6))
		return -NTM_EINVAL;
	endpoint(src, q.req.id.idiag_src, &q.req.id.idiag_sport);
	endpoint(dst, q.req.id.idiag_dst, &q.req.id.idiag_dport);
	err = question_send(d, &q, 0);
	return err ? err : answer_all(d, info_copy, out, false);
}

int sockdiag_tcp(struct sockdiag *d, const struct sockaddr *local,
		 const struct sockaddr *remote, struct sockdiag_info *out)
{
	return exact(d, IPPROTO_TCP, local, remote, out);
}

int sockdiag_udp(struct sockdiag *d, const struct sockaddr *local,
		 const struct sockaddr *remote, struct sockdiag_info *out)
{
	return exact(d, IPPROTO_UDP, remote, local, out);
}

int sockdiag_each(struct sockdiag *d, int family, int protocol,
		  void (*fn)(void *arg, const struct sockdiag_info *info),
		  void *arg)
{
	struct question q = {
		.req = {.sdiag_family = (uint8_t)family,
			.sdiag_protocol = (uint8_t)protocol,
			.idiag_states = protocol == IPPROTO_TCP
						? 1u << TCP_LISTEN
						: ~0u},
	};
	int err = question_send(d, &q, NLM_F_DUMP);

	return err ? err : answer_all(d, fn, arg, true);
}
