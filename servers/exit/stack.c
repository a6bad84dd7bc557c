/* SPDX-License-Identifier: MIT */
/*
 * stack - one node's TCP and UDP, ended here: an instance of libslirp and its limits
 *
 * Theory of operation
 *
 * libslirp answers the node's TCP itself and opens an ordinary socket for each
 * connection, and one for each UDP port of the node. Of what it could do besides
 * nothing is used: no DHCP, DNS, TFTP, router advertisement, no address of its own
 * network (which is a closed one, so the filter lets nothing go there), no ICMP
 * (echo.c). It never calls us back later: timers that it asks for never run, since
 * only router advertisements use them; TCP's are driven by stack_fill()/stack_poll().
 *
 * libslirp passes on a datagram from anybody to the port of a socket. So the stack
 * notes to whom the node has sent (a set of STACK_FLOWS places, each place the last
 * that fell on it of two) and drops what comes from others.
 *
 * Its TCP has neither window scaling nor SACK: 64 KiB a round trip between node and
 * exit is what one connection carries. Nor does it know that a node moved: recover.h. It sends large segments (seam_raise_mss()),
 * which the data path cuts, so a packet costs it little.
 *
 * Limits: sockets of a node, of its account and of all; above them a new connection is
 * refused, what is open goes on.
 */
#include "servers/exit/stack.h"

#include <errno.h>
#include <netinet/in.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/checksum.h"
#include "servers/exit/recover.h"
#include "servers/exit/seam.h"

#define ETHER_LEN  14
#define ETHER_IP4  0x0800
#define ETHER_ARP  0x0806
#define ETHER_IP6  0x86dd
#define ARP_LEN	   28
#define FRAME_MAX  (ETHER_LEN + SEAM_PACKET_MAX)
#define ND_SOLICIT 135
#define ND_ADVERT  136
#define ND_FIRST   133 /* router solicitation .. redirect */
#define ND_LAST	   137
#define ND_LEN	   32 /* an advertisement with its link-layer address */
#define TCP_FLAGS  13
#define TCP_SYN	   0x02
#define TCP_ACK	   0x10

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 0x6e, 0x74, 0x6d};

/* struct flow - the node's @port has sent to @ip, @peer; @until: s, 0 never */
struct flow {
	uint8_t ip[16];
	uint16_t port, peer;
	uint32_t until;
};

struct stack {
	struct stack_env *env;
	Slirp *slirp;
	uint8_t vip4[4], vip6[16];
	unsigned int sockets;
	unsigned int *owner; /* sockets of all of the account */
	bool asked;	     /* libslirp wants to know where vip6 is */
	struct polled *polled;
	struct recover *recover;
	struct flow flows[STACK_FLOWS];
	uint8_t frame[FRAME_MAX];
};

/* --- UDP: who may answer ----------------------------------------------------------- */

static uint32_t flow_hash(const uint8_t *ip, uint16_t port, uint16_t peer)
{
	uint64_t h = (uint64_t)port << 16 | peer, w;

	for (int i = 0; i < 16; i += 8) {
		memcpy(&w, ip + i, 8);
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static bool flow_is(const struct flow *f, const uint8_t *ip, uint16_t port,
		    uint16_t peer)
{
	return f->until && f->port == port && f->peer == peer &&
	       !memcmp(f->ip, ip, 16);
}

static struct flow *flow_find(struct stack *s, const uint8_t *ip, uint16_t port,
			      uint16_t peer)
{
	uint32_t at = flow_hash(ip, port, peer);

	for (uint32_t i = 0; i < 2; i++) {
		struct flow *f = &s->flows[(at + i) % STACK_FLOWS];

		if (flow_is(f, ip, port, peer))
			return f;
	}
	return NULL;
}

static uint32_t now_s(const struct stack *s)
{
	return (uint32_t)(s->env->now_ns(s->env->arg) / 1000000000u) + 1;
}

static void flow_note(struct stack *s, const uint8_t *ip, uint16_t port,
		      uint16_t peer)
{
	struct flow *f = flow_find(s, ip, port, peer), *g;
	uint32_t at = flow_hash(ip, port, peer);

	if (!f) {
		f = &s->flows[at % STACK_FLOWS];
		g = &s->flows[(at + 1) % STACK_FLOWS];
		if (g->until < f->until)
			f = g;
		memcpy(f->ip, ip, 16);
		f->port = port;
		f->peer = peer;
	}
	f->until = now_s(s) + STACK_FLOW_LIFE_S;
}

/* A datagram for the node: did it write to whoever sends it? */
static bool flow_passes(struct stack *s, const uint8_t *pkt,
			const struct inner *in)
{
	struct flow *f;
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	if (!in->transport)
		return false;
	if (in->version == 4)
		memcpy(ip + 12, in->src, 4);
	else
		memcpy(ip, in->src, 16);
	f = flow_find(s, ip, get16(pkt + in->l4 + 2), get16(pkt + in->l4));
	if (!f || f->until < now_s(s))
		return false;
	f->until = now_s(s) + STACK_FLOW_LIFE_S;
	return true;
}

/* --- the guest's part of Ethernet ------------------------------------------------------ */

static void ether_put(uint8_t *frame, uint16_t type)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, guest_mac, 6);
	put16(frame + 12, type);
}

