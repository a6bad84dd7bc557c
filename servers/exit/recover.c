/* SPDX-License-Identifier: MIT */
/* recover - TCP to a node that was elsewhere: what was lost is sent again at once */
#include "servers/exit/recover.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define TCP_FLAGS  13
#define TCP_WINDOW 14
#define TCP_FIN	   0x01
#define TCP_SYN	   0x02
#define TCP_RST	   0x04
#define TCP_ACK	   0x10
#define TCP_LEN	   20
#define HOP_LIMIT  64

/* struct line - a connection: the node's @port with @ip, @peer. Sequence numbers: @sent:
 * behind all that libslirp sent; @acked: what the node has; @seq, @window: of the
 * acknowledgement that the node would send. @until: while recovering: what had been sent
 * when the path came back. @used: counts, for which place goes first; 0: free */
struct line {
	uint8_t ip[16], vip[16];
	uint8_t version;
	uint16_t port, peer, window;
	uint32_t sent, acked, seq, until;
	uint64_t used;
	bool heard, recovering;
};

struct recover {
	uint64_t turn, at_ns;
	struct line lines[RECOVER_FLOWS];
};

int recover_new(struct recover **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void recover_free(struct recover *r)
{
	free(r);
}

static bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static size_t ip_len(uint8_t version)
{
	return version == 4 ? 4 : 16;
}

static uint32_t hash(const uint8_t *ip, size_t len, uint16_t port,
		     uint16_t peer)
{
	uint64_t h = (uint64_t)port << 16 | peer;

	for (size_t i = 0; i < len; i += 4)
		h = (h ^ get32(ip + i)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

/* @ip, @peer: the host's; @add: in place of the older one of two, if need be */
static struct line *line_get(struct recover *r, const struct inner *in,
			     const uint8_t *ip, uint16_t port, uint16_t peer,
			     bool add)
{
	size_t len = ip_len(in->version);
	uint32_t at = hash(ip, len, port, peer);
	struct line *oldest = NULL;

	for (uint32_t i = 0; i < 2; i++) {
		struct line *l = &r->lines[(at + i) % RECOVER_FLOWS];

		if (l->used && l->port == port && l->peer == peer &&
		    l->version == in->version && !memcmp(l->ip, ip, len)) {
			l->used = ++r->turn;
			return l;
		}
		if (!oldest || l->used < oldest->used)
			oldest = l;
	}
	if (!add)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->ip, ip, len);
	oldest->version = in->version;
	oldest->port = port;
	oldest->peer = peer;
	oldest->used = ++r->turn;
	return oldest;
}

/* sequence numbers that a segment takes */
static uint32_t span(const uint8_t *tcp, const struct inner *in)
{
	uint8_t flags = tcp[TCP_FLAGS];

	return in->len - in->l4 - in->l4_len + !!(flags & TCP_SYN) +
	       !!(flags & TCP_FIN);
}

void recover_sent(struct recover *r, const uint8_t *pkt, const struct inner *in)
{
	const uint8_t *tcp = pkt + in->l4;
	uint32_t end = get32(tcp + 4) + span(tcp, in);
	struct line *l;

	l = line_get(r, in, in->src, get16(tcp + 2), get16(tcp),
		     tcp[TCP_FLAGS] & TCP_SYN);
	if (!l)
		return;
	memcpy(l->vip, in->dst, ip_len(in->version));
	if (tcp[TCP_FLAGS] & TCP_RST) {
		l->used = 0;
	} else if (tcp[TCP_FLAGS] & TCP_SYN) {
		l->sent = end;
		l->acked = end - 1;
	} else if (is_after(end, l->sent)) {
		l->sent = end;
	}
}

static void checksum_put(uint8_t *at, uint64_t sum, const void *data,
			 size_t len)
{
	uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, data, len));

	memcpy(at, &check, 2);
}

