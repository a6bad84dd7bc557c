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
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/channel.h"
#include "common/datagram.h"
#include "common/log.h"
#include "servers/servercert.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define CLIENTS_MAX 64
#define BATCH	    64
#define WINDOW	    128 /* directions under way */
#define BUFFER	    (7 << 20)
#define NS	    1000000000ull
#define ANSWER_MS   200
#define TRIES	    25
#define PUNCH_S	    15
#define HEAD_TURN   4
#define CHANNEL	    0x4000

static volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

static struct addr address(const char *text)
{
	struct addr a;

	if (addr_parse(text, 0, &a)) {
		fprintf(stderr, "relay_load: %s is not an address\n", text);
		exit(2);
	}
	return a;
}

static int udp_socket(const struct addr *bound, const struct addr *to)
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
static uint64_t path_of(unsigned int i)
{
	return (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) & ~UINT64_C(1);
}

static void ktun_of(unsigned int i, struct ntmc_key *k)
{
	memset(k, 0x42, sizeof(*k));
	memcpy(k->b, &i, sizeof(i));
}

/* --- the DC --------------------------------------------------------------------- */

struct dc {
	struct loop *loop;
	struct loop_timer *tick;
	int fd;
	struct addr rs;
	struct datagram_keys keys;
	uint64_t id, counter;
	unsigned int paths, next, done;
	uint32_t under_way[WINDOW]; /* txn, 0: none */
	uint64_t told_ns[WINDOW];
	struct addr mn, cn;
	bool is_ready;
};

static void dc_send(struct dc *dc, const Ntm__Signal *msg)
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = dc->id, .counter = dc->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n = datagram_seal(&h, dc->keys.aead, &dc->keys.down, &msg->base,
			      buf);

	if (n < 0 || !addr_is_set(&dc->rs))
		return;
	(void)!sendto(dc->fd, buf, (size_t)n, 0, &dc->rs.sa, addr_len(&dc->rs));
}

static void dc_direct(struct dc *dc, unsigned int i)
{
	Ntm__RelayDirection d = NTM__RELAY_DIRECTION__INIT;
	Ntm__RelayEnd mn = NTM__RELAY_END__INIT, cn = NTM__RELAY_END__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	char names[2][32];
	struct ntmc_key kpunch;

	ktun_of(i, &kpunch);
	snprintf(names[0], sizeof(names[0]), "caller-%u", i);
	snprintf(names[1], sizeof(names[1]), "callee-%u", i);
	mn.account = names[0];
	cn.account = names[1];
	mn.proven.data = (uint8_t *)addr_ip(&dc->mn, &mn.proven.len);
	cn.proven.data = (uint8_t *)addr_ip(&dc->cn, &cn.proven.len);
	d.path_id = path_of(i);
	d.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, kpunch.b};
	d.aead = NTMC_AES_256_GCM;
	d.mn = &mn;
	d.cn = &cn;
	msg.txn = i + 1;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = &d;
	dc->under_way[i % WINDOW] = i + 1;
	dc->told_ns[i % WINDOW] = now_ns();
	dc_send(dc, &msg);
}

static void dc_tick(void *arg)
{
	struct dc *dc = arg;

	/* what was lost is told again: all that is not acknowledged */
	for (unsigned int k = 0; k < WINDOW; k++)
		if (dc->under_way[k] &&
		    now_ns() - dc->told_ns[k] > ANSWER_MS * NS / 1000)
			dc_direct(dc, dc->under_way[k] - 1);
	if (ended)
		loop_stop(dc->loop);
	loop_timer_arm(dc->tick, LOOP_MS(50));
}

static void dc_fill(struct dc *dc)
{
	while (dc->next < dc->paths && !dc->under_way[dc->next % WINDOW])
		dc_direct(dc, dc->next++);
	if (dc->done == dc->paths && !dc->is_ready) {
		dc->is_ready = true;
		ready();
	}
}

static void dc_acked(struct dc *dc, uint32_t txn, uint32_t code)
{
	if (dc->under_way[(txn - 1) % WINDOW] != txn)
		return;
	if (code)
		fprintf(stderr, "relay_load: path %u: %s\n", txn,
			err_text((int)code));
	dc->under_way[(txn - 1) % WINDOW] = 0;
	dc->done++;
	dc_fill(dc);
}

