/* SPDX-License-Identifier: MIT */
/*
 * doorbell - rings a program for a connection accepted in its place
 *
 * Theory of operation
 *
 * A doorbell carries nothing (one byte where the program defers accepts) and is
 * never spliced: a program without shim would take strangers for localhost. It is
 * known by its four addresses: another user can take one of them, not all.
 *
 * Before each ring the kernel is asked who would answer (2 us): it must be one of the
 * announced sockets, of our uid. Should that change in between, somebody is rung who
 * cannot claim.
 *
 * A doorbell ends when it is claimed; when the program closed it; CLAIM_NS after a
 * program accepted it without claiming; or after WAIT_NS in the program's queue. All
 * but the first reset the peer's connection. The sweep finds these, every SWEEP_NS
 * while there are doorbells.
 *
 * Bounds: beyond DOORBELLS_PER_LISTENER (where descriptors are scarce, a quarter of
 * all, so that a deaf program leaves some) a listener stops accepting, and the kernel's
 * own queue and backlog do what they do for any slow program. All stop at
 * DOORBELLS_MAX, or when descriptors run out. A peer with DOORBELLS_PER_SOURCE is
 * reset.
 */
#include "broker/listener_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SWEEP_NS    LOOP_MS(100)
#define CLAIM_NS    LOOP_S(1)  /* from accept() to CLAIM */
#define WAIT_NS	    LOOP_S(60) /* in the program's accept queue */
#define ACCEPTS	    32	       /* a turn, so that claims come in between */
#define FDS_APART   512	       /* descriptors left to the rest of the worker */
#define BELL6_PORTS (65536 - SHIM_DOORBELL6_PORT)

/* --- addresses ----------------------------------------------------------------------- */

static socklen_t endpoint_len(const union listener_endpoint *e)
{
	return e->sa.sa_family == AF_INET ? sizeof(e->in4) : sizeof(e->in6);
}

static void endpoint4(union listener_endpoint *e, uint32_t ip, uint16_t port)
{
	memset(e, 0, sizeof(*e));
	e->in4.sin_family = AF_INET;
	e->in4.sin_addr.s_addr = ip;
	e->in4.sin_port = htons(port);
}

static void endpoint6(union listener_endpoint *e, uint16_t port)
{
	memset(e, 0, sizeof(*e));
	e->in6.sin6_family = AF_INET6;
	e->in6.sin6_addr = in6addr_loopback;
	e->in6.sin6_port = htons(port);
}

/* the program's side of a doorbell */
static void server_endpoint(const struct listener *l,
			    union listener_endpoint *e)
{
	if (l->v6only)
		endpoint6(e, l->port);
	else
		endpoint4(e, htonl(INADDR_LOOPBACK), l->port);
}

static void bell_endpoint(const struct doorbell *b, union listener_endpoint *e)
{
	if (b->key.ip)
		endpoint4(e, b->key.ip, b->key.port);
	else
		endpoint6(e, b->key.port);
}

/* --- pausing ---------------------------------------------------------------------------- */

static unsigned int per_listener(const struct listeners *ls)
{
	unsigned int quarter = ls->max_ringing / 4;

	return quarter < DOORBELLS_PER_LISTENER ? quarter
						: DOORBELLS_PER_LISTENER;
}

static bool must_pause(const struct listeners *ls, const struct listener *l)
{
	return ls->starved || ls->n_ringing >= ls->max_ringing ||
	       l->ringing >= per_listener(ls);
}

static void pause_update(struct listeners *ls, struct listener *l)
{
	bool pause = must_pause(ls, l);

	if (pause == l->paused)
		return;
	/* half-empty before it goes on, so that it does not flap */
	if (!pause && l->ringing > per_listener(ls) / 2)
		return;
	l->paused = pause;
	loop_io_set(l->io, pause ? 0 : LOOP_READ);
}

static void pause_update_all(struct listeners *ls)
{
	struct listener *l;

	LIST_FOREACH(l, &ls->all, link)
	pause_update(ls, l);
}

/* --- doorbells ------------------------------------------------------------------------------ */

