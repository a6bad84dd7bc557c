/* SPDX-License-Identifier: MIT */
/*
 * ports - what a peer may open here, and who began what is open
 *
 * Theory of operation
 *
 * A permission that is taken back ends what the peer began by it, in both directions,
 * and nothing that we began. So it is noted who began, for each local port, also while
 * everything is admitted: of TCP by the SYN, of UDP by who sent first after
 * PORTS_OPEN_S of silence. A peer's first packet counts only where it is admitted.
 *
 * Of a TCP port that no SYN has told of the number decides: the kernel takes the ports
 * of connect() from PORTS_OURS on, and servers have theirs below. So of TCP nothing is
 * kept but which ports are otherwise: a bit each, where there is one.
 *
 * A local port is one program's, as a rule; one that listens on a port and connects
 * to the same peer from it has for both who began last.
 *
 * UDP's flows stand in a table of open addressing, which there is not until there is one.
 * A flow that finds no room has those that are over taken out; only where more live than
 * ever did before does the table grow, and it shrinks when the tunnel goes to sleep.
 *
 * What is noted outlives the worker (ports_save(), by the peer's blob at the keeper): what
 * changed is saved within a second or so, and every PORTS_SAVE_S that it is in use. Times
 * are the loop's, which all workers of one boot share.
 */
#include "broker/datapath/ports.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"

#define TCP_FLAGS 13 /* offset in the TCP header */
#define TCP_SYN	  0x02
#define TCP_RST	  0x04
#define TCP_ACK	  0x10

#define FLOWS_MIN   16
#define ODD_LEN	    (65536 / 8)
#define SAVED_TCP   0x80 /* of a saved flow's last byte */
#define SAVED_THEIR 0x40 /* of UDP */
#define SAVED_AGE   4	 /* seconds, in its other bits */
#define SAVED_AGES  0x3f

/**
 * struct flow - UDP of one local port
 * @used: second in which it last was; 0: the place is free
 * @theirs: the peer began
 */
struct flow {
	uint32_t used;
	uint16_t port;
	bool theirs;
};

/**
 * struct ports - of one peer
 * @open: admitted ports, in order; NULL: none
 * @flow: @size places (a power of two, or none), @n of them taken
 * @odd: a bit for each TCP port that was begun by the other one than its number says;
 *       NULL: none
 * @changed, @in_use: since it was @saved (a second)
 */
struct ports {
	bool all, changed, in_use;
	uint16_t *open;
	size_t n_open, n, size;
	struct flow *flow;
	uint8_t *odd;
	uint32_t saved;
};

/* --- what is admitted ----------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static bool admitted(const struct ports *p, uint16_t port)
{
	return p->all || (p->open && bsearch(&port, p->open, p->n_open,
					     sizeof(port), by_number));
}

int ports_set(struct ports *p, bool all, const uint16_t *list, size_t n)
{
	uint16_t *open = n ? malloc(n * sizeof(*open)) : NULL;

	free(p->open);
	p->open = open;
	p->n_open = open ? n : 0;
	p->all = all;
	if (n && !open)
		return -NTM_ENOMEM;
	if (n) {
		memcpy(open, list, n * sizeof(*open));
		qsort(open, n, sizeof(*open), by_number);
	}
	return 0;
}

int ports_new(bool all, const uint16_t *list, size_t n, struct ports **out)
{
	struct ports *p = calloc(1, sizeof(*p));
	int r = p ? ports_set(p, all, list, n) : -NTM_ENOMEM;

	if (r)
		ports_free(p);
	else
		*out = p;
	return r;
}

void ports_free(struct ports *p)
{
	if (!p)
		return;
	free(p->open);
	free(p->flow);
	free(p->odd);
	free(p);
}

/* --- flows ---------------------------------------------------------------------- */

static uint32_t seconds(uint64_t now)
{
	return (uint32_t)(now / LOOP_S(1)) + 1;
}

static bool is_live(const struct flow *f, uint32_t s)
{
	return s - f->used <= PORTS_OPEN_S;
}

static size_t place(const struct ports *p, uint16_t port)
{
	return (port * 0x9e3779b1u >> 15) & (p->size - 1);
}

/* Return: the flow, or NULL */
static struct flow *find(const struct ports *p, uint16_t port)
{
	size_t i;

	if (!p->n)
		return NULL;
	for (i = place(p, port); p->flow[i].used; i = (i + 1) & (p->size - 1))
		if (p->flow[i].port == port)
			return &p->flow[i];
	return NULL;
}

