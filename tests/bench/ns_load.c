/* SPDX-License-Identifier: MIT */
/*
 * ns_load - many idle nodes at one Notification Server, and a DC that wants some
 *
 *   ns_load DIR DC-ADDRESS:PORT NS-ADDRESS:PORT NODES
 *       plays the DC of the data folder DIR for our NS, and NODES nodes that connect,
 *       register and answer. Prints "here NODES SECONDS" when all are registered; at
 *       SIGUSR1 has ASKED of them notified, one every ASK_MS, and prints "notified
 *       COUNT P50 P99 MAX", in us from the DC's request to the node; ends at SIGTERM
 *
 * Nodes come from 10.64.0.0/10, spread over 4096 networks of 24 bits, so that neither
 * ports nor the NS's bounds for strangers are what is measured. A process holds
 * PROCESS_MAX of them; what they hear is in memory that all share.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/channel.h"
#include "common/frame.h"
#include "common/keysharing.h"
#include "servers/servercert.h"

#define PROCESS_MAX 15000
#define WINDOW	    200 /* connections of a process that are not registered yet */
#define INTERVAL_S  10
#define ASKED	    500
#define ASK_MS	    20
#define BATCH	    256
#define NETS	    4096
#define S_NS	    1000000000ull

enum { NODE_OPENING, NODE_GREETED, NODE_HERE };

struct node {
	int fd;
	uint8_t state;
	uint16_t have;
	uint32_t rx, tx;
	struct ntmc_key up, down;
	uint8_t buf[FRAME_MAX];
};

/* of all processes */
static struct shared {
	struct ntmc_key kdcns;
	uint64_t key_id;
	unsigned int n, here;
	bool failed;
	uint64_t heard_ns[]; /* the last Notification; 0: none */
} * shared;

static struct addr ns_addr;
static volatile sig_atomic_t ended, wanted;

static void die(const char *what)
{
	fprintf(stderr, "ns_load: %s: %s\n", what, strerror(errno));
	if (shared)
		shared->failed = true;
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * S_NS + (uint64_t)t.tv_nsec;
}

