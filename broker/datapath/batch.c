/* SPDX-License-Identifier: MIT */
/*
 * batch - sealed datagrams on their way out, many to a system call
 *
 * Theory of operation
 *
 * The buffer fills from the front; runs describe it. A flush sends the runs from
 * ->first on and, when all are gone, rewinds. EAGAIN leaves ->first where it is:
 * the buffer may fill further until it is full, then batch_room() says no, and the
 * caller drops, as any full interface would.
 *
 * UDP_SEGMENT can fail where plain sends work: EIO when the device cannot do
 * checksums, EINVAL in kernels or devices that do not like the size. Then the run
 * leaves one datagram a send. EIO, and EINVAL where the single sends succeeded,
 * switch UDP_SEGMENT off for good; each such run is counted.
 *
 * ECN travels by an IP_TOS or IPV6_TCLASS message, only when it is not zero.
 */
#include "broker/datapath/batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/datapath/datapath.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define CONTROL_BYTES (CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int)))

struct run {
	struct dp_tunnel *t;
	struct addr to;
	uint32_t off, len;
	uint16_t seg, count;
	uint8_t ecn;
	bool closed; /* its last datagram was shorter */
	bool carried;
};

struct batch {
	int udp4, udp6;
	const struct batch_ops *ops;
	void *arg;
	const struct dp_carrier *carrier;
	void *carrier_arg;
	bool gso, flushing, blocked;
	uint64_t fallbacks;
	unsigned int first, runs;
	uint32_t used;
	struct run run[BATCH_RUNS];
	struct mmsghdr msg[BATCH_RUNS];
	struct iovec iov[BATCH_RUNS];
	union {
		struct cmsghdr align;
		uint8_t bytes[CONTROL_BYTES];
	} control[BATCH_RUNS];
	uint8_t *buf;
};

int batch_new(int udp4, int udp6, const struct batch_ops *ops, void *arg,
	      struct batch **out)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -NTM_ENOMEM;
	b->buf = malloc(BATCH_BYTES);
	if (!b->buf) {
		free(b);
		return -NTM_ENOMEM;
	}
	b->udp4 = udp4;
	b->udp6 = udp6;
	b->ops = ops;
	b->arg = arg;
	b->gso = true;
	*out = b;
	return 0;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	free(b->buf);
	free(b);
}

void batch_set_gso(struct batch *b, bool on)
{
	batch_flush(b);
	b->gso = on;
}

void batch_set_carrier(struct batch *b, const struct dp_carrier *carrier,
		       void *arg)
{
	batch_flush(b);
	b->carrier = carrier;
	b->carrier_arg = arg;
}

bool batch_gso(const struct batch *b)
{
	return b->gso;
}

uint64_t batch_fallbacks(const struct batch *b)
{
	return b->fallbacks;
}

bool batch_blocked(const struct batch *b)
{
	return b->blocked;
}

void batch_forget(struct batch *b, struct dp_tunnel *t)
{
	for (unsigned int i = b->first; i < b->runs; i++) {
		if (b->run[i].t == t)
			b->run[i].t = NULL;
	}
}

uint8_t *batch_room(struct batch *b, uint32_t len)
{
	if (b->used + len > BATCH_BYTES || b->runs == BATCH_RUNS)
		batch_flush(b);
	if (b->used + len > BATCH_BYTES || b->runs == BATCH_RUNS)
		return NULL;
	return b->buf + b->used;
}

void batch_commit(struct batch *b, struct dp_tunnel *t, const struct addr *to,
		  uint32_t len, uint8_t ecn)
{
	struct run *r = b->runs > b->first ? &b->run[b->runs - 1] : NULL;

	if (!r || !b->gso || r->closed || r->t != t || r->ecn != ecn ||
	    len > r->seg || r->count == BATCH_SEGMENTS ||
	    r->len + len > BATCH_RUN_BYTES || memcmp(&r->to, to, sizeof(*to))) {
		r = &b->run[b->runs++];
		*r = (struct run){.t = t,
				  .to = *to,
				  .off = b->used,
				  .seg = (uint16_t)len,
				  .ecn = ecn};
		r->carried =
			b->carrier && b->carrier->takes(b->carrier_arg, to);
	}
	r->len += len;
	r->count++;
	r->closed = len < r->seg;
	b->used += len;
}

static int run_fd(const struct batch *b, const struct run *r)
{
	return r->to.sa.sa_family == AF_INET ? b->udp4 : b->udp6;
}