void doorbell_reset(int fd)
{
	static const struct linger reset = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* Gives the slot back; doorbell and connection are the caller's. */
static int bell_take(struct listeners *ls, struct doorbell *b, int *bell)
{
	struct listener *l = b->listener;
	bool full = ls->n_ringing >= ls->max_ringing;
	int conn = b->conn;

	HASH_DEL(ls->bells, b);
	TAILQ_REMOVE(&ls->ringing, b, link);
	*bell = b->bell;
	b->bell = b->conn = -1;
	TAILQ_INSERT_HEAD(&ls->free, b, link);
	ls->n_ringing--;
	l->ringing--;
	if (full)
		pause_update_all(ls);
	else
		pause_update(ls, l);
	return conn;
}

void doorbell_drop(struct listeners *ls, struct doorbell *b)
{
	int bell;

	ls->stats->unclaimed++;
	doorbell_reset(bell_take(ls, b, &bell));
	doorbell_reset(bell);
}

static unsigned int bells_of(const struct listeners *ls,
			     const struct shim_addr *peer)
{
	const struct doorbell *b;
	unsigned int n = 0;

	TAILQ_FOREACH(b, &ls->ringing, link)
	n += b->peer.family == peer->family &&
	     !memcmp(b->peer.addr, peer->addr, sizeof(peer->addr));
	return n;
}

/* Would a doorbell be answered by the program that announced it? Asked for a source
 * port that no doorbell has. */
static bool owner_check(struct listeners *ls, const struct listener *l)
{
	struct sockdiag_info info;
	union listener_endpoint server, bell;

	server_endpoint(l, &server);
	if (l->v6only)
		endpoint6(&bell, 1);
	else
		endpoint4(&bell, htonl(SHIM_DOORBELL_NET + 1), 1);
	if (sockdiag_tcp(ls->diag, &server.sa, &bell.sa, &info) ||
	    info.state != TCP_LISTEN || info.uid != getuid())
		return false;
	return announced_has(&l->socks, info.inode);
}

/* A socket bound to the next source address. Its port comes with connect(), which
 * can choose one that is free for these four addresses. */
static int bell_socket(struct listeners *ls, const struct listener *l)
{
	static const int on = 1;
	union listener_endpoint e;
	int fd, i;

	fd = socket(l->v6only ? AF_INET6 : AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (!l->v6only) {
		endpoint4(&e,
			  htonl(SHIM_DOORBELL_NET |
				(1 + ls->next_source++ % 65534)),
			  0);
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
				 sizeof(on));
		if (bind(fd, &e.sa, endpoint_len(&e)) == 0)
			return fd;
	}
	for (i = 0; l->v6only && i < BELL6_PORTS; i++) {
		endpoint6(&e, (uint16_t)(SHIM_DOORBELL6_PORT +
					 ls->next_source++ % BELL6_PORTS));
		if (bind(fd, &e.sa, endpoint_len(&e)) == 0)
			return fd;
		if (errno != EADDRINUSE)
			break;
	}
	close(fd);
	return -1;
}

/* Return: the connected (or connecting) doorbell and its address, or -1. */
static int bell_ring(struct listeners *ls, const struct listener *l,
		     struct bell_key *key)
{
	union listener_endpoint e;
	socklen_t len = sizeof(e);
	int fd = bell_socket(ls, l);

	if (fd < 0)
		return -1;
	server_endpoint(l, &e);
	if ((connect(fd, &e.sa, endpoint_len(&e)) < 0 &&
	     errno != EINPROGRESS) ||
	    getsockname(fd, &e.sa, &len) < 0) {
		close(fd);
		return -1;
	}
	memset(key, 0, sizeof(*key));
	key->ip = l->v6only ? 0 : e.in4.sin_addr.s_addr;
	key->port = ntohs(l->v6only ? e.in6.sin6_port : e.in4.sin_port);
	key->listener = l->port;
	return fd;
}

/* A listener with TCP_DEFER_ACCEPT hears nothing until a byte has come; the program
 * never sees it, for the socket is exchanged. */
static void bell_byte(struct doorbell *b)
{
	b->byte_owed = send(b->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1;
}

static bool bell_new(struct listeners *ls, struct listener *l, int conn,
		     const struct shim_addr *peer)
{
	struct doorbell *b = TAILQ_FIRST(&ls->free);

	if (!owner_check(ls, l)) {
		/* another has the port now, or nobody: see whether it ended */
		loop_timer_arm(ls->alive, 0);
		return false;
	}
	b->bell = bell_ring(ls, l, &b->key);
	if (b->bell < 0)
		return false;
	b->lost = false;
	HASH_ADD(hh, ls->bells, key, sizeof(b->key), b);
	if (b->lost) {
		doorbell_reset(b->bell);
		return false;
	}
	b->conn = conn;
	b->listener = l;
	b->peer = *peer;
	b->born = loop_now(ls->loop);
	b->accepted = 0;
	b->byte_owed = false;
	if (l->defer)
		bell_byte(b);
	TAILQ_REMOVE(&ls->free, b, link);
	TAILQ_INSERT_TAIL(&ls->ringing, b, link);
	ls->n_ringing++;
	l->ringing++;
	ls->stats->doorbells++;
	if (!loop_timer_armed(ls->sweep))
		loop_timer_arm(ls->sweep, SWEEP_NS);
	return true;
}

/* One connection. false: no more for now. */
static bool accept_one(struct listeners *ls, struct listener *l)
{
	union listener_endpoint from;
	socklen_t len = sizeof(from);
	struct shim_addr peer;
	int conn;

	conn = accept4(l->fd, &from.sa, &len, SOCK_CLOEXEC);
	if (conn < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			ls->starved = true;
			pause_update_all(ls);
			if (!loop_timer_armed(ls->sweep))
				loop_timer_arm(ls->sweep, SWEEP_NS);
		}
		return false;
	}
	/* the peer is told with its own family, as it would be by the kernel */
	if (shim_addr_from(&from.sa, len, &peer) ||
	    bells_of(ls, &peer) >= DOORBELLS_PER_SOURCE ||
	    !bell_new(ls, l, conn, &peer)) {
		ls->stats->unclaimed++;
		doorbell_reset(conn);
	}
	return true;
}

void doorbells_ready(void *arg, int fd, unsigned int events)
{
	struct listener *l = arg;
	int i;

	(void)fd;
	(void)events;
	for (i = 0; i < ACCEPTS && !must_pause(l->owner, l); i++)
		if (!accept_one(l->owner, l))
			break;
	pause_update(l->owner, l);
}

int listeners_claim(struct listeners *ls, const struct shim_request *req,
		    int *fd, int *bell, struct shim_addr *peer)
{
	static const uint8_t loop4[4] = {127, 0, 0, 1};
	static const uint8_t loop6[16] = {[15] = 1};
	struct shim_addr local = req->local, remote = req->remote;
	struct bell_key key;
	struct doorbell *b;

	shim_addr_unmap(&local);
	shim_addr_unmap(&remote);
	memset(&key, 0, sizeof(key));
	key.listener = local.port;
	key.port = remote.port;
	if (local.family == AF_INET && remote.family == AF_INET &&
	    !memcmp(local.addr, loop4, sizeof(loop4)))
		memcpy(&key.ip, remote.addr, 4);
	else if (local.family != AF_INET6 || remote.family != AF_INET6 ||
		 memcmp(local.addr, loop6, sizeof(loop6)) ||
		 memcmp(remote.addr, loop6, sizeof(loop6)))
		return -NTM_ENOTFOUND;
	HASH_FIND(hh, ls->bells, &key, sizeof(key), b);
	if (!b)
		return -NTM_ENOTFOUND;
	*peer = b->peer;
	*fd = bell_take(ls, b, bell);
	ls->stats->claimed++;
	return 0;
}

/* --- doorbells nobody answers -------------------------------------------------------------- */

/* Has the program's side gone? Nothing is ever sent to us. */
static bool bell_hung_up(const struct doorbell *b)
{
	char c;
	ssize_t n = recv(b->bell, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static bool bell_over(struct listeners *ls, struct doorbell *b, uint64_t now)
{
	union listener_endpoint server, bell;
	struct sockdiag_info info;

	if (bell_hung_up(b) || now - b->born >= WAIT_NS)
		return true;
	if (b->byte_owed)
		bell_byte(b);
	server_endpoint(b->listener, &server);
	bell_endpoint(b, &bell);
	if (sockdiag_tcp(ls->diag, &server.sa, &bell.sa, &info) == 0 &&
	    info.state != TCP_LISTEN && info.inode && !b->accepted)
		b->accepted = now; /* a program has it: will it claim? */
	return b->accepted && now - b->accepted >= CLAIM_NS;
}

void doorbells_sweep(void *arg)
{
	struct listeners *ls = arg;
	uint64_t now = loop_now(ls->loop);
	struct doorbell *b, *next;

	for (b = TAILQ_FIRST(&ls->ringing); b; b = next) {
		next = TAILQ_NEXT(b, link);
		if (now - b->born < SWEEP_NS)
			break; /* the rest is younger */
		if (bell_over(ls, b, now))
			doorbell_drop(ls, b);
	}
	ls->starved = false;
	pause_update_all(ls);
	if (!TAILQ_EMPTY(&ls->ringing))
		loop_timer_arm(ls->sweep, SWEEP_NS);
}

/* --- beginning ----------------------------------------------------------------------- */

/* Half of what we may open, two a doorbell. */
static unsigned int doorbells_max(void)
{
	struct rlimit rl;
	rlim_t n = DOORBELLS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	    rl.rlim_cur != RLIM_INFINITY) {
		n = rl.rlim_cur > FDS_APART ? (rl.rlim_cur - FDS_APART) / 2 : 0;
		n = n > DOORBELLS_MAX ? DOORBELLS_MAX : n < 16 ? 16 : n;
	}
	return (unsigned int)n;
}

void doorbells_init(struct listeners *ls)
{
	int i;

	ls->max_ringing = doorbells_max();
	TAILQ_INIT(&ls->free);
	TAILQ_INIT(&ls->ringing);
	for (i = 0; i < DOORBELLS_MAX; i++)
		TAILQ_INSERT_TAIL(&ls->free, &ls->slab[i], link);
}