/* "the guest has this address": libslirp keeps it for as long as it lives */
static void say_arp(struct stack *s)
{
	uint8_t f[ETHER_LEN + ARP_LEN], *arp = f + ETHER_LEN;

	ether_put(f, ETHER_ARP);
	memset(arp, 0, ARP_LEN);
	put16(arp, 1);
	put16(arp + 2, ETHER_IP4);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, 1); /* a request for oneself */
	memcpy(arp + 8, guest_mac, 6);
	memcpy(arp + 14, s->vip4, 4);
	memcpy(arp + 24, s->vip4, 4);
	slirp_input(s->slirp, f, sizeof(f));
}

static void say_neighbour(struct stack *s)
{
	uint8_t f[ETHER_LEN + 40 + ND_LEN], *ip = f + ETHER_LEN, *nd = ip + 40;
	uint16_t check;
	uint64_t sum;

	ether_put(f, ETHER_IP6);
	memset(ip, 0, 40 + ND_LEN);
	ip[0] = 0x60;
	put16(ip + 4, ND_LEN);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, s->vip6, 16);
	ip[24] = 0xff; /* to all nodes */
	ip[25] = 0x02;
	ip[39] = 1;
	nd[0] = ND_ADVERT;
	nd[4] = 0x20; /* override */
	memcpy(nd + 8, s->vip6, 16);
	nd[24] = 2; /* target link-layer address */
	nd[25] = 1;
	memcpy(nd + 26, guest_mac, 6);
	sum = checksum_pseudo(6, ip + 8, ip + 24, IPPROTO_ICMPV6);
	sum += checksum_number(ND_LEN);
	check = (uint16_t)~checksum_fold(checksum_add(sum, nd, ND_LEN));
	memcpy(nd + 2, &check, 2);
	slirp_input(s->slirp, f, sizeof(f));
}

/* What libslirp asked for during the last call is answered after it. */
static void settle(struct stack *s)
{
	if (!s->asked)
		return;
	s->asked = false;
	say_neighbour(s);
}

/* --- what libslirp calls ----------------------------------------------------------------- */

static bool is_neighbour(const uint8_t *pkt, const struct inner *in)
{
	return in->proto == IPPROTO_ICMPV6 && in->version == 6 &&
	       in->l4 < in->len && pkt[in->l4] >= ND_FIRST &&
	       pkt[in->l4] <= ND_LAST;
}

static bool is_for_node(const struct stack *s, const struct inner *in)
{
	return in->version == 4 ? !memcmp(in->dst, s->vip4, 4)
				: !memcmp(in->dst, s->vip6, 16);
}

static ssize_t on_send(const void *buf, size_t len, void *opaque)
{
	struct stack *s = opaque;
	uint8_t *pkt = (uint8_t *)buf + ETHER_LEN; /* its own buffer, used up */
	struct inner in;

	if (len <= ETHER_LEN || len > FRAME_MAX ||
	    inner_parse(pkt, len - ETHER_LEN, &in))
		return (ssize_t)len; /* ARP: it knows already */
	if (is_neighbour(pkt, &in)) {
		s->asked |= pkt[in.l4] == ND_SOLICIT;
		return (ssize_t)len;
	}
	if (!is_for_node(s, &in))
		return (ssize_t)len;
	if (in.proto == IPPROTO_UDP && !flow_passes(s, pkt, &in)) {
		s->env->unsolicited++;
		return (ssize_t)len;
	}
	if (in.proto == IPPROTO_TCP && in.transport)
		recover_sent(s->recover, pkt, &in);
	s->env->deliver(s->env->arg, pkt, in.len);
	return (ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
	(void)msg; /* the node's mistake: not for the log */
	(void)opaque;
}

static int64_t on_clock(void *opaque)
{
	struct stack *s = opaque;

	return (int64_t)s->env->now_ns(s->env->arg);
}

static void *on_timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
	(void)id;
	(void)cb_opaque;
	return opaque;
}

