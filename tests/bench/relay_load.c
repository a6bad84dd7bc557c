/* SPDX-License-Identifier: MIT */
/*
 * relay_load - what a relay carries: its clients, what arrives, and a DC that directs
 *
 *   relay_load dc DIR ADDRESS:PORT PATHS MN-IP CN-IP
 *       plays the DC of the data folder DIR for our relay: shares a key, directs
 *       PATHS paths, prints "ready", answers registrations until SIGTERM
 *   relay_load sink ntm RELAY N | sink turn IP:PORT
 *       the receivers: N ends CN that punch, or one plain socket that a TURN server
 *       sends to. Prints "ready", and at SIGTERM "packets bytes seconds"
 *   relay_load send ntm|turn RELAY N SIZE RATE SECONDS BURST [SINK]
 *       N clients send datagrams that arrive as SIZE bytes, RATE a second in all (0:
 *       as many as go), in bursts of BURST by UDP_SEGMENT (1: each by itself). Prints
 *       how many were sent
 *
 * Of both relays the same datagrams arrive, and both are sent to in the same way. A
 * TURN client speaks channel data (RFC 8656), the lightest form.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "tests/bench/relay_load.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define CLIENTS_MAX 64
#define BATCH	    64
#define BUFFER	    (7 << 20)
#define PUNCH_S	    15
#define HEAD_TURN   4

volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

void die(const char *what)
{
	fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

struct addr address(const char *text)
{
	struct addr a;

	if (addr_parse(text, 0, &a)) {
		fprintf(stderr, "relay_load: %s is not an address\n", text);
		exit(2);
	}
	return a;
}

int udp_socket(const struct addr *bound, const struct addr *to)
{
	struct addr any;
	int fd, one = 1, big = BUFFER;

	if (!bound && addr_any(to->sa.sa_family, 0, &any))
		die("an address");
	if (!bound)
		bound = &any;
	fd = socket(bound->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, &bound->sa, addr_len(bound)) ||
	    (to && connect(fd, &to->sa, addr_len(to))))
		die("a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	(void)setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	return fd;
}

/* paths and keys follow from the number, so that all sides know them */
uint64_t path_of(unsigned int i)
{
	return (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) & ~UINT64_C(1);
}

void ktun_of(unsigned int i, struct ntmc_key *k)
{
	memset(k, 0x42, sizeof(*k));
	memcpy(k->b, &i, sizeof(i));
}

/* --- sending ---------------------------------------------------------------------------- */

/* @n datagrams of one burst, the way to the other side in front of each */
static size_t burst_make(const struct client *c, bool turn, size_t size,
			 unsigned int n, uint8_t *buf)
{
	size_t at = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (turn) {
			put16(put16(buf + at, CHANNEL), (unsigned int)size);
			memset(buf + at + HEAD_TURN, 0x77, size);
			at += HEAD_TURN + size;
		} else {
			struct packet_header h = {.type = PACKET_DATA,
						  .id = c->id ^ 1};

			memset(buf + at, 0x77, size);
			packet_header_put(&h, buf + at);
			at += size;
		}
	}
	return at;
}

/* one burst as one message, or BATCH datagrams by one call */
static unsigned int burst_send(const struct client *c, uint8_t *buf, size_t len,
			       unsigned int burst)
{
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov;
	int n;

	if (burst > 1)
		return send(c->fd, buf, len, 0) == (ssize_t)len ? burst : 0;
	iov = (struct iovec){buf, len};
	for (int i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(c->fd, msgs, BATCH, 0);
	return n > 0 ? (unsigned int)n : 0;
}

static uint64_t send_all(struct client *clients, unsigned int n, bool turn,
			 size_t size, double rate, double seconds,
			 unsigned int burst)
{
	static uint8_t buf[CLIENTS_MAX][65536];
	int segment = (int)(size + (turn ? HEAD_TURN : 0));
	uint64_t start, now, end, sent = 0;
	size_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		len = burst_make(&clients[i], turn, size, burst, buf[i]);
		if (burst > 1 && setsockopt(clients[i].fd, SOL_UDP, UDP_SEGMENT,
					    &segment, sizeof(segment)))
			die("UDP_SEGMENT");
	}
	start = now_ns();
	end = start + (uint64_t)(seconds * (double)NS);
	for (unsigned int i = 0; (now = now_ns()) < end && !ended; i++) {
		/* behind the plan: send; before it: wait for it */
		if (rate > 0 &&
		    (double)sent > rate * (double)(now - start) / (double)NS) {
			struct timespec t = {0, 50000};

			nanosleep(&t, NULL);
			continue;
		}
		sent += burst_send(&clients[i % n], buf[i % n], len, burst);
	}
	return sent;
}