static void dc_registered(struct dc *dc, uint32_t txn)
{
	Ntm__RelayRegistrationAck ack = NTM__RELAY_REGISTRATION_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	ack.boot = 1;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK;
	msg.relay_registration_ack = &ack;
	dc_send(dc, &msg);
	dc_fill(dc);
}

static void dc_signal(void *arg, int fd, unsigned int events)
{
	struct dc *dc = arg;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct packet_header h;
	ProtobufCMessage *base;
	uint8_t buf[2048];
	const Ntm__Signal *msg;
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &from_len);

	(void)events;
	if (n < 0 || packet_header_get(buf, (size_t)n, &h) || h.id != dc->id ||
	    datagram_open(&h, dc->keys.aead, &dc->keys.up, buf, (size_t)n,
			  &ntm__signal__descriptor, &base) ||
	    addr_from_sockaddr((struct sockaddr *)&from, from_len, &dc->rs))
		return;
	msg = (const Ntm__Signal *)base;
	if (msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION) {
		dc_registered(dc, msg->txn);
	} else if (msg->body_case == NTM__SIGNAL__BODY_ACK) {
		dc_acked(dc, msg->txn, msg->ack->code);
	}
	datagram_free(base);
}

static void dc_open(struct channel *c, void *arg)
{
	Ntm__KeySharing body = NTM__KEY_SHARING__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct dc *dc = arg;
	struct ntmc_key key;

	ntmc_random(NULL, &dc->id, sizeof(dc->id));
	ntmc_key_random(NULL, &key);
	if (datagram_relay_keys(&key, dc->id, NTMC_AES_256_GCM, &dc->keys))
		die("keys");
	channel_set_idle(c, 0);
	body.id = dc->id;
	body.key = (ProtobufCBinaryData){NTMC_KEY_LEN, key.b};
	body.aead = NTMC_AES_256_GCM;
	body.lifetime_s = 86400;
	msg.txn = 1;
	msg.body_case = NTM__ENVELOPE__BODY_KEY_SHARING;
	msg.key_sharing = &body;
	if (channel_send(c, &msg))
		die("key sharing");
}

static void dc_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	(void)c;
	(void)msg;
	(void)arg;
}

static void dc_closed(struct channel *c, int err, void *arg)
{
	(void)c;
	(void)arg;
	fprintf(stderr, "relay_load: the relay has gone: %s\n", err_text(err));
}

static int cmd_dc(char **argv)
{
	static const struct channel_ops ops = {
		.open = dc_open, .message = dc_message, .closed = dc_closed};
	struct dc dc = {.paths = (unsigned int)atoi(argv[4])};
	struct addr at = address(argv[3]);
	struct channel_listener *listener;
	struct servercert cert;
	struct loop_io *io;
	int tcp, one = 1;

	dc.mn = address(argv[5]);
	dc.cn = address(argv[6]);
	dc.fd = udp_socket(&at, NULL);
	tcp = socket(at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, &at.sa, addr_len(&at)) || listen(tcp, 4))
		die("listen");
	if (loop_new(&dc.loop) || servercert_load(argv[2], "dc", &cert) ||
	    channel_listen_take(dc.loop, cert.tls, tcp, &ops, &dc, &listener) ||
	    loop_io_add(dc.loop, dc.fd, LOOP_READ, false, dc_signal, &dc,
			&io) ||
	    loop_timer_new(dc.loop, dc_tick, &dc, &dc.tick))
		die("the DC");
	loop_timer_arm(dc.tick, 0);
	return loop_run(dc.loop) ? 1 : 0;
}

/* --- ends of paths ------------------------------------------------------------------ */

struct client {
	int fd;
	uint64_t id; /* ntm: with the bit of the end */
	struct datagram_keys keys;
	uint8_t cookie[16]; /* of the last answer */
	size_t cookie_len;
};

static void punch_send(struct client *c)
{
	static uint8_t zeros[100];
	struct packet_header h = {.type = PACKET_HOLE_PUNCH, .id = c->id};
	Ntm__HolePunch q = NTM__HOLE_PUNCH__INIT;
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct timespec t;
	int n;

	clock_gettime(CLOCK_REALTIME, &t);
	q.sent_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	q.cookie = (ProtobufCBinaryData){c->cookie_len, c->cookie};
	q.padding = (ProtobufCBinaryData){sizeof(zeros), zeros};
	ntmc_random(NULL, &h.counter, sizeof(h.counter));
	n = datagram_seal(&h, NTMC_AES_256_GCM, &c->keys.up, &q.base, buf);
	if (n > 0)
		(void)!send(c->fd, buf, (size_t)n, 0);
}