static void on_timer_free(void *timer, void *opaque)
{
	(void)timer;
	(void)opaque;
}

static void on_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	(void)timer; /* router advertisements: none */
	(void)expire_ms;
	(void)opaque;
}

static void on_register(int fd, void *opaque)
{
	struct stack *s = opaque;

	if (fd < 0)
		return;
	s->sockets++;
	s->env->all++;
	if (s->owner)
		++*s->owner;
}

static void on_unregister(int fd, void *opaque)
{
	struct stack *s = opaque;

	/* it says good-bye to a socket that it did not get, too */
	if (fd >= 0 && s->sockets) {
		s->sockets--;
		s->env->all--;
		if (s->owner)
			--*s->owner;
	}
}

static void on_notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = on_send,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new_opaque = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_register,
	.unregister_poll_fd = on_unregister,
	.notify = on_notify,
};

/* --- polling --------------------------------------------------------------------------------- */

int polled_add(struct polled *p, int fd, short events)
{
	struct pollfd *more;
	size_t max;

	if (p->n == p->max) {
		max = p->max ? p->max * 2 : 64;
		more = realloc(p->fds, max * sizeof(*more));
		if (!more) {
			p->full = true;
			return -1;
		}
		p->fds = more;
		p->max = max;
	}
	p->fds[p->n] = (struct pollfd){.fd = fd, .events = events};
	return (int)p->n++;
}

static const struct {
	int slirp;
	short poll;
} events[] = {{SLIRP_POLL_IN, POLLIN},
	      {SLIRP_POLL_OUT, POLLOUT},
	      {SLIRP_POLL_PRI, POLLPRI},
	      {SLIRP_POLL_ERR, POLLERR},
	      {SLIRP_POLL_HUP, POLLHUP}};
#define N_EVENTS (sizeof(events) / sizeof(events[0]))

static int on_add(int fd, int wanted, void *opaque)
{
	struct stack *s = opaque;
	short e = 0;

	for (size_t i = 0; i < N_EVENTS; i++)
		if (wanted & events[i].slirp)
			e |= events[i].poll;
	return polled_add(s->polled, fd, e);
}

static int on_revents(int idx, void *opaque)
{
	struct stack *s = opaque;
	int got = 0;

	if (idx < 0 || (size_t)idx >= s->polled->n)
		return 0;
	for (size_t i = 0; i < N_EVENTS; i++)
		if (s->polled->fds[idx].revents & events[i].poll)
			got |= events[i].slirp;
	return got;
}

void stack_fill(struct stack *s, struct polled *p, uint32_t *timeout_ms)
{
	s->polled = p;
	slirp_pollfds_fill(s->slirp, timeout_ms, on_add, s);
}

void stack_poll(struct stack *s, struct polled *p)
{
	s->polled = p;
	slirp_pollfds_poll(s->slirp, 0, on_revents, s);
	settle(s);
}

/* --- packets of the node ------------------------------------------------------------------------ */

static void note_udp(struct stack *s, const uint8_t *pkt,
		     const struct inner *in)
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	if (in->version == 4)
		memcpy(ip + 12, in->dst, 4);
	else
		memcpy(ip, in->dst, 16);
	flow_note(s, ip, get16(pkt + in->l4), get16(pkt + in->l4 + 2));
}

/* An account has at most as many as are left: a half for one, a third for two ... */
static bool is_full(const struct stack *s)
{
	const struct stack_env *e = s->env;

	return s->sockets >= e->sockets_max || e->all >= e->all_max ||
	       (s->owner && *s->owner >= e->all_max - e->all);
}

/* Would this packet open a socket more than there may be? */
static bool is_too_much(const struct stack *s, const uint8_t *pkt,
			const struct inner *in)
{
	if (!is_full(s))
		return false;
	if (in->proto == IPPROTO_TCP)
		return (pkt[in->l4 + TCP_FLAGS] & (TCP_SYN | TCP_ACK)) ==
		       TCP_SYN;
	/* of a port that has sent lately the socket is there */
	for (size_t i = 0; i < STACK_FLOWS; i++)
		if (s->flows[i].port == get16(pkt + in->l4) &&
		    s->flows[i].until >= now_s(s))
			return false;
	return true;
}