static int cmd_send(int argc, char **argv)
{
	static struct client clients[CLIENTS_MAX];
	bool turn = !strcmp(argv[2], "turn");
	struct addr relay = address(argv[3]), sink;
	unsigned int n = (unsigned int)atoi(argv[4]);
	size_t size = strtoul(argv[5], NULL, 10);
	unsigned int burst = (unsigned int)atoi(argv[8]);

	if (!n || n > CLIENTS_MAX || size < PACKET_OVERHEAD || size > 1500 ||
	    !burst || burst > 64 || burst * (size + HEAD_TURN) > 65000 ||
	    (turn && argc < 10))
		return 2;
	if (turn)
		sink = address(argv[9]);
	for (unsigned int i = 0; i < n; i++)
		if (turn)
			client_turn(&clients[i], &relay, &sink);
		else
			client_ntm(&clients[i], &relay, i, 0);
	printf("%llu\n", (unsigned long long)send_all(clients, n, turn, size,
						      atof(argv[6]),
						      atof(argv[7]), burst));
	return 0;
}

/* --- receiving --------------------------------------------------------------------------- */

struct count {
	uint64_t packets, bytes, first, last;
};

/* lengths only: the data stays in the kernel */
static void count_socket(int fd, struct count *out)
{
	static struct mmsghdr msgs[BATCH];
	static uint8_t control[BATCH][64];
	int n;

	for (int i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_control = control[i];
		msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n <= 0)
		return;
	out->last = now_ns();
	if (!out->first)
		out->first = out->last;
	for (int i = 0; i < n; i++) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&msgs[i].msg_hdr);
		unsigned int len = msgs[i].msg_len;
		int segment = 0;

		if (c && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
		out->bytes += len;
		out->packets += segment > 0 ? (len + (unsigned int)segment -
					       1) / (unsigned int)segment
					    : 1;
	}
}

static int cmd_sink(int argc, char **argv)
{
	static struct client clients[CLIENTS_MAX];
	struct pollfd p[CLIENTS_MAX];
	bool turn = !strcmp(argv[2], "turn");
	struct addr at = address(argv[3]);
	unsigned int n = turn ? 1 : argc > 4 ? (unsigned int)atoi(argv[4]) : 0;
	struct count count = {.packets = 0};
	uint64_t punch_at = now_ns() + PUNCH_S * NS;

	if (!n || n > CLIENTS_MAX)
		return 2;
	for (unsigned int i = 0; i < n; i++) {
		if (turn)
			clients[i].fd = udp_socket(&at, NULL);
		else
			client_ntm(&clients[i], &at, i, 1);
		p[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
	}
	ready();
	while (!ended) {
		if (poll(p, n, 1000) > 0)
			for (unsigned int i = 0; i < n; i++)
				if (p[i].revents)
					count_socket(p[i].fd, &count);
		if (turn || now_ns() < punch_at)
			continue;
		punch_at = now_ns() + PUNCH_S * NS;
		for (unsigned int i = 0; i < n; i++) {
			punch_send(&clients[i]);
			(void)punched(&clients[i]); /* or one datagram */
		}
	}
	printf("%llu %llu %.6f\n", (unsigned long long)count.packets,
	       (unsigned long long)count.bytes,
	       (double)(count.last - count.first) / (double)NS);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_WARN);
	if (argc == 7 && !strcmp(argv[1], "dc"))
		return cmd_dc(argv);
	if (argc >= 4 && !strcmp(argv[1], "sink"))
		return cmd_sink(argc, argv);
	if (argc >= 9 && !strcmp(argv[1], "send"))
		return cmd_send(argc, argv);
	fputs("usage: relay_load dc DIR ADDRESS:PORT PATHS MN-IP CN-IP | sink "
	      "ntm RELAY N |\n       sink turn IP:PORT | send ntm|turn RELAY N "
	      "SIZE RATE SECONDS BURST [SINK]\n",
	      stderr);
	return 2;
}
