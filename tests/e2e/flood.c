/* SPDX-License-Identifier: MIT */
/*
 * flood - sends a UDP port what an attacker on the way can make
 *
 * Usage: flood DEVICE ADDRESS PORT RATE SECONDS SEED
 *
 * Theory of operation: as root of a router, listens on DEVICE for datagrams that go
 * to ADDRESS:PORT until it has SAMPLES of them (or 3 s have gone), says "ready",
 * then sends RATE a second, one kind after the other:
 *
 *   replay    a sample as it was, from where it came
 *   truncate  a sample, shorter
 *   flip      a sample with one bit turned
 *   forge     the header of a sample with another counter, then noise
 *   source    a sample as it was, from an address of 203.0.113.0/24
 *   random    noise of any length
 *
 * The sources are forged by a raw socket. Prints how many of each kind left, and the
 * rate reached.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES	    256
#define PAYLOAD_MAX 1400
#define HEADERS	    (sizeof(struct iphdr) + sizeof(struct udphdr))
#define BATCH	    64
#define HEADER_LEN  20 /* of a datagram of ours: what is in clear */

enum kind { REPLAY, TRUNCATE, FLIP, FORGE, SOURCE, RANDOM, NKINDS };
static const char *const kind_text[NKINDS] = {"replay", "truncate", "flip",
					      "forge",	"source",   "random"};

struct sample {
	uint32_t from;
	uint16_t port;
	size_t len;
	uint8_t data[PAYLOAD_MAX];
};

struct flood {
	struct in_addr to;
	uint16_t port;
	uint64_t seed;
	size_t n;
	struct sample samples[SAMPLES];
	uint8_t packets[BATCH][HEADERS + PAYLOAD_MAX];
	struct iovec iov[BATCH];
	struct mmsghdr msgs[BATCH];
	uint64_t sent[NKINDS];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t rnd(struct flood *f)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return f->seed;
}

static void noise(struct flood *f, uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t r = rnd(f);

		memcpy(p, &r, 8);
	}
	while (len--)
		*p++ = (uint8_t)rnd(f);
}

/* --- listening -------------------------------------------------------------------- */

static void take(struct flood *f, const uint8_t *p, size_t len)
{
	struct iphdr ip;
	struct udphdr udp;
	struct sample *s = &f->samples[f->n];

	if (len < HEADERS)
		return;
	memcpy(&ip, p, sizeof(ip));
	memcpy(&udp, p + sizeof(ip), sizeof(udp));
	if (ip.protocol != IPPROTO_UDP || ip.ihl != 5 ||
	    ip.daddr != f->to.s_addr || udp.dest != f->port)
		return;
	len -= HEADERS;
	s->from = ip.saddr;
	s->port = udp.source;
	/* several datagrams may travel as one: the first of them will do */
	s->len = len > PAYLOAD_MAX ? PAYLOAD_MAX : len;
	memcpy(s->data, p + HEADERS, s->len);
	f->n++;
}

static void listen_on(struct flood *f, const char *device)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL)};
	uint64_t end = now_ns() + 3000000000u;
	uint8_t buf[65536];
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));

	sa.sll_ifindex = (int)if_nametoindex(device);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(device);
	while (f->n < SAMPLES && now_ns() < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&p, 1, 100) > 0 ? recv(fd, buf, sizeof(buf), 0)
						 : -1;

		if (n > 0)
			take(f, buf, (size_t)n);
	}
	close(fd);
	if (!f->n) {
		fprintf(stderr, "flood: nothing went that way\n");
		exit(1);
	}
}

/* --- sending ------------------------------------------------------------------------ */

