/* SPDX-License-Identifier: MIT */
/* udp - the UDP sockets: what the kernel can do with them, and reading */
#include "broker/datapath/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define READ_MAX     65536u
#define BUFFER_BYTES (3 * READ_MAX)

#define PENDING_ERRORS 16

#define TEST_SEG     100
#define TEST_COUNT   5
#define TEST_WAIT_MS 200

struct udp_buffer {
	uint32_t used;
	uint8_t mem[BUFFER_BYTES];
};

/* --- self-test ----------------------------------------------------------------- */

static int test_socket(bool receiver, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*at);

	if (fd < 0 || !receiver)
		return fd;
	*at = (struct sockaddr_in){.sin_family = AF_INET};
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)at, sizeof(*at)) ||
	    getsockname(fd, (struct sockaddr *)at, &len)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One send of datagrams of @seg bytes. */
static bool test_send(int fd, const struct sockaddr_in *to, const uint8_t *data,
		      size_t len, int seg)
{
	return setsockopt(fd, SOL_UDP, UDP_SEGMENT, &seg, sizeof(seg)) == 0 &&
	       sendto(fd, data, len, 0, (const struct sockaddr *)to,
		      sizeof(*to)) == (ssize_t)len;
}

/* Reads until all bytes are there; every read must hold whole datagrams. */
static bool test_receive(int fd, const uint8_t *data, size_t len,
			 unsigned int *reads)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t got[TEST_SEG * TEST_COUNT + 1];
	size_t done = 0;
	ssize_t n;

	*reads = 0;
	while (done < len) {
		if (poll(&p, 1, TEST_WAIT_MS) != 1)
			return false;
		n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
		if (n <= 0 || n % TEST_SEG || done + (size_t)n > len ||
		    memcmp(got, data + done, (size_t)n) != 0)
			return false;
		done += (size_t)n;
		(*reads)++;
	}
	return true;
}

/* Where not even a plain datagram passes (loopback is down, or filtered) nothing is
 * learned: then the answer is yes, and a send that fails tells later. */
static bool test_pair(int in, int out, const struct sockaddr_in *at, bool join)
{
	uint8_t data[TEST_SEG * TEST_COUNT];
	unsigned int reads;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / TEST_SEG);
	if (sendto(out, data, TEST_SEG, 0, (const struct sockaddr *)at,
		   sizeof(*at)) < 0 ||
	    !test_receive(in, data, TEST_SEG, &reads))
		return true;
	if (!test_send(out, at, data, sizeof(data), TEST_SEG))
		return false;
	return test_receive(in, data, sizeof(data), &reads) &&
	       (join || reads == TEST_COUNT);
}

static bool test_run(bool join)
{
	struct sockaddr_in at;
	int on = 1, in, out;
	bool ok = true;

	in = test_socket(true, &at);
	if (in < 0)
		return true;
	out = test_socket(false, NULL);
	if (join && setsockopt(in, SOL_UDP, UDP_GRO, &on, sizeof(on)))
		ok = false;
	else if (out >= 0)
		ok = test_pair(in, out, &at, join);
	if (out >= 0)
		close(out);
	close(in);
	return ok;
}

void udp_test(bool *gso, bool *gro)
{
	*gso = test_run(false);
	*gro = *gso && test_run(true);
}

/* --- options ---------------------------------------------------------------------- */

static void raise_buffer(int fd, int force, int option)
{
	int want = UDP_BUFFER_WANTED;

	if (setsockopt(fd, SOL_SOCKET, force, &want, sizeof(want)))
		(void)!setsockopt(fd, SOL_SOCKET, option, &want, sizeof(want));
}

uint32_t udp_setup(int fd)
{
	int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE, on = 1;
	int domain = 0, granted = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return 0;
	if (domain == AF_INET) {
		(void)!setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4,
				  sizeof(probe4));
		(void)!setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	} else if (domain == AF_INET6) {
		(void)!setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6,
				  sizeof(probe6));
		(void)!setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on,
				  sizeof(on));
	}
	raise_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	raise_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	len = sizeof(granted);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &len))
		return 0;
	return (uint32_t)granted / 2; /* the kernel doubles what it grants */
}

void udp_set_gro(int fd, bool on)
{
	int v = on;

	(void)!setsockopt(fd, SOL_UDP, UDP_GRO, &v, sizeof(v));
}

/* --- reading ----------------------------------------------------------------------- */

int udp_buffer_new(struct udp_buffer **out)
{
	struct udp_buffer *b = malloc(sizeof(*b));

	if (!b)
		return -NTM_ENOMEM;
	b->used = 0;
	*out = b;
	return 0;
}

void udp_buffer_free(struct udp_buffer *b)
{
	free(b);
}

bool udp_room(const struct udp_buffer *b)
{
	return b->used + READ_MAX <= BUFFER_BYTES;
}

void udp_rewind(struct udp_buffer *b)
{
	b->used = 0;
}

static void read_control(struct msghdr *mh, struct udp_read *r)
{
	struct cmsghdr *c;
	int v;

	for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			if (v > 0)
				r->seg = (uint32_t)v;
		} else if (c->cmsg_level == IPPROTO_IP &&
			   c->cmsg_type == IP_TOS) {
			r->ecn = *CMSG_DATA(c) & 3;
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_TCLASS) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			r->ecn = v & 3;
		}
	}
}

bool udp_read(struct udp_buffer *b, int fd, struct udp_read *out)
{
	struct sockaddr_storage from;
	union {
		struct cmsghdr align;
		uint8_t bytes[128];
	} control;
	struct iovec iov = {.iov_base = b->mem + b->used, .iov_len = READ_MAX};
	struct msghdr mh = {.msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	ssize_t n = -1;

	/* an error that waited on the socket is told once and then gone */
	for (int i = 0; i < PENDING_ERRORS; i++) {
		n = recvmsg(fd, &mh, MSG_DONTWAIT);
		if (n >= 0 || errno == EAGAIN)
			break;
	}
	if (n < 0)
		return false;
	out->data = iov.iov_base;
	out->len = (uint32_t)n;
	out->seg = (uint32_t)n;
	out->ecn = 0;
	addr_clear(&out->from);
	if (mh.msg_namelen)
		(void)!addr_from_sockaddr((struct sockaddr *)&from,
					  mh.msg_namelen, &out->from);
	read_control(&mh, out);
	/* the next read starts aligned */
	b->used += ((uint32_t)n + 63) & ~63u;
	return true;
}