static void add_control(struct msghdr *mh, int level, int type,
			const void *value, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)mh->msg_control +
					       mh->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	mh->msg_controllen += CMSG_SPACE(len);
}

static void prepare(struct batch *b, unsigned int i, uint32_t len)
{
	struct run *r = &b->run[i];
	struct msghdr *mh = &b->msg[i].msg_hdr;
	bool ip4 = r->to.sa.sa_family == AF_INET;
	int tos = r->ecn;

	b->iov[i] = (struct iovec){.iov_base = b->buf + r->off, .iov_len = len};
	*mh = (struct msghdr){.msg_name = &r->to,
			      .msg_namelen = addr_len(&r->to),
			      .msg_iov = &b->iov[i],
			      .msg_iovlen = 1,
			      .msg_control = b->control[i].bytes};
	if (len > r->seg)
		add_control(mh, SOL_UDP, UDP_SEGMENT, &r->seg, sizeof(r->seg));
	if (tos)
		add_control(mh, ip4 ? IPPROTO_IP : IPPROTO_IPV6,
			    ip4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof(tos));
	if (!mh->msg_controllen)
		mh->msg_control = NULL;
}

static void report(struct batch *b, const struct run *r, int err)
{
	struct batch_run shown = {.t = r->t,
				  .data = b->buf + r->off,
				  .len = r->len,
				  .seg = r->seg,
				  .ecn = r->ecn};

	b->ops->failed(b->arg, &shown, err);
}

/* One datagram a send. 0, EAGAIN (the rest stays in the run), or the error of
 * the first that failed; those behind it went or failed alike. */
static int send_each(struct batch *b, unsigned int i)
{
	struct run *r = &b->run[i];
	int fd = run_fd(b, r), err = 0;
	uint32_t len;

	while (r->len) {
		len = r->len < r->seg ? r->len : r->seg;
		prepare(b, i, len);
		if (sendmsg(fd, &b->msg[i].msg_hdr, MSG_DONTWAIT) < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				return EAGAIN;
			err = err ? err : errno;
		}
		r->off += len;
		r->len -= len;
	}
	return err;
}

/* The run at ->first was refused with @err. false: it waits. */
static bool handle_error(struct batch *b, int err)
{
	unsigned int i = b->first;
	struct run whole = b->run[i];
	int each;

	if (err == EAGAIN) {
		b->blocked = true;
		b->ops->blocked(b->arg, run_fd(b, &whole));
		return false;
	}
	if (whole.len > whole.seg && (err == EIO || err == EINVAL)) {
		b->fallbacks++;
		each = send_each(b, i);
		if (err == EIO || each == 0 || each == EAGAIN)
			b->gso = false;
		if (each == EAGAIN) {
			b->run[i].seg = whole.seg;
			return handle_error(b, EAGAIN);
		}
		err = each;
	}
	if (err)
		report(b, &whole, err);
	return true;
}

/* Runs from ->first on that leave by one socket. */
static unsigned int group_end(const struct batch *b)
{
	int fd = run_fd(b, &b->run[b->first]);
	unsigned int end = b->first + 1;

	while (end < b->runs && !b->run[end].carried &&
	       run_fd(b, &b->run[end]) == fd)
		end++;
	return end;
}

static int send_group(struct batch *b, unsigned int end)
{
	int fd = run_fd(b, &b->run[b->first]), n;

	if (fd < 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	for (unsigned int i = b->first; i < end; i++)
		prepare(b, i, b->run[i].len);
	do {
		if (end == b->first + 1)
			n = sendmsg(fd, &b->msg[b->first].msg_hdr,
				    MSG_DONTWAIT) < 0
				    ? -1
				    : 1;
		else
			n = sendmmsg(fd, &b->msg[b->first], end - b->first,
				     MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* A carrier that has gone meanwhile: so has the run. */
static void carry(struct batch *b, const struct run *r)
{
	if (b->carrier)
		b->carrier->send(b->carrier_arg, &r->to, b->buf + r->off,
				 r->len, r->seg);
}

void batch_flush(struct batch *b)
{
	int n;

	if (b->flushing)
		return;
	b->flushing = true;
	b->blocked = false;
	while (b->first < b->runs) {
		if (b->run[b->first].carried) {
			carry(b, &b->run[b->first++]);
			continue;
		}
		n = send_group(b, group_end(b));
		if (n > 0) {
			b->first += (unsigned int)n;
			continue;
		}
		if (!handle_error(b, errno))
			break;
		b->first++;
	}
	if (b->first == b->runs) {
		b->first = 0;
		b->runs = 0;
		b->used = 0;
	}
	b->flushing = false;
}
