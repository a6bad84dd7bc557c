/* SPDX-License-Identifier: MIT */
/* echo - ICMP echo of nodes, by ping sockets */
#include "servers/exit/echo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/datapath/checksum.h"

#define REQUEST4   8
#define REQUEST6   128
#define REPLY6	   129
#define HEADER	   8 /* type, code, checksum, identifier, sequence */
#define PAYLOAD	   2048
#define HOP_LIMIT  64
#define READS_TURN 16

/* struct slot - @fd -1: free; addresses: 4 or 16 bytes by @version */
struct slot {
	int fd;
	uint8_t version;
	uint8_t node[16], to[16];
	uint16_t ident;
	uint64_t used_ns;
	int polled;
};

struct echo {
	struct stack_env *env;
	struct slot slots[ECHO_MAX];
};

static size_t ip_len(uint8_t version)
{
	return version == 4 ? 4 : 16;
}

static bool slot_is(const struct slot *s, const struct inner *in,
		    uint16_t ident)
{
	size_t n = ip_len(in->version);

	return s->fd >= 0 && s->version == in->version && s->ident == ident &&
	       !memcmp(s->node, in->src, n) && !memcmp(s->to, in->dst, n);
}

static void slot_close(struct slot *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* A free place; else, of this node when it has enough, the longest idle. */
static struct slot *slot_choose(struct echo *e, const struct inner *in)
{
	struct slot *idle = NULL, *own = NULL, *s;
	unsigned int n_own = 0;

	for (size_t i = 0; i < ECHO_MAX; i++) {
		s = &e->slots[i];
		if (s->fd < 0) {
			if (!idle || idle->fd >= 0)
				idle = s;
			continue;
		}
		if (!idle || (idle->fd >= 0 && s->used_ns < idle->used_ns))
			idle = s;
		if (s->version != in->version ||
		    memcmp(s->node, in->src, ip_len(in->version)))
			continue;
		n_own++;
		if (!own || s->used_ns < own->used_ns)
			own = s;
	}
	return n_own >= ECHO_NODE ? own : idle;
}

static int slot_open(struct slot *s, const struct inner *in, uint16_t ident)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	bool six = in->version == 6;
	int r;

	slot_close(s);
	s->fd = socket(six ? AF_INET6 : AF_INET,
		       SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (s->fd < 0)
		return errno == EACCES || errno == EPERM ? -NTM_EPERM
							 : -NTM_EUNREACHABLE;
	memcpy(&to6.sin6_addr, in->dst, six ? 16 : 4);
	memcpy(&to4.sin_addr, in->dst, 4);
	r = six ? connect(s->fd, (struct sockaddr *)&to6, sizeof(to6))
		: connect(s->fd, (struct sockaddr *)&to4, sizeof(to4));
	if (r) {
		slot_close(s);
		return -NTM_EUNREACHABLE;
	}
	s->version = in->version;
	s->ident = ident;
	memcpy(s->node, in->src, ip_len(in->version));
	memcpy(s->to, in->dst, ip_len(in->version));
	return 0;
}

int echo_input(struct echo *e, const uint8_t *pkt, const struct inner *in)
{
	uint8_t type = in->version == 4 ? REQUEST4 : REQUEST6;
	const uint8_t *icmp = pkt + in->l4;
	uint32_t len = in->len - in->l4;
	struct slot *s = NULL;
	uint16_t ident;
	int r;

	if (in->fragment || len < HEADER || len > HEADER + PAYLOAD ||
	    in->proto != (in->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
	    icmp[0] != type || icmp[1])
		return -NTM_EINVAL;
	ident = get16(icmp + 4);
	for (size_t i = 0; i < ECHO_MAX && !s; i++)
		if (slot_is(&e->slots[i], in, ident))
			s = &e->slots[i];
	if (!s) {
		s = slot_choose(e, in);
		r = slot_open(s, in, ident);
		if (r)
			return r;
	}
	s->used_ns = e->env->now_ns(e->env->arg);
	/* the kernel puts its own identifier and checksum */
	if (send(s->fd, icmp, len, MSG_DONTWAIT) < 0 && errno != EAGAIN)
		return -NTM_EUNREACHABLE;
	return 0;
}

/* --- answers ---------------------------------------------------------------------- */

static void checksum_put(uint8_t *at, uint64_t sum, const void *data,
			 size_t len)
{
	uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, data, len));

	memcpy(at, &check, 2);
}

