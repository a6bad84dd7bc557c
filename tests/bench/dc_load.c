/* SPDX-License-Identifier: MIT */
/*
 * dc_load - what a Direction Coordinator carries: dc_load keepalive|directions|memory
 *
 * A process runs the DC's own code on one core; its nodes and sessions are put
 * into its tables, everything after that is the real thing: sealed datagrams over
 * loopback. The parent, on another core, is all the nodes at once. It counts what
 * comes back, opens a part of it to see that it is right, and keeps a window of
 * datagrams under way. What the nodes say first is sealed before the clock starts,
 * or the nodes, all on one core, would be the slower side. Six rounds of a second,
 * the first dropped, the median.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/datagram.h"
#include "common/log.h"
#include "tests/bench/dc_load.h"

#define BATCH	   64
#define ROUNDS	   6
#define ROUND_NS   1000000000ull
#define SLOT	   2048
#define CHECK_EACH 1000 /* answers opened in full: one of so many */
#define SEALED_MAX 160	/* bytes of what a node says first */

void die(const char *what)
{
	fprintf(stderr, "dc_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fprintf(stderr, "dc_load: not pinned\n");
}

uint64_t id_of(uint32_t i)
{
	return (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

void kntmdc_of(uint32_t i, struct ntmc_key *k)
{
	memset(k, 0x5a, sizeof(*k));
	memcpy(k->b, &i, sizeof(i));
}

void fqdn_of(uint32_t i, char *out, size_t size)
{
	snprintf(out, size, "device-%u.account-%u.example.org", i, i / 4);
}

/* --- all the nodes --------------------------------------------------------------- */

struct load {
	int fd;
	pid_t dc;
	uint32_t nodes;
	struct datagram_keys *keys;
	uint64_t *counters;
	unsigned int window, under_way;
	uint64_t done, checked, wrong;
	uint32_t next;
	struct mmsghdr out[BATCH], in[BATCH];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	uint8_t out_buf[BATCH][SLOT], in_buf[BATCH][SLOT];
	unsigned int n_out;
	/* sealed before the clock starts, used once, in order */
	uint8_t *sealed;
	uint8_t *sealed_len;
	size_t n_sealed, sealed_at;
};

static void flush(struct load *l)
{
	unsigned int done = 0;

	while (done < l->n_out) {
		int n = sendmmsg(l->fd, l->out + done, l->n_out - done, 0);

		if (n > 0)
			done += (unsigned int)n;
		else if (errno != EAGAIN && errno != EINTR)
			die("send");
	}
	l->n_out = 0;
}

static size_t seal(struct load *l, uint32_t i, const uint8_t *p, size_t len,
		   uint8_t *buf)
{
	struct packet_header h = {.type = PACKET_SIGNAL,
				  .id = id_of(i),
				  .counter = l->counters[i]++};

	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, p, len);
	if (ntmc_seal_once(NTMC_AES_256_GCM, &l->keys[i].up, h.counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN, len))
		die("seal");
	return PACKET_OVERHEAD + len;
}

static uint8_t *slot(struct load *l)
{
	if (l->n_out == BATCH)
		flush(l);
	return l->out_buf[l->n_out];
}

static void queue(struct load *l, size_t len)
{
	l->out_iov[l->n_out].iov_base = l->out_buf[l->n_out];
	l->out_iov[l->n_out++].iov_len = len;
}

/* false: all that was sealed has been sent */
static bool send_sealed(struct load *l)
{
	if (l->sealed_at == l->n_sealed)
		return false;
	slot(l);
	l->out_iov[l->n_out].iov_base = l->sealed + l->sealed_at * SEALED_MAX;
	l->out_iov[l->n_out++].iov_len = l->sealed_len[l->sealed_at++];
	l->under_way++;
	return true;
}

static uint32_t node_of(const struct load *l, uint64_t id)
{
	/* the factor is odd, so it has an inverse modulo 2^64 */
	uint64_t inverse = UINT64_C(0xf1de83e19937733d), i = id * inverse;

	if (i < l->nodes)
		return (uint32_t)i;
	i = (id - 1) * inverse;
	return i < l->nodes ? (uint32_t)i : UINT32_MAX;
}

static size_t keepalive_make(struct load *l, uint8_t *buf)
{
	static const uint8_t msg[] = {0x08, 0x07, 0x62, 0x00};
	uint32_t i = l->next;

	l->next = (i + 1) % l->nodes;
	return seal(l, i, msg, sizeof(msg), buf);
}

static void keepalive_got(struct load *l, uint8_t *buf, size_t len)
{
	struct packet_header h;
	ProtobufCMessage *m;
	uint32_t i;

	l->under_way--;
	if (l->done++ % CHECK_EACH)
		return;
	l->checked++;
	if (packet_header_get(buf, len, &h) ||
	    (i = node_of(l, h.id)) == UINT32_MAX ||
	    datagram_open(&h, NTMC_AES_256_GCM, &l->keys[i].down, buf, len,
			  &ntm__signal__descriptor, &m)) {
		l->wrong++;
		return;
	}
	l->wrong += ((Ntm__Signal *)m)->body_case !=
		    NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
	protobuf_c_message_free_unpacked(m, NULL);
}

/* the lower half asks for the upper half */
static size_t direction_make(struct load *l, uint8_t *buf)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint32_t mn = l->next, cn = mn + l->nodes / 2;
	uint8_t p[SEALED_MAX];
	char fqdn[128];

	fqdn_of(cn, fqdn, sizeof(fqdn));
	q.fqdn = fqdn;
	q.aead = NTMC_AES_256_GCM;
	msg.txn = (uint32_t)l->counters[mn] & 0x7fffffff;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	if (PACKET_OVERHEAD + ntm__signal__get_packed_size(&msg) > SEALED_MAX)
		die("SEALED_MAX");
	l->next = (mn + 1) % (l->nodes / 2);
	return seal(l, mn, p, ntm__signal__pack(&msg, p), buf);
}

/* CN: opens the Route Direction for its txn and confirms */
static void confirm(struct load *l, uint32_t cn, const struct packet_header *h,
		    uint8_t *buf, size_t len)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const uint8_t *p = buf + PACKET_HEADER_LEN + 1;
	uint8_t out[64];

	if (ntmc_open_once(NTMC_AES_256_GCM, &l->keys[cn].down, h->counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN,
			   len - PACKET_HEADER_LEN) ||
	    p[-1] != 0x08) {
		l->wrong++;
		return;
	}
	for (unsigned int shift = 0; shift < 35; shift += 7, p++) {
		msg.txn |= (uint32_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80))
			break;
	}
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	len = ntm__signal__pack(&msg, out);
	queue(l, seal(l, cn, out, len, slot(l)));
}