static void insert(struct ports *p, const struct flow *f)
{
	size_t i = place(p, f->port);

	while (p->flow[i].used)
		i = (i + 1) & (p->size - 1);
	p->flow[i] = *f;
	p->n++;
}

/* what stands behind it and would not be found any more moves up */
static void take_out(struct ports *p, size_t hole)
{
	size_t mask = p->size - 1, i = hole;

	for (i = (i + 1) & mask; p->flow[i].used; i = (i + 1) & mask) {
		size_t home = place(p, p->flow[i].port);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		p->flow[hole] = p->flow[i];
		hole = i;
	}
	p->flow[hole].used = 0;
	p->n--;
}

static void drop_dead(struct ports *p, uint32_t s)
{
	for (size_t i = 0; i < p->size;)
		if (p->flow[i].used && !is_live(&p->flow[i], s))
			take_out(p, i); /* another one may stand there now */
		else
			i++;
}

static int resize(struct ports *p, size_t size)
{
	struct flow *old = p->flow, *flow = calloc(size, sizeof(*flow));
	size_t i, n = p->size;

	if (!flow)
		return -NTM_ENOMEM;
	p->flow = flow;
	p->size = size;
	p->n = 0;
	for (i = 0; i < n; i++)
		if (old[i].used)
			insert(p, &old[i]);
	free(old);
	return 0;
}

/* Return: false: no memory, nothing is noted */
static bool note(struct ports *p, uint32_t s, const struct flow *f)
{
	p->changed = true;
	if (p->n >= p->size - p->size / 4) {
		drop_dead(p, s);
		if (p->n >= p->size / 2 &&
		    resize(p, p->size ? 2 * p->size : FLOWS_MIN) &&
		    p->n >= p->size - p->size / 4)
			return false;
	}
	insert(p, f);
	return true;
}

void ports_rest(struct ports *p, uint64_t now)
{
	size_t size = FLOWS_MIN;

	drop_dead(p, seconds(now));
	while (size / 2 < p->n + 1)
		size *= 2;
	if (!p->n) {
		free(p->flow);
		p->flow = NULL;
		p->size = 0;
	} else if (size < p->size && resize(p, size)) {
		return; /* it stays as large as it was */
	}
}

/* --- UDP ----------------------------------------------------------------------- */

/* Does it begin a UDP datagram, whole or in parts? Then its ports can be read. */
static bool is_udp_head(const uint8_t *pkt, const struct inner *in)
{
	if (in->proto != IPPROTO_UDP)
		return false;
	return in->transport || (in->fragment && in->len - in->l4 >= 8 &&
				 inner_part_offset(pkt, in) == 0);
}

/* one of these begins now */
static bool udp_begin(struct ports *p, struct flow *f, uint32_t s,
		      uint16_t port, bool theirs)
{
	const struct flow fresh = {.used = s, .port = port, .theirs = theirs};

	if (!f)
		return note(p, s, &fresh);
	*f = fresh;
	p->changed = true;
	return true;
}

static bool udp_sent(struct ports *p, uint32_t s, uint16_t port)
{
	struct flow *f = find(p, port);

	if (!f || !is_live(f, s))
		return udp_begin(p, f, s, port, false);
	f->used = s;
	p->in_use = true;
	/* an answer, or one to who was admitted */
	return !f->theirs || admitted(p, port);
}

static bool udp_pass(struct ports *p, uint32_t s, uint16_t port)
{
	struct flow *f = find(p, port);
	bool live = f && is_live(f, s);

	if ((!live || f->theirs) && !admitted(p, port))
		return false;
	if (!live)
		return udp_begin(p, f, s, port, true);
	f->used = s;
	p->in_use = true;
	return true;
}

/* --- TCP ----------------------------------------------------------------------- */

static bool is_odd(const struct ports *p, uint16_t port)
{
	return p->odd && p->odd[port / 8] >> (port % 8) & 1;
}

static bool is_ours(const struct ports *p, uint16_t port)
{
	return (port >= PORTS_OURS) != is_odd(p, port);
}

/* Return: false: no memory, nothing is noted */
static bool tcp_begin(struct ports *p, uint16_t port, bool theirs)
{
	if (is_ours(p, port) != theirs)
		return true;
	if (!p->odd)
		p->odd = calloc(1, ODD_LEN);
	if (!p->odd)
		return false;
	p->odd[port / 8] ^= (uint8_t)(1 << (port % 8));
	p->changed = true;
	return true;
}

