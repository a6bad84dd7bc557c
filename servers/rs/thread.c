/* SPDX-License-Identifier: MIT */
/*
 * thread - a forwarding thread: its sockets, buffers, counters
 *
 * Theory of operation
 *
 * Each thread has a socket of its own on every listening address (SO_REUSEPORT); the
 * kernel gives all datagrams of one source to one of them, so one end's packets stay
 * in order. A turn: recvmmsg() into the thread's buffers, where UDP_GRO may put up to
 * 64 KiB of one source's datagrams into each; forward_arrival() looks at them where
 * they lie; the outbox sends them from there. While messages are large fewer are
 * taken at once, so that they leave before they have left the cache.
 *
 * Buffers lie 64 KiB and a bit apart: small datagrams at equal distances of a power
 * of two would share a few lines of the cache.
 */
#include "servers/rs/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "servers/rs/state.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define STRIDE	       (THREAD_MESSAGE_MAX + 320)
#define BATCHES	       16 /* of one socket, then the others have their turn */
#define LARGE_BYTES    262144 /* in one batch */
#define DONT_FRAGMENT4 IP_PMTUDISC_PROBE
#define DONT_FRAGMENT6 IPV6_PMTUDISC_PROBE

/* --- what came ----------------------------------------------------------------- */

static void map_ip4(const void *ip4, uint8_t out[16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, ip4, 4);
}

void arrival_local(struct rs_thread *t, struct arrival *a)
{
	uint8_t ip[16];

	if (a->from.local || !a->info)
		return;
	if (a->info->cmsg_level == IPPROTO_IP) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(a->info), sizeof(info));
		map_ip4(&info.ipi_addr, ip);
	} else {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(a->info), sizeof(info));
		memcpy(ip, &info.ipi6_addr, 16);
	}
	a->from.local = locals_number(&t->rs->locals, ip);
	a->info = NULL;
}

static void arrival_source(sa_family_t family, const struct sockaddr_in6 *name,
			   struct remote *out)
{
	struct sockaddr_in in4;

	if (family == AF_INET) {
		memcpy(&in4, name, sizeof(in4));
		map_ip4(&in4.sin_addr, (uint8_t *)out->ip);
		out->port = in4.sin_port;
	} else {
		memcpy(out->ip, &name->sin6_addr, 16);
		out->port = name->sin6_port;
	}
}

static void arrival_control(struct msghdr *m, struct arrival *a)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int v;

		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			a->size = (uint16_t)v;
		} else if (c->cmsg_level == IPPROTO_IP &&
			   c->cmsg_type == IP_TOS) {
			a->ecn = *(const uint8_t *)CMSG_DATA(c) & 3;
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_TCLASS) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			a->ecn = v & 3;
		} else if ((c->cmsg_level == IPPROTO_IP &&
			    c->cmsg_type == IP_PKTINFO) ||
			   (c->cmsg_level == IPPROTO_IPV6 &&
			    c->cmsg_type == IPV6_PKTINFO)) {
			a->info = c;
		}
	}
}

static void receive_one(struct rs_thread *t, size_t socket, unsigned int i)
{
	struct msghdr *m = &t->in[i].msg_hdr;
	struct arrival a = {.data = t->in_iov[i].iov_base,
			    .len = t->in[i].msg_len};

	if (m->msg_flags & MSG_TRUNC || !a.len || a.len > THREAD_MESSAGE_MAX) {
		STAT_ADD(t->stats.received, 1);
		STAT_ADD(t->stats.malformed, 1);
		return;
	}
	a.from.listen = (uint8_t)socket;
	arrival_source(t->family[socket], &t->in_from[i], &a.from);
	arrival_control(m, &a);
	if (!a.size || a.size > a.len)
		a.size = a.len < UINT16_MAX ? (uint16_t)a.len : UINT16_MAX;
	STAT_ADD(t->stats.received, (a.len + a.size - 1) / a.size);
	forward_arrival(t, &a);
}