static uint64_t id_of(unsigned int i)
{
	return (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* --- a process of nodes ------------------------------------------------------------ */

struct process {
	struct node *nodes;
	unsigned int first, n, next, opening;
	int epoll;
};

static void node_send(struct process *p, struct node *x, const Ntm__Signal *msg)
{
	unsigned int i = p->first + (unsigned int)(x - p->nodes);
	uint8_t buf[FRAME_MAX];
	int n = frame_seal(id_of(i), x->tx++, NTMC_AES_256_GCM, &x->up, msg,
			   buf);

	if (n < 0 || send(x->fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		die("a node's word");
}

static void node_open(struct process *p)
{
	struct node *x = &p->nodes[p->next];
	unsigned int i = p->first + p->next++;
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = x};
	int one = 1;

	from.sin_addr.s_addr =
		htonl(0x0a400000u + (i % NETS) * 256 + 1 + i / NETS);
	x->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (x->fd < 0)
		die("a socket");
	setsockopt(x->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		   sizeof(one));
	setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(x->fd, (struct sockaddr *)&from, sizeof(from)) ||
	    (connect(x->fd, &ns_addr.sa, addr_len(&ns_addr)) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, x->fd, &e))
		die("a connection");
	p->opening++;
}

static void node_greeted(struct process *p, struct node *x)
{
	unsigned int i = p->first + (unsigned int)(x - p->nodes);
	struct frame_hello h = {.key_id = shared->key_id, .node_id = id_of(i)};
	Ntm__NotificationRegistration r = NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint8_t out[FRAME_HELLO_LEN];
	struct datagram_keys keys;
	struct ntmc_key kntmns;

	ntmc_random(NULL, h.random, sizeof(h.random));
	if (datagram_notify_secret(&shared->kdcns, h.node_id, &kntmns) ||
	    frame_keys(&kntmns, x->buf, h.random, NTMC_AES_256_GCM, &keys))
		die("keys");
	x->up = keys.up;
	x->down = keys.down;
	x->state = NODE_GREETED;
	frame_hello_put(&h, out);
	if (send(x->fd, out, sizeof(out), MSG_NOSIGNAL) != sizeof(out))
		die("a hello");
	r.interval_s = INTERVAL_S;
	msg.txn = 1;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &r;
	node_send(p, x, &msg);
}

static void node_told(struct process *p, struct node *x, const Ntm__Signal *m)
{
	Ntm__KeepAliveAck body = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	if (m->body_case == NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION) {
		x->state = NODE_HERE;
		p->opening--;
		__atomic_add_fetch(&shared->here, 1, __ATOMIC_RELAXED);
		return;
	}
	if (m->body_case == NTM__SIGNAL__BODY_NOTIFICATION)
		__atomic_store_n(&shared->heard_ns[p->first + (x - p->nodes)],
				 now_ns(), __ATOMIC_RELEASE);
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
	msg.keep_alive_ack = &body;
	node_send(p, x, &msg);
}

/* Return: bytes taken */
static size_t node_take(struct process *p, struct node *x)
{
	unsigned int i = p->first + (unsigned int)(x - p->nodes);
	Ntm__Signal *msg;
	int n;

	if (x->state == NODE_OPENING) {
		if (x->have < FRAME_GREETING_LEN)
			return 0;
		node_greeted(p, x);
		return FRAME_GREETING_LEN;
	}
	n = frame_len(x->buf, x->have);
	if (n < 0 || (n && frame_open(id_of(i), x->rx++, NTMC_AES_256_GCM,
				      &x->down, x->buf, (size_t)n, &msg)))
		die("what the NS says");
	if (n) {
		node_told(p, x, msg);
		datagram_free(&msg->base);
	}
	return (size_t)n;
}

static void node_ready(struct process *p, struct node *x)
{
	ssize_t got = recv(x->fd, x->buf + x->have, sizeof(x->buf) - x->have,
			   MSG_DONTWAIT);
	size_t n;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		die("the NS ended a connection");
	x->have = (uint16_t)(x->have + got);
	while (x->have && (n = node_take(p, x))) {
		x->have = (uint16_t)(x->have - n);
		memmove(x->buf, x->buf + n, x->have);
	}
}

static void nodes_run(unsigned int first, unsigned int n)
{
	struct process p = {.first = first, .n = n};
	struct epoll_event e[BATCH];
	int got;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p.nodes = calloc(n, sizeof(*p.nodes));
	p.epoll = epoll_create1(0);
	if (!p.nodes || p.epoll < 0)
		die("memory");
	for (;;) {
		while (p.next < p.n && p.opening < WINDOW)
			node_open(&p);
		got = epoll_wait(p.epoll, e, BATCH, -1);
		for (int i = 0; i < got; i++)
			node_ready(&p, e[i].data.ptr);
	}
}

/* --- the DC ------------------------------------------------------------------------- */

struct dc {
	struct loop *loop;
	struct loop_timer *tick;
	struct channel *channel;
	uint64_t start_ns, sent_ns[ASKED];
	unsigned int asked[ASKED], n_asked, waits;
	bool forked, said;
};

static void dc_open(struct channel *c, void *arg)
{
	struct dc *dc = arg;

	channel_set_idle(c, 0);
	if (keysharing_send(c, &(struct keysharing){.txn = 1,
						    .id = shared->key_id,
						    .key = &shared->kdcns,
						    .aead = NTMC_AES_256_GCM,
						    .lifetime_s = 86400}))
		die("key sharing");
	dc->channel = c;
}

/* the NS has our key, and says so: nodes may come */
static void dc_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct dc *dc = arg;

	(void)c;
	if (msg->body_case != NTM__ENVELOPE__BODY_ACK || dc->forked)
		return;
	dc->forked = true;
	dc->start_ns = now_ns();
	for (unsigned int i = 0; i < shared->n; i += PROCESS_MAX) {
		unsigned int n = shared->n - i;

		if (!fork())
			nodes_run(i, n < PROCESS_MAX ? n : PROCESS_MAX);
	}
}

static void dc_closed(struct channel *c, int err, void *arg)
{
	(void)c;
	(void)arg;
	fprintf(stderr, "ns_load: the NS has gone: %s\n", err_text(err));
	exit(1);
}

static void ask_one(struct dc *dc)
{
	Ntm__NotificationRequest body = NTM__NOTIFICATION_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	/* each another one, from everywhere in the NS's table */
	unsigned int i =
		(unsigned int)((uint64_t)dc->n_asked * shared->n / ASKED);

	dc->asked[dc->n_asked] = i;
	__atomic_store_n(&shared->heard_ns[i], 0, __ATOMIC_RELEASE);
	body.node_id = id_of(i);
	msg.txn = 2 + dc->n_asked;
	msg.body_case = NTM__ENVELOPE__BODY_NOTIFICATION_REQUEST;
	msg.notification_request = &body;
	dc->sent_ns[dc->n_asked++] = now_ns();
	if (channel_send(dc->channel, &msg))
		die("a Notification Request");
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void say(struct dc *dc)
{
	uint64_t us[ASKED];
	size_t n = 0;

	for (unsigned int i = 0; i < ASKED; i++) {
		uint64_t heard = __atomic_load_n(
			&shared->heard_ns[dc->asked[i]], __ATOMIC_ACQUIRE);

		if (heard >= dc->sent_ns[i])
			us[n++] = (heard - dc->sent_ns[i]) / 1000;
	}
	qsort(us, n, sizeof(us[0]), compare);
	printf("notified %zu %llu %llu %llu\n", n,
	       n ? (unsigned long long)us[n / 2] : 0,
	       n ? (unsigned long long)us[n * 99 / 100] : 0,
	       n ? (unsigned long long)us[n - 1] : 0);
	fflush(stdout);
}

static void dc_tick(void *arg)
{
	struct dc *dc = arg;
	unsigned int here = __atomic_load_n(&shared->here, __ATOMIC_RELAXED);

	if (ended || shared->failed)
		loop_stop(dc->loop);
	if (!dc->said && here == shared->n) {
		printf("here %u %.1f\n", here,
		       (double)(now_ns() - dc->start_ns) / S_NS);
		fflush(stdout);
		dc->said = true;
	}
	if (wanted && dc->n_asked < ASKED)
		ask_one(dc);
	else if (wanted && ++dc->waits == 2000 / ASK_MS)
		say(dc);
	loop_timer_arm(dc->tick, LOOP_MS(ASK_MS));
}

static void on_signal(int signo)
{
	if (signo == SIGTERM)
		ended = 1;
	else
		wanted = 1;
}

static int address(const char *text, struct addr *out)
{
	if (!addr_parse(text, 0, out))
		return 0;
	fprintf(stderr, "ns_load: %s is not an address\n", text);
	return 2;
}

static void share(unsigned int n)
{
	shared =
		mmap(NULL, sizeof(*shared) + n * sizeof(uint64_t),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("memory");
	shared->n = n;
	ntmc_key_random(NULL, &shared->kdcns);
	shared->key_id = 77;
}

int main(int argc, char **argv)
{
	static const struct channel_ops ops = {
		.open = dc_open, .message = dc_message, .closed = dc_closed};
	static struct dc dc;
	struct channel_listener *listener;
	struct servercert cert;
	struct addr at;
	int tcp, one = 1;

	if (argc != 5 || address(argv[2], &at) || address(argv[3], &ns_addr))
		return 2;
	share((unsigned int)atoi(argv[4]));
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, on_signal);
	tcp = socket(at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, &at.sa, addr_len(&at)) || listen(tcp, 4))
		die("listen");
	if (loop_new(&dc.loop) || servercert_load(argv[1], "dc", &cert) ||
	    channel_listen_take(dc.loop, cert.tls, tcp, &ops, &dc, &listener) ||
	    loop_timer_new(dc.loop, dc_tick, &dc, &dc.tick))
		die("the DC");
	loop_timer_arm(dc.tick, 0);
	return loop_run(dc.loop) || shared->failed;
}