static void give(struct stack *s, const uint8_t *pkt, size_t len)
{
	ether_put(s->frame, pkt[0] >> 4 == 4 ? ETHER_IP4 : ETHER_IP6);
	memcpy(s->frame + ETHER_LEN, pkt, len);
	slirp_input(s->slirp, s->frame, (int)(ETHER_LEN + len));
}

static void give_acks(void *arg, const struct recover_acks *acks)
{
	for (int i = 0; i < RECOVER_ACKS; i++)
		give(arg, acks->pkt[i], acks->len);
}

void stack_path(struct stack *s)
{
	recover_path(s->recover, s->env->now_ns(s->env->arg), give_acks, s);
	settle(s);
}

int stack_input(struct stack *s, uint8_t *pkt, const struct inner *in)
{
	struct recover_acks acks;
	bool again = false;

	if (in->len > STACK_MTU || !in->transport)
		return -NTM_EINVAL;
	if (is_too_much(s, pkt, in))
		return -NTM_ELIMIT;
	if (in->proto == IPPROTO_UDP)
		note_udp(s, pkt, in);
	else
		seam_raise_mss(pkt, in, STACK_MSS);
	if (in->proto == IPPROTO_TCP)
		again = recover_heard(s->recover, pkt, in, &acks);
	give(s, pkt, in->len);
	if (again)
		give_acks(s, &acks);
	settle(s);
	return 0;
}

void stack_reset(struct stack *s,
		 void (*fn)(void *arg, uint8_t *pkt, size_t len), void *arg)
{
	recover_reset(s->recover, fn, arg);
}

void stack_set_owner(struct stack *s, unsigned int *sockets)
{
	if (s->owner)
		*s->owner -= s->sockets;
	s->owner = sockets;
	if (s->owner)
		*s->owner += s->sockets;
}

unsigned int stack_sockets(const struct stack *s)
{
	return s->sockets;
}

/* --- life ------------------------------------------------------------------------------------------ */

/* A network of its own that nobody can send to: closed by the filter. */
static void config_fill(SlirpConfig *c)
{
	static const uint8_t net6[16] = {0xfd, 0x00, 0x6e, 0x74, 0x6d};

	*c = (SlirpConfig){
		.version = 4,
		.in_enabled = true,
		.in6_enabled = true,
		.vnetwork.s_addr = htonl(0xc0000008u), /* 192.0.0.8/29 */
		.vnetmask.s_addr = htonl(0xfffffff8u),
		.vhost.s_addr = htonl(0xc0000009u),
		.vdhcp_start.s_addr = htonl(0xc000000bu),
		.vnameserver.s_addr = htonl(0xc000000au),
		.vprefix_len = 64,
		.if_mtu = STACK_MTU,
		.if_mru = STACK_MTU,
		.disable_host_loopback = true,
		.disable_dns = true,
		.disable_dhcp = true,
	};
	memcpy(&c->vprefix_addr6, net6, 16);
	memcpy(&c->vhost6, net6, 16);
	c->vhost6.s6_addr[15] = 2;
	memcpy(&c->vnameserver6, net6, 16);
	c->vnameserver6.s6_addr[15] = 3;
}

int stack_new(struct stack_env *env, const uint8_t vip4[static 4],
	      const uint8_t vip6[static 16], struct stack **out)
{
	static const uint8_t none[16];
	struct stack *s = calloc(1, sizeof(*s));
	SlirpConfig conf;

	if (!s)
		return -NTM_ENOMEM;
	s->env = env;
	memcpy(s->vip4, vip4, 4);
	memcpy(s->vip6, vip6, 16);
	config_fill(&conf);
	s->slirp = recover_new(&s->recover) ? NULL
					    : slirp_new(&conf, &callbacks, s);
	if (!s->slirp) {
		recover_free(s->recover);
		free(s);
		return -NTM_ENOMEM;
	}
	if (memcmp(vip4, none, 4))
		say_arp(s);
	if (memcmp(vip6, none, 16))
		say_neighbour(s);
	*out = s;
	return 0;
}

void stack_free(struct stack *s)
{
	if (!s)
		return;
	slirp_cleanup(s->slirp);
	if (s->owner)
		*s->owner -= s->sockets;
	s->env->all -= s->sockets; /* those that it did not say good-bye to */
	recover_free(s->recover);
	free(s);
}
