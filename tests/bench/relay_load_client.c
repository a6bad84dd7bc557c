/* SPDX-License-Identifier: MIT */
/* relay_load_client - clients of our relay, and of a TURN server */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/bench/relay_load.h"

#define TRIES 25

void punch_send(struct client *c)
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
bool punched(struct client *c)
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

void client_ntm(struct client *c, const struct addr *relay, unsigned int i,
		unsigned int end)
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

uint8_t *put16(uint8_t *p, unsigned int v)
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

void client_turn(struct client *c, const struct addr *relay,
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