static void receive(struct rs_thread *t, size_t socket)
{
	for (int turn = 0; turn < BATCHES; turn++) {
		unsigned int vlen = t->vlen;
		size_t bytes = 0;
		int n;

		for (unsigned int i = 0; i < vlen; i++) {
			t->in[i].msg_hdr.msg_namelen = sizeof(t->in_from[i]);
			t->in[i].msg_hdr.msg_controllen =
				sizeof(t->in_control[i]);
			t->in[i].msg_hdr.msg_flags = 0;
		}
		n = recvmmsg(t->fds[socket], t->in, vlen, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return; /* empty */
		for (int i = 0; i < n; i++) {
			bytes += t->in[i].msg_len;
			receive_one(t, socket, (unsigned int)i);
		}
		outbox_flush(&t->outbox);
		t->vlen = bytes / (unsigned int)n > LARGE_BYTES / THREAD_BATCH
				  ? THREAD_BATCH_LARGE
				  : THREAD_BATCH;
		if ((unsigned int)n < vlen)
			return;
	}
}

void thread_receive(struct rs_thread *t, size_t socket)
{
	atomic_fetch_add(&t->turn, 1);
	receive(t, socket);
	atomic_fetch_add(&t->turn, 1);
}

/* --- the thread -------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	struct rs_thread *t = arg;
	struct pollfd p[ROLE_SOCKETS_MAX + 1];
	size_t n = t->n_sockets;

	prctl(PR_SET_NAME, "rs-forward");
	for (size_t i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = t->fds[i], .events = POLLIN};
	p[n] = (struct pollfd){.fd = t->stop, .events = POLLIN};
	for (;;) {
		if (poll(p, (nfds_t)n + 1, -1) < 0 && errno != EINTR)
			break;
		if (p[n].revents)
			break;
		for (size_t i = 0; i < n; i++)
			if (p[i].revents)
				thread_receive(t, i);
	}
	return NULL;
}

static void set(int fd, int level, int option, int value)
{
	/* what the kernel refuses, we do without */
	(void)!setsockopt(fd, level, option, &value, sizeof(value));
}

static int socket_options(struct rs_thread *t, size_t i)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = t->fds[i];

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -NTM_ESYSTEM;
	t->family[i] = ss.ss_family;
	set(fd, SOL_UDP, UDP_GRO, 1);
	/* what a node sent whole goes on whole: it finds the path's size itself */
	if (ss.ss_family == AF_INET) {
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, DONT_FRAGMENT4);
		set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, DONT_FRAGMENT6);
		set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
	return 0;
}

static int buffers_new(struct rs_thread *t)
{
	/* pages that are never written cost nothing */
	void *p = mmap(NULL, (size_t)THREAD_BATCH * STRIDE,
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		return -NTM_ENOMEM;
	t->in_buf = p;
	t->vlen = THREAD_BATCH;
	for (unsigned int i = 0; i < THREAD_BATCH; i++) {
		struct msghdr *m = &t->in[i].msg_hdr;

		t->in_iov[i] = (struct iovec){t->in_buf + (size_t)i * STRIDE,
					      THREAD_MESSAGE_MAX};
		m->msg_iov = &t->in_iov[i];
		m->msg_iovlen = 1;
		m->msg_name = &t->in_from[i];
		m->msg_control = t->in_control[i];
	}
	return 0;
}

/* signals are the control thread's */
static int thread_start(struct rs_thread *t)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t->running = !r;
	return r ? -NTM_ESYSTEM : 0;
}

int thread_new(struct rs *rs, const int *fds, size_t n, struct rs_thread **out)
{
	struct rs_thread *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -NTM_ENOMEM;
	t->rs = rs;
	t->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = t->stop < 0 ? -NTM_ESYSTEM : buffers_new(t);
	for (size_t i = 0; !r && i < n; i++) {
		t->fds[i] = fds[i];
		r = socket_options(t, i);
	}
	if (!r)
		r = outbox_init(&t->outbox, fds, n, &rs->locals);
	t->n_sockets = n;
	if (!r)
		r = thread_start(t);
	if (r) {
		t->n_sockets = 0; /* they stay the caller's */
		thread_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void thread_free(struct rs_thread *t)
{
	if (!t)
		return;
	if (t->running) {
		eventfd_write(t->stop, 1);
		pthread_join(t->thread, NULL);
	}
	for (size_t i = 0; i < t->n_sockets; i++)
		close(t->fds[i]);
	if (t->stop >= 0)
		close(t->stop);
	if (t->in_buf)
		munmap(t->in_buf, (size_t)THREAD_BATCH * STRIDE);
	free(t);
}

uint64_t thread_cpu_ns(const struct rs_thread *t)
{
	struct timespec ts;
	clockid_t id;

	if (!t->running || pthread_getcpuclockid(t->thread, &id) ||
	    clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