static size_t fill(struct flood *f, enum kind kind, const struct sample *s,
		   uint8_t *p)
{
	size_t len = s->len;

	memcpy(p, s->data, len);
	switch (kind) {
	case TRUNCATE:
		return rnd(f) % len;
	case FLIP:
		p[rnd(f) % len] ^= (uint8_t)(1u << rnd(f) % 8);
		return len;
	case FORGE:
		if (len < HEADER_LEN)
			return len;
		noise(f, p + HEADER_LEN - 8, len - HEADER_LEN + 8);
		return len;
	case RANDOM:
		len = rnd(f) % PAYLOAD_MAX;
		noise(f, p, len);
		return len;
	case REPLAY:
	case SOURCE:
	case NKINDS:
		break;
	}
	return len;
}

static void make(struct flood *f, enum kind kind, unsigned int i)
{
	const struct sample *s = &f->samples[rnd(f) % f->n];
	uint8_t *p = f->packets[i];
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .ttl = 64,
			   .protocol = IPPROTO_UDP,
			   .saddr = s->from,
			   .daddr = f->to.s_addr};
	struct udphdr udp = {.source = s->port, .dest = f->port};
	size_t len = fill(f, kind, s, p + HEADERS);

	if (kind == SOURCE || kind == RANDOM) {
		ip.saddr = htonl(0xcb007100u | (uint8_t)rnd(f));
		udp.source = (uint16_t)rnd(f);
	}
	udp.len = htons((uint16_t)(sizeof(udp) + len));
	ip.tot_len = htons((uint16_t)(HEADERS + len));
	memcpy(p, &ip, sizeof(ip));
	memcpy(p + sizeof(ip), &udp, sizeof(udp));
	f->iov[i] = (struct iovec){p, HEADERS + len};
}

static void send_batch(struct flood *f, int fd, unsigned int n, uint64_t total)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = f->to};
	unsigned int i, done = 0;

	for (i = 0; i < n; i++) {
		make(f, (enum kind)((total + i) % NKINDS), i);
		f->sent[(total + i) % NKINDS]++;
		f->msgs[i].msg_hdr = (struct msghdr){.msg_name = &to,
						     .msg_namelen = sizeof(to),
						     .msg_iov = &f->iov[i],
						     .msg_iovlen = 1};
	}
	while (done < n) {
		int r = sendmmsg(fd, f->msgs + done, n - done, 0);

		if (r > 0)
			done += (unsigned int)r;
		else if (errno == ENOBUFS || errno == EAGAIN)
			done++; /* the way is full: that one is lost */
		else
			die("sendmmsg");
	}
}

static void run(struct flood *f, uint64_t rate, uint64_t seconds)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	uint64_t start = now_ns(), total = 0, all = rate * seconds, ns;

	if (fd < 0)
		die("raw socket");
	while (total < all) {
		uint64_t due = (now_ns() - start) * rate / 1000000000u;
		unsigned int n;

		if (due <= total) {
			usleep(500); /* the rate is what is played */
			continue;
		}
		/* never later than twice the time: what a slow machine cannot
		 * send is not sent */
		if (now_ns() - start > 2 * seconds * 1000000000u)
			break;
		n = due - total > BATCH ? BATCH : (unsigned int)(due - total);
		send_batch(f, fd, n, total);
		total += n;
	}
	ns = now_ns() - start;
	printf("samples %zu, sent %llu, a second %llu:", f->n,
	       (unsigned long long)total,
	       (unsigned long long)(total * 1000000000u / ns));
	for (int k = 0; k < NKINDS; k++)
		printf(" %s %llu", kind_text[k],
		       (unsigned long long)f->sent[k]);
	printf("\n");
	close(fd);
}

int main(int argc, char **argv)
{
	static struct flood f;

	if (argc != 7 || inet_pton(AF_INET, argv[2], &f.to) != 1) {
		fputs("flood: DEVICE ADDRESS PORT RATE SECONDS SEED\n", stderr);
		return 2;
	}
	f.port = htons((uint16_t)atoi(argv[3]));
	f.seed = strtoull(argv[6], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
	listen_on(&f, argv[1]);
	printf("ready\n");
	fflush(stdout);
	run(&f, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	return 0;
}