/* the node's acknowledgement; @reset: in place of that a reset by the host */
static size_t packet_make(const struct line *l, uint16_t window, bool reset,
			  uint8_t *out)
{
	size_t ip = l->version == 4 ? 20 : 40, n = ip_len(l->version);
	uint8_t *tcp = out + ip, *src = out + (l->version == 4 ? 12 : 8);

	memset(out, 0, ip + TCP_LEN);
	memcpy(src, reset ? l->ip : l->vip, n);
	memcpy(src + n, reset ? l->vip : l->ip, n);
	if (l->version == 4) {
		out[0] = 0x45;
		put16(out + 2, (uint32_t)(ip + TCP_LEN));
		out[8] = HOP_LIMIT;
		out[9] = IPPROTO_TCP;
		checksum_put(out + 10, 0, out, ip);
	} else {
		out[0] = 0x60;
		put16(out + 4, TCP_LEN);
		out[6] = IPPROTO_TCP;
		out[7] = HOP_LIMIT;
	}
	put16(tcp, reset ? l->peer : l->port);
	put16(tcp + 2, reset ? l->port : l->peer);
	put32(tcp + 4, reset ? l->acked : l->seq);
	put32(tcp + 8, reset ? l->seq : l->acked);
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[TCP_FLAGS] = TCP_ACK | (reset ? TCP_RST : 0);
	put16(tcp + TCP_WINDOW, window);
	checksum_put(tcp + 16,
		     checksum_pseudo(l->version, src, src + n, IPPROTO_TCP) +
			     checksum_number(TCP_LEN),
		     tcp, TCP_LEN);
	return ip + TCP_LEN;
}

static void acks_make(const struct line *l, struct recover_acks *out)
{
	uint16_t other = l->window ? (uint16_t)(l->window - 1) : 0;

	for (int i = 0; i < RECOVER_ACKS; i++)
		out->len = packet_make(l, i ? l->window : other, false,
				       out->pkt[i]);
}

bool recover_heard(struct recover *r, const uint8_t *pkt,
		   const struct inner *in, struct recover_acks *out)
{
	const uint8_t *tcp = pkt + in->l4;
	uint32_t end = get32(tcp + 4) + span(tcp, in), acked = get32(tcp + 8);
	struct line *l;
	bool more;

	l = line_get(r, in, in->dst, get16(tcp), get16(tcp + 2), false);
	if (!l)
		return false;
	if (tcp[TCP_FLAGS] & (TCP_RST | TCP_SYN)) {
		l->used = 0;
		return false;
	}
	if (!(tcp[TCP_FLAGS] & TCP_ACK) || is_after(acked, l->sent))
		return false;
	more = is_after(acked, l->acked);
	if (!l->heard || is_after(end, l->seq))
		l->seq = end;
	if (!is_after(l->acked, acked)) {
		l->acked = acked;
		l->window = get16(tcp + TCP_WINDOW);
	}
	l->heard = true;
	if (!is_after(l->until, l->acked))
		l->recovering = false;
	if (!l->recovering || !more)
		return false;
	acks_make(l, out);
	return true;
}

void recover_path(struct recover *r, uint64_t now_ns,
		  void (*fn)(void *arg, const struct recover_acks *acks),
		  void *arg)
{
	struct recover_acks acks;

	if (r->at_ns && now_ns - r->at_ns < RECOVER_GAP_MS * UINT64_C(1000000))
		return;
	r->at_ns = now_ns;
	for (size_t i = 0; i < RECOVER_FLOWS; i++) {
		struct line *l = &r->lines[i];

		if (!l->used || !l->heard || !is_after(l->sent, l->acked))
			continue;
		l->recovering = true;
		l->until = l->sent;
		acks_make(l, &acks);
		fn(arg, &acks);
	}
}

void recover_reset(struct recover *r,
		   void (*fn)(void *arg, uint8_t *pkt, size_t len), void *arg)
{
	uint8_t pkt[RECOVER_ACK];

	for (size_t i = 0; i < RECOVER_FLOWS; i++) {
		struct line *l = &r->lines[i];

		if (l->used && l->heard)
			fn(arg, pkt, packet_make(l, 0, true, pkt));
		l->used = 0;
	}
}

size_t recover_answer(const uint8_t *pkt, const struct inner *in,
		      uint8_t out[static RECOVER_ACK])
{
	const uint8_t *tcp = pkt + in->l4;
	struct line l = {
		.version = in->version,
		.port = get16(tcp),
		.peer = get16(tcp + 2),
		.acked = get32(tcp + 8),
		.seq = get32(tcp + 4) + span(tcp, in),
	};

	if ((tcp[TCP_FLAGS] & (TCP_ACK | TCP_RST | TCP_SYN)) != TCP_ACK)
		return 0;
	memcpy(l.ip, in->dst, ip_len(in->version));
	memcpy(l.vip, in->src, ip_len(in->version));
	return packet_make(&l, 0, true, out);
}
