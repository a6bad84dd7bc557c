/* SPDX-License-Identifier: MIT */
/* shimproto - codec of requests and answers, and how they travel */
#include "preload/shimproto.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- bounded big-endian buffer ------------------------------------------------ */

struct put {
	uint8_t *at, *end;
	bool full;
};

struct get {
	const uint8_t *at, *end;
	bool bad;
};

static void put_bytes(struct put *p, const void *src, size_t n)
{
	if ((size_t)(p->end - p->at) < n) {
		p->full = true;
		return;
	}
	memcpy(p->at, src, n);
	p->at += n;
}

static void put_uint(struct put *p, uint64_t v, size_t n)
{
	uint8_t b[8];
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	put_bytes(p, b, n);
}

static void get_bytes(struct get *g, void *dst, size_t n)
{
	if ((size_t)(g->end - g->at) < n) {
		g->bad = true;
		memset(dst, 0, n);
		return;
	}
	memcpy(dst, g->at, n);
	g->at += n;
}

static uint64_t get_uint(struct get *g, size_t n)
{
	uint64_t v = 0;
	uint8_t b[8];
	size_t i;

	get_bytes(g, b, n);
	for (i = 0; i < n; i++)
		v = v << 8 | b[i];
	return g->bad ? 0 : v;
}

/* On the wire a family is 0, 4 or 6, so that it means the same everywhere. */
static void put_addr(struct put *p, const struct shim_addr *a)
{
	static const uint8_t zero[16];

	if (a->family == AF_INET) {
		put_uint(p, 4, 1);
		put_uint(p, a->port, 2);
		put_bytes(p, a->addr, 4);
		put_bytes(p, zero, 12);
	} else if (a->family == AF_INET6) {
		put_uint(p, 6, 1);
		put_uint(p, a->port, 2);
		put_bytes(p, a->addr, 16);
	} else {
		put_bytes(p, zero, 1);
		put_bytes(p, zero, 2);
		put_bytes(p, zero, 16);
	}
}

static void get_addr(struct get *g, struct shim_addr *a)
{
	static const uint8_t zero[16];
	uint64_t family = get_uint(g, 1);

	a->port = (uint16_t)get_uint(g, 2);
	get_bytes(g, a->addr, 16);
	switch (family) {
	case 0:
		a->family = 0;
		if (a->port || memcmp(a->addr, zero, 16))
			g->bad = true;
		break;
	case 4:
		a->family = AF_INET;
		if (memcmp(a->addr + 4, zero, 12))
			g->bad = true;
		break;
	case 6:
		a->family = AF_INET6;
		break;
	default:
		g->bad = true;
	}
}

static void put_name(struct put *p, const char *name)
{
	size_t n = strnlen(name, SHIM_NAME_MAX + 1);

	if (n > SHIM_NAME_MAX) {
		p->full = true;
		return;
	}
	put_uint(p, n, 1);
	put_bytes(p, name, n);
}

static void get_name(struct get *g, char name[SHIM_NAME_MAX + 1])
{
	size_t n = get_uint(g, 1);

	memset(name, 0, SHIM_NAME_MAX + 1);
	if (n > SHIM_NAME_MAX) {
		g->bad = true;
		return;
	}
	get_bytes(g, name, n);
	if (strlen(name) != n)
		g->bad = true;
}

static bool op_known(uint8_t op)
{
	switch (op) {
#define REQ(name, number, server, limit_ms) case number:
#include "preload/requests.def"
#undef REQ
		return true;
	default:
		return false;
	}
}

static bool get_flag(struct get *g)
{
	uint64_t v = get_uint(g, 1);

	if (v > 1)
		g->bad = true;
	return v == 1;
}

/* --- requests and answers ------------------------------------------------------ */

