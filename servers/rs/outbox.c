/* SPDX-License-Identifier: MIT */
/*
 * outbox - what a thread is about to send: runs of datagrams, then one system call
 *
 * Theory of operation
 *
 * Runs stand in the order of their first datagram. open[] remembers by a hash of the
 * key which run may still grow; where two keys meet in one place, the older run is
 * left as it is and a new one begun behind it, so no datagram overtakes another of
 * its key.
 *
 * UDP_SEGMENT can fail where plain sends work: EIO when the device cannot do
 * checksums for it, EINVAL when the datagrams do not fit the device's MTU. The run
 * then goes one by one and is counted; EIO switches UDP_SEGMENT off for good. A full
 * send buffer loses what is left for that socket: whoever waits here would lose as
 * much on the receiving side, later and dearer.
 */
#include "servers/rs/outbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

int outbox_init(struct outbox *o, const int *fds, size_t n,
		const struct locals *locals)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int zero = 0;

	memset(o, 0, sizeof(*o));
	o->locals = locals;
	o->n_sockets = n;
	o->gso = true;
	for (size_t i = 0; i < n; i++) {
		len = sizeof(ss);
		if (getsockname(fds[i], (struct sockaddr *)&ss, &len))
			return -NTM_ESYSTEM;
		o->fds[i] = fds[i];
		o->family[i] = ss.ss_family;
		/* a kernel that knows the option */
		if (setsockopt(fds[i], SOL_UDP, UDP_SEGMENT, &zero,
			       sizeof(zero)))
			o->gso = false;
	}
	return 0;
}

/* --- gathering ------------------------------------------------------------------- */

static void set_name(const struct outbox *o, struct outbox_run *r)
{
	if (o->family[r->to.listen] == AF_INET) {
		struct sockaddr_in in4 = {.sin_family = AF_INET,
					  .sin_port = r->to.port};

		memcpy(&in4.sin_addr, (uint8_t *)r->to.ip + 12, 4);
		memcpy(&r->name, &in4, sizeof(in4));
		r->name_len = sizeof(in4);
		return;
	}
	memset(&r->name, 0, sizeof(r->name));
	r->name.sin6_family = AF_INET6;
	r->name.sin6_port = r->to.port;
	memcpy(&r->name.sin6_addr, r->to.ip, 16);
	r->name_len = sizeof(r->name);
}

static struct outbox_run *run_new(struct outbox *o, uint32_t key,
				  const struct remote *to, uint8_t ecn,
				  uint16_t size)
{
	struct outbox_run *r;

	if (o->n == OUTBOX_RUNS)
		outbox_flush(o);
	r = &o->runs[o->n++];
	r->to = *to;
	r->key = key;
	r->ecn = ecn;
	r->size = size;
	r->bytes = 0;
	r->n = r->n_iov = 0;
	r->closed = !key || !o->gso;
	set_name(o, r);
	if (key)
		o->open[(key * 2654435761u) >> 24] = (uint8_t)o->n;
	return r;
}

_Static_assert(OUTBOX_KEYS == 256 && OUTBOX_RUNS < 256, "fits a byte");

static bool takes(const struct outbox_run *r, const struct remote *to,
		  uint8_t ecn, size_t len)
{
	return !r->closed && len <= r->size && r->n < OUTBOX_SEGMENTS &&
	       r->bytes + len <= OUTBOX_BYTES && r->ecn == ecn &&
	       remote_same(&r->to, to) && r->to.listen == to->listen &&
	       r->to.local == to->local;
}

static struct outbox_run *run_open(struct outbox *o, uint32_t key,
				   const struct remote *to, uint8_t ecn,
				   size_t len)
{
	uint8_t i = key ? o->open[(key * 2654435761u) >> 24] : 0;
	struct outbox_run *r = i ? &o->runs[i - 1] : NULL;

	return r && r->key == key && takes(r, to, ecn, len) ? r : NULL;
}

/* How many of the first @bytes fit behind what the run has: at least the first
 * datagram, for which takes() or a new run has found room. */
static size_t fitting(const struct outbox_run *r, size_t bytes)
{
	size_t n = OUTBOX_SEGMENTS - r->n;
	size_t by_bytes = (OUTBOX_BYTES - r->bytes) / r->size;

	if (by_bytes < n)
		n = by_bytes;
	if (!n)
		n = 1;
	return bytes < n * r->size ? bytes : n * r->size;
}