/* one answer, within ANSWER_MS */
static ssize_t answer(int fd, uint8_t *buf, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ANSWER_MS) == 1 ? recv(fd, buf, size, MSG_DONTWAIT)
					   : -1;
}

/* Return: the end is bound, and sure */
static bool punched(struct client *c)
{
	const Ntm__HolePunchAck *ack;
	struct packet_header h;
	ProtobufCMessage *base;
	uint8_t buf[2048];
	ssize_t n = answer(c->fd, buf, sizeof(buf));
	bool bound;

	if (n < 0 || packet_header_get(buf, (size_t)n, &h) ||
	    h.type != PACKET_HOLE_PUNCH_ACK ||
	    datagram_open(&h, NTMC_AES_256_GCM, &c->keys.down, buf, (size_t)n,
			  &ntm__hole_punch_ack__descriptor, &base))
		return false;
	ack = (const Ntm__HolePunchAck *)base;
	bound = ack->bound && !ack->echo;
	c->cookie_len = ack->cookie.len == sizeof(c->cookie) ? 16 : 0;
	memcpy(c->cookie, ack->cookie.data, c->cookie_len);
	datagram_free(base);
	return bound;
}

static void client_ntm(struct client *c, const struct addr *relay,
		       unsigned int i, unsigned int end)
{
	struct ntmc_key kpunch;

	ktun_of(i, &kpunch);
	c->id = path_of(i) | end;
	c->fd = udp_socket(NULL, relay);
	if (datagram_punch_keys(&kpunch, c->id, NTMC_AES_256_GCM, &c->keys))
		die("keys");
	for (int k = 0; k < TRIES; k++) {
		punch_send(c);
		if (punched(c))
			return;
	}
	fprintf(stderr, "relay_load: path %u: the relay does not answer\n", i);
	exit(1);
}

/* --- TURN (RFC 8656) ------------------------------------------------------------------ */

static uint8_t *put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *stun_head(uint8_t *p, unsigned int type, unsigned int txn)
{
	static const uint8_t magic[4] = {0x21, 0x12, 0xa4, 0x42};

	p = put16(p, type);
	p = put16(p, 0); /* the length, when it is known */
	memcpy(p, magic, 4);
	memset(p + 4, 0x55, 12);
	put16(p + 4, txn);
	return p + 16;
}

/* send @buf, wait for the success of it */
static void stun_ask(int fd, uint8_t *buf, uint8_t *end)
{
	uint8_t got[2048];

	put16(buf + 2, (unsigned int)(end - buf) - 20);
	for (int k = 0; k < TRIES; k++) {
		ssize_t n;

		(void)!send(fd, buf, (size_t)(end - buf), 0);
		n = answer(fd, got, sizeof(got));
		if (n < 20 || memcmp(got + 4, buf + 4, 16))
			continue;
		if (got[0] == 1 && got[1] == buf[1])
			return;
		fprintf(stderr, "relay_load: TURN refuses %02x%02x\n", got[0],
			got[1]);
		exit(1);
	}
	fprintf(stderr, "relay_load: TURN does not answer\n");
	exit(1);
}

static void client_turn(struct client *c, const struct addr *relay,
			const struct addr *sink)
{
	static const uint8_t magic[4] = {0x21, 0x12, 0xa4, 0x42};
	uint8_t buf[256], *p;
	const uint8_t *ip;
	size_t len;

	c->fd = udp_socket(NULL, relay);
	p = stun_head(buf, 0x0003, 1); /* Allocate */
	p = put16(p, 0x0019);	       /* REQUESTED-TRANSPORT: UDP */
	p = put16(p, 4);
	memset(p, 0, 4);
	*p = 17;
	stun_ask(c->fd, buf, p + 4);
	p = stun_head(buf, 0x0009, 2); /* ChannelBind */
	p = put16(p, 0x000c);	       /* CHANNEL-NUMBER */
	p = put16(p, 4);
	p = put16(p, CHANNEL);
	p = put16(p, 0);
	p = put16(p, 0x0012); /* XOR-PEER-ADDRESS, IPv4 */
	p = put16(p, 8);
	p = put16(p, 1);
	p = put16(p, addr_port(sink) ^ 0x2112u);
	ip = addr_ip(sink, &len);
	for (size_t i = 0; i < 4; i++)
		*p++ = ip[i] ^ magic[i];
	stun_ask(c->fd, buf, p);
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