static bool tcp(struct ports *p, uint8_t flags, uint16_t port, bool theirs)
{
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return (!theirs || admitted(p, port)) &&
		       tcp_begin(p, port, theirs);
	return flags & TCP_RST || admitted(p, port) || is_ours(p, port);
}

/* --- both ways ------------------------------------------------------------------ */

bool ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	if (is_udp_head(pkt, in))
		return udp_sent(p, seconds(now), get16(pkt + in->l4));
	if (in->transport) /* TCP */
		return tcp(p, pkt[in->l4 + TCP_FLAGS], get16(pkt + in->l4),
			   false);
	return true;
}

bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	if (in->proto == IPPROTO_ICMP || in->proto == IPPROTO_ICMPV6)
		return true;
	if (in->fragment && in->proto == IPPROTO_UDP &&
	    inner_part_offset(pkt, in) > 0)
		return true;
	if (is_udp_head(pkt, in))
		return udp_pass(p, seconds(now), get16(pkt + in->l4 + 2));
	if (in->transport)
		return tcp(p, pkt[in->l4 + TCP_FLAGS], get16(pkt + in->l4 + 2),
			   true);
	return p->all;
}

/* --- over a restart -------------------------------------------------------------- */

bool ports_due(const struct ports *p, uint64_t now)
{
	uint32_t s = seconds(now);

	return (p->changed && s != p->saved) ||
	       (p->in_use && s - p->saved >= PORTS_SAVE_S);
}

/** struct saving - @len of @size bytes are written */
struct saving {
	uint8_t *out;
	size_t len, size;
};

static void save_flow(struct saving *v, uint16_t port, uint32_t what)
{
	if (v->len + PORTS_SAVED_LEN > v->size)
		return;
	put16(v->out + v->len, port);
	v->out[v->len + 2] = (uint8_t)what;
	v->len += PORTS_SAVED_LEN;
}

size_t ports_save(struct ports *p, uint64_t now, uint8_t *out, size_t size)
{
	struct saving v = {.out = out, .size = size};
	uint32_t s = seconds(now), port;

	drop_dead(p, s);
	/* the peer's first: where there is no room it is ours that are forgotten */
	for (int theirs = 1; theirs >= 0; theirs--) {
		for (port = 0; p->odd && port < 65536; port++)
			if (theirs == (port >= PORTS_OURS) &&
			    is_odd(p, (uint16_t)port))
				save_flow(&v, (uint16_t)port, SAVED_TCP);
		for (size_t i = 0; i < p->size; i++) {
			const struct flow *f = &p->flow[i];

			if (f->used && f->theirs == theirs)
				save_flow(&v, f->port,
					  (s - f->used) / SAVED_AGE |
						  (theirs ? SAVED_THEIR : 0));
		}
	}
	p->saved = s;
	p->changed = p->in_use = false;
	return v.len;
}

/* Return: false: no memory. It may have been in use until it would have been saved again */
static bool load_flow(struct ports *p, uint32_t s, uint32_t passed,
		      uint16_t port, uint8_t what)
{
	uint32_t age = (uint32_t)(what & SAVED_AGES) * SAVED_AGE + passed;
	struct flow f = {.port = port, .theirs = what & SAVED_THEIR};

	if (what & SAVED_TCP)
		return is_odd(p, port) || tcp_begin(p, port, is_ours(p, port));
	age = age > PORTS_SAVE_S ? age - PORTS_SAVE_S : 0;
	f.used = age < s ? s - age : 1;
	return age > PORTS_OPEN_S || find(p, port) || note(p, s, &f);
}

int ports_load(uint64_t now, uint32_t passed, const uint8_t *saved, size_t len,
	       struct ports **out)
{
	struct ports *p;
	size_t i;
	int r = ports_new(false, NULL, 0, &p);

	if (r)
		return r;
	if (passed > PORTS_SAVE_S + PORTS_OPEN_S)
		passed = PORTS_SAVE_S + PORTS_OPEN_S + 1;
	for (i = 0; !r && i + PORTS_SAVED_LEN <= len; i += PORTS_SAVED_LEN)
		if (!load_flow(p, seconds(now), passed, get16(saved + i),
			       saved[i + 2]))
			r = -NTM_ENOMEM;
	if (r)
		ports_free(p);
	else
		*out = p;
	return r;
}