static void reply4(const struct slot *s, uint8_t *pkt, size_t len)
{
	uint8_t *icmp = pkt + 20;

	memset(pkt, 0, 20);
	pkt[0] = 0x45;
	put16(pkt + 2, (uint32_t)(20 + len));
	pkt[8] = HOP_LIMIT;
	pkt[9] = IPPROTO_ICMP;
	memcpy(pkt + 12, s->to, 4);
	memcpy(pkt + 16, s->node, 4);
	checksum_put(pkt + 10, 0, pkt, 20);
	put16(icmp + 4, s->ident);
	memset(icmp + 2, 0, 2);
	checksum_put(icmp + 2, 0, icmp, len);
}

static void reply6(const struct slot *s, uint8_t *pkt, size_t len)
{
	uint8_t *icmp = pkt + 40;
	uint64_t sum;

	memset(pkt, 0, 40);
	pkt[0] = 0x60;
	put16(pkt + 4, (uint32_t)len);
	pkt[6] = IPPROTO_ICMPV6;
	pkt[7] = HOP_LIMIT;
	memcpy(pkt + 8, s->to, 16);
	memcpy(pkt + 24, s->node, 16);
	put16(icmp + 4, s->ident);
	memset(icmp + 2, 0, 2);
	sum = checksum_pseudo(6, pkt + 8, pkt + 24, IPPROTO_ICMPV6) +
	      checksum_number((uint32_t)len);
	checksum_put(icmp + 2, sum, icmp, len);
}

static void slot_read(struct echo *e, struct slot *s)
{
	uint8_t pkt[40 + HEADER + PAYLOAD];
	size_t head = s->version == 4 ? 20 : 40;

	for (int i = 0; i < READS_TURN; i++) {
		uint8_t *icmp = pkt + head;
		ssize_t n = recv(s->fd, icmp, sizeof(pkt) - head, MSG_DONTWAIT);

		if (n < 0)
			return;
		if (n < HEADER || icmp[0] != (s->version == 4 ? 0 : REPLY6))
			continue;
		if (s->version == 4)
			reply4(s, pkt, (size_t)n);
		else
			reply6(s, pkt, (size_t)n);
		e->env->deliver(e->env->arg, pkt, head + (size_t)n);
	}
}

void echo_fill(struct echo *e, struct polled *p)
{
	uint64_t now = e->env->now_ns(e->env->arg);

	for (size_t i = 0; i < ECHO_MAX; i++) {
		struct slot *s = &e->slots[i];

		if (s->fd < 0)
			continue;
		if (now - s->used_ns > ECHO_IDLE_S * UINT64_C(1000000000))
			slot_close(s);
		else
			s->polled = polled_add(p, s->fd, POLLIN);
	}
}

void echo_poll(struct echo *e, const struct polled *p)
{
	for (size_t i = 0; i < ECHO_MAX; i++) {
		struct slot *s = &e->slots[i];

		if (s->fd >= 0 && s->polled >= 0 && (size_t)s->polled < p->n &&
		    p->fds[s->polled].fd == s->fd && p->fds[s->polled].revents)
			slot_read(e, s);
	}
}

void echo_forget(struct echo *e, const uint8_t *vip, size_t len)
{
	for (size_t i = 0; i < ECHO_MAX; i++)
		if (ip_len(e->slots[i].version) == len &&
		    !memcmp(e->slots[i].node, vip, len))
			slot_close(&e->slots[i]);
}

int echo_new(struct stack_env *env, struct echo **out)
{
	struct echo *e = calloc(1, sizeof(*e));

	if (!e)
		return -NTM_ENOMEM;
	e->env = env;
	for (size_t i = 0; i < ECHO_MAX; i++)
		e->slots[i].fd = -1;
	*out = e;
	return 0;
}

void echo_free(struct echo *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < ECHO_MAX; i++)
		slot_close(&e->slots[i]);
	free(e);
}