static void run_append(struct outbox_run *r, uint8_t *data, size_t len)
{
	struct iovec *last = r->n_iov ? &r->iov[r->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += len;
	else
		r->iov[r->n_iov++] = (struct iovec){data, len};
	r->n = (uint16_t)(r->n + (len + r->size - 1) / r->size);
	r->bytes += (uint32_t)len;
	if (len % r->size)
		r->closed = true;
}

void outbox_add(struct outbox *o, uint32_t key, const struct remote *to,
		uint8_t ecn, uint8_t *data, size_t bytes, uint16_t size)
{
	if (to->listen >= o->n_sockets)
		return;
	while (bytes) {
		size_t first = bytes < size ? bytes : size, len = first;
		struct outbox_run *r = run_open(o, key, to, ecn, first);

		if (!r)
			r = run_new(o, key, to, ecn, (uint16_t)first);
		/* a datagram larger than the run's would close it: one at a time */
		if (!r->closed && r->size == size)
			len = fitting(r, bytes);
		run_append(r, data, len);
		data += len;
		bytes -= len;
	}
}

/* --- sending ---------------------------------------------------------------------- */

static struct cmsghdr *control_add(struct msghdr *m, int level, int type,
				   const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)m->msg_control +
					       m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
	return c;
}

void outbox_local(const struct outbox *o, const struct remote *to,
		  struct msghdr *m)
{
	const uint8_t *local;

	if (!to->local)
		return;
	local = locals_ip(o->locals, to->local);
	if (o->family[to->listen] == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = 0};

		memcpy(&info.ipi_spec_dst, local + 12, 4);
		control_add(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = 0};

		memcpy(&info.ipi6_addr, local, 16);
		control_add(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

static void message_of(const struct outbox *o, struct outbox_run *r,
		       struct msghdr *m)
{
	int tos = r->ecn;

	memset(m, 0, sizeof(*m));
	m->msg_name = &r->name;
	m->msg_namelen = r->name_len;
	m->msg_iov = r->iov;
	m->msg_iovlen = r->n_iov;
	m->msg_control = r->control;
	outbox_local(o, &r->to, m);
	if (tos && o->family[r->to.listen] == AF_INET)
		control_add(m, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	else if (tos)
		control_add(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	if (r->n > 1)
		control_add(m, SOL_UDP, UDP_SEGMENT, &r->size, sizeof(r->size));
}

static void count_sent(struct outbox *o, const struct outbox_run *r)
{
	STAT_ADD(o->stats.packets, r->n);
	STAT_ADD(o->stats.bytes, r->bytes);
	STAT_ADD(o->stats.messages, 1);
}

/* the run's datagrams as messages of their own */
static void send_singly(struct outbox *o, struct outbox_run *r)
{
	struct iovec one;
	struct msghdr m;
	uint16_t n = r->n;

	r->n = 1; /* no UDP_SEGMENT */
	message_of(o, r, &m);
	r->n = n;
	m.msg_iov = &one;
	m.msg_iovlen = 1;
	for (unsigned int i = 0; i < r->n_iov; i++) {
		uint8_t *p = r->iov[i].iov_base;
		size_t left = r->iov[i].iov_len;

		while (left) {
			one.iov_base = p;
			one.iov_len = left < r->size ? left : r->size;
			if (sendmsg(o->fds[r->to.listen], &m, MSG_DONTWAIT) <
			    0) {
				STAT_ADD(o->stats.lost, 1);
			} else {
				STAT_ADD(o->stats.packets, 1);
				STAT_ADD(o->stats.bytes, one.iov_len);
				STAT_ADD(o->stats.messages, 1);
			}
			p += one.iov_len;
			left -= one.iov_len;
		}
	}
}

/* the first message of the rest was refused; Return: is there any use in going on? */
static bool send_failed(struct outbox *o, struct outbox_run *r, int err)
{
	if (r->n > 1 && (err == EIO || err == EINVAL || err == EMSGSIZE ||
			 err == EOPNOTSUPP)) {
		if (err == EIO || err == EOPNOTSUPP)
			o->gso = false;
		STAT_ADD(o->stats.fallbacks, 1);
		send_singly(o, r);
		return true;
	}
	STAT_ADD(o->stats.lost, r->n);
	return err != EAGAIN && err != ENOBUFS;
}

static void flush_socket(struct outbox *o, size_t listen)
{
	unsigned int n = 0, done = 0;

	for (unsigned int i = 0; i < o->n; i++) {
		if (o->runs[i].to.listen != listen)
			continue;
		message_of(o, &o->runs[i], &o->msgs[n].msg_hdr);
		o->msg_run[n++] = (uint8_t)i;
	}
	while (done < n) {
		int sent = sendmmsg(o->fds[listen], o->msgs + done, n - done,
				    MSG_DONTWAIT);
		bool go_on;

		if (sent < 0 && errno == EINTR)
			continue;
		for (int i = 0; i < sent; i++)
			count_sent(o, &o->runs[o->msg_run[done++]]);
		if (sent > 0)
			continue;
		go_on = send_failed(o, &o->runs[o->msg_run[done++]], errno);
		for (; !go_on && done < n; done++)
			STAT_ADD(o->stats.lost, o->runs[o->msg_run[done]].n);
	}
}

void outbox_flush(struct outbox *o)
{
	if (!o->n)
		return;
	for (size_t i = 0; i < o->n_sockets; i++)
		flush_socket(o, i);
	o->n = 0;
	memset(o->open, 0, sizeof(o->open));
}