int shim_request_put(const struct shim_request *req, uint8_t *buf)
{
	struct put p = {.at = buf, .end = buf + SHIM_MSG_MAX};

	put_uint(&p, SHIM_VERSION, 1);
	put_uint(&p, req->op, 1);
	put_uint(&p, req->domain, 2);
	put_uint(&p, req->type, 2);
	put_uint(&p, req->protocol, 2);
	put_uint(&p, req->v6only ? 1 : 0, 1);
	put_uint(&p, req->defer ? 1 : 0, 1);
	put_uint(&p, req->backlog, 4);
	put_uint(&p, req->inode, 8);
	put_addr(&p, &req->local);
	put_addr(&p, &req->remote);
	put_name(&p, req->name);
	return p.full ? -EMSGSIZE : (int)(p.at - buf);
}

int shim_request_get(const uint8_t *buf, size_t len, struct shim_request *out)
{
	struct get g = {.at = buf, .end = buf + len};
	struct shim_request req = {0};

	if (len > SHIM_MSG_MAX || get_uint(&g, 1) != SHIM_VERSION)
		return -EBADMSG;
	req.op = (uint8_t)get_uint(&g, 1);
	req.domain = (uint16_t)get_uint(&g, 2);
	req.type = (uint16_t)get_uint(&g, 2);
	req.protocol = (uint16_t)get_uint(&g, 2);
	req.v6only = get_flag(&g);
	req.defer = get_flag(&g);
	req.backlog = (uint32_t)get_uint(&g, 4);
	req.inode = get_uint(&g, 8);
	get_addr(&g, &req.local);
	get_addr(&g, &req.remote);
	get_name(&g, req.name);
	if (g.bad || g.at != g.end || !op_known(req.op))
		return -EBADMSG;
	*out = req;
	return 0;
}

int shim_answer_put(const struct shim_answer *ans, uint8_t *buf)
{
	struct put p = {.at = buf, .end = buf + SHIM_MSG_MAX};

	put_uint(&p, SHIM_VERSION, 1);
	put_uint(&p, ans->op, 1);
	put_uint(&p, (uint32_t)ans->err, 4);
	put_bytes(&p, ans->vip6, sizeof(ans->vip6));
	put_bytes(&p, ans->vip4, sizeof(ans->vip4));
	put_addr(&p, &ans->addr);
	put_name(&p, ans->name);
	return p.full ? -EMSGSIZE : (int)(p.at - buf);
}

int shim_answer_get(const uint8_t *buf, size_t len, struct shim_answer *out)
{
	struct get g = {.at = buf, .end = buf + len};
	struct shim_answer ans = {0};

	if (len > SHIM_MSG_MAX || get_uint(&g, 1) != SHIM_VERSION)
		return -EBADMSG;
	ans.op = (uint8_t)get_uint(&g, 1);
	ans.err = (int32_t)(uint32_t)get_uint(&g, 4);
	get_bytes(&g, ans.vip6, sizeof(ans.vip6));
	get_bytes(&g, ans.vip4, sizeof(ans.vip4));
	get_addr(&g, &ans.addr);
	get_name(&g, ans.name);
	if (g.bad || g.at != g.end || !op_known(ans.op) || ans.err < 0)
		return -EBADMSG;
	*out = ans;
	return 0;
}

/* --- one message with at most one descriptor ----------------------------------- */

/* Both go by syscall(): sendmsg() and recvmsg() are cancellation points, and a
 * thread of somebody else's program cancelled here would leak a descriptor. */
int shim_msg_send(int sock, const uint8_t *buf, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	long n;

	if (fd >= 0) {
		msg.msg_control = ctl.space;
		msg.msg_controllen = sizeof(ctl.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	n = syscall(SYS_sendmsg, sock, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EMSGSIZE;
}

ssize_t shim_msg_recv(int sock, uint8_t *buf, size_t size, int *fd, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	/* CMSG_LEN, not CMSG_SPACE: the padding would hold a second descriptor */
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.space,
			     .msg_controllen = CMSG_LEN(sizeof(int))};
	struct cmsghdr *c;
	long n;

	*fd = -1;
	n = syscall(SYS_recvmsg, sock, &msg, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	if (n > 0 && !(msg.msg_flags & MSG_TRUNC))
		return n;
	/* an empty message may carry a descriptor, too */
	if (*fd >= 0)
		syscall(SYS_close, *fd);
	*fd = -1;
	return n > 0 ? -EBADMSG : 0;
}