static void direction_got(struct load *l, uint8_t *buf, size_t len)
{
	struct packet_header h;
	ProtobufCMessage *raw;
	Ntm__Signal *m;
	uint32_t i;

	if (packet_header_get(buf, len, &h) ||
	    (i = node_of(l, h.id)) == UINT32_MAX) {
		l->wrong++;
		return;
	}
	if (i >= l->nodes / 2) {
		confirm(l, i, &h, buf, len);
		return;
	}
	l->under_way--;
	if (l->done++ % CHECK_EACH)
		return;
	l->checked++;
	if (datagram_open(&h, NTMC_AES_256_GCM, &l->keys[i].down, buf, len,
			  &ntm__signal__descriptor, &raw)) {
		l->wrong++;
		return;
	}
	m = (Ntm__Signal *)raw;
	l->wrong += m->body_case != NTM__SIGNAL__BODY_ROUTE_DIRECTION ||
		    m->route_direction->role != NTM__TUNNEL_ROLE__ROLE_SEND;
	protobuf_c_message_free_unpacked(raw, NULL);
}

struct kind {
	const char *name, *unit;
	double target;
	uint32_t nodes;
	unsigned int window; /* fits the socket buffers an ordinary user gets */
	size_t sealed;	     /* first messages, for all rounds */
	size_t (*make)(struct load *l, uint8_t *buf);
	void (*got)(struct load *l, uint8_t *buf, size_t len);
};

static const struct kind kinds[] = {
	{"keepalive", "1/s", 100000, 200000, 256, 2000000, keepalive_make,
	 keepalive_got},
	{"directions", "1/s", 30000, 100000, 128, 500000, direction_make,
	 direction_got},
};

static void receive(struct load *l, const struct kind *k)
{
	int n;

	for (unsigned int i = 0; i < BATCH; i++)
		l->in_iov[i].iov_len = SLOT;
	n = recvmmsg(l->fd, l->in, BATCH, MSG_WAITFORONE, NULL);
	if (n < 0 && errno == EAGAIN) { /* 100 ms of nothing: lost somewhere */
		l->under_way = 0;
		return;
	}
	if (n < 0)
		die("receive");
	for (int i = 0; i < n; i++)
		k->got(l, l->in_buf[i], l->in[i].msg_len);
}

static double round_of(struct load *l, const struct kind *k)
{
	uint64_t start = now_ns(), before = l->done, end = start + ROUND_NS;

	while (now_ns() < end) {
		while (l->under_way < k->window && send_sealed(l))
			;
		flush(l);
		receive(l, k);
		flush(l);
	}
	return (double)(l->done - before) * 1e9 / (double)(now_ns() - start);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void load_init(struct load *l, const struct kind *k)
{
	struct timeval limit = {.tv_usec = 100000};
	struct addr dc, me;
	int size = 8 << 20;

	l->nodes = k->nodes;
	l->keys = calloc(k->nodes, sizeof(*l->keys));
	l->counters = calloc(k->nodes, sizeof(*l->counters));
	if (!l->keys || !l->counters)
		die("memory");
	for (uint32_t i = 0; i < k->nodes; i++) {
		struct ntmc_key kntmdc;

		kntmdc_of(i, &kntmdc);
		l->counters[i] = UINT64_C(1) << PACKET_BOOT_SHIFT;
		if (datagram_keys_derive(&kntmdc, id_of(i), NTMC_AES_256_GCM,
					 &l->keys[i]))
			die("keys");
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		l->out_iov[i].iov_base = l->out_buf[i];
		l->in_iov[i] = (struct iovec){l->in_buf[i], SLOT};
		l->out[i].msg_hdr.msg_iov = &l->out_iov[i];
		l->out[i].msg_hdr.msg_iovlen = 1;
		l->in[i].msg_hdr.msg_iov = &l->in_iov[i];
		l->in[i].msg_hdr.msg_iovlen = 1;
	}
	l->n_sealed = k->sealed;
	l->sealed = malloc(k->sealed * SEALED_MAX);
	l->sealed_len = malloc(k->sealed);
	if (!l->sealed || !l->sealed_len)
		die("memory");
	for (size_t i = 0; i < k->sealed; i++)
		l->sealed_len[i] =
			(uint8_t)k->make(l, l->sealed + i * SEALED_MAX);
	l->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || addr_parse("127.0.0.1", 0, &me) ||
	    addr_parse("127.0.0.1:14502", 0, &dc) ||
	    bind(l->fd, &me.sa, addr_len(&me)) ||
	    connect(l->fd, &dc.sa, addr_len(&dc)))
		die("socket");
	setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) ||
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &a))
		die("port");
	return addr_port(&a);
}

static void print_figure(FILE *out, const char *name, double value,
			 const char *unit, bool at_least, double target)
{
	fprintf(out, "%-34s %12.0f %-8s %s%-10.0f %s\n", name, value, unit,
		at_least ? ">=" : "<=", target,
		(at_least ? value >= target : value <= target) ? "ok"
							       : "short");
}

static int measure_rate(const struct kind *k, FILE *out)
{
	static struct load l;
	double rounds[ROUNDS], cpu, start_cpu, sum = 0;
	char name[64];

	load_init(&l, k);
	l.dc = dc_fork(k->nodes, port_of(l.fd));
	pin(1);
	start_cpu = 0;
	for (int i = 0; i < ROUNDS; i++) {
		if (i == 1)
			start_cpu = dc_cpu_seconds(l.dc);
		rounds[i] = round_of(&l, k);
	}
	cpu = dc_cpu_seconds(l.dc) - start_cpu;
	dc_end(l.dc);
	if (l.sealed_at == l.n_sealed)
		fprintf(stderr, "dc_load: ran out of sealed datagrams\n");
	if (l.wrong || !l.checked) {
		fprintf(stderr, "dc_load: %llu of %llu answers were wrong\n",
			(unsigned long long)l.wrong,
			(unsigned long long)l.checked);
		return 1;
	}
	qsort(rounds + 1, ROUNDS - 1, sizeof(rounds[0]), compare);
	for (int i = 1; i < ROUNDS; i++)
		sum += rounds[i];
	fprintf(out,
		"# dc-%s: %u nodes; the DC's core was busy %.0f %%: "
		"%.0f in a busy second\n",
		k->name, k->nodes, cpu * 100 / (ROUNDS - 1),
		cpu > 0 ? sum / cpu : 0);
	snprintf(name, sizeof(name), "dc-%s", k->name);
	print_figure(out, name, rounds[1 + (ROUNDS - 1) / 2], k->unit, true,
		     k->target);
	return 0;
}

static int measure_memory(FILE *out)
{
	char path[64], line[256];
	long kib = 0;
	pid_t pid;
	FILE *f;

	pid = dc_fork(1000000, 1);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			kib = strtol(line + 6, NULL, 10);
	fclose(f);
	dc_end(pid);
	if (!kib)
		return 1;
	print_figure(out, "dc-memory.1000000-nodes", (double)kib / 1024, "MiB",
		     false, 1024);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = dup(STDOUT_FILENO);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (argc != 2 || !out) {
		fprintf(stderr, "usage: dc_load keepalive|directions|memory\n");
		return 2;
	}
	log_set_level(LOG_ERR);
	dc_folder();
	if (!strcmp(argv[1], "memory"))
		return measure_memory(out);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[1], kinds[i].name))
			return measure_rate(&kinds[i], out);
	fprintf(stderr, "dc_load: no figure %s\n", argv[1]);
	return 2;
}
