/* SPDX-License-Identifier: MIT */
/*
 * http - HTTPS for the roles that speak it: accept, connections, threads
 *
 * Theory of operation
 *
 * The role's loop accepts, counts by source, and hands each connection to one
 * of a few daemons of libmicrohttpd, which have a thread each and listen on
 * nothing. There the TLS handshake, the header, the body and the answer happen;
 * a thread has thousands of connections by epoll.
 *
 *   first access of a request    route, fields, start()
 *   again, with data             body()
 *   again, without               done(); not answered: suspended
 *   http_answer_*()              resumed: and again, to queue the answer
 *   completed                    http_request_free()
 *
 * Who is there, and who must go: http_crowd.c.
 *
 * A connection costs libmicrohttpd's pool of POOL bytes, of which the kernel
 * gives only what is touched, and a TLS session: about 50 KiB when it has asked
 * something.
 */
#include "servers/http.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/acceptor.h"
#include "common/log.h"
#include "servers/http_crowd.h"

#define THREADS_MAX 16
#define POOL	    (2 * HTTP_HEADER_MAX) /* half of it is the header's */
#define DESCRIPTORS 512 /* beside the connections': files, stores */
#define PRIORITY                                                               \
	"NONE:+VERS-TLS1.3:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:"      \
	"+AEAD:+SIGN-EDDSA-ED25519:+GROUP-X25519:+GROUP-SECP256R1:"            \
	"+CTYPE-X509:+COMP-NULL"

struct http {
	struct http_conf conf;
	struct MHD_Daemon *daemons[THREADS_MAX];
	unsigned int n_daemons, next;
	struct acceptor *acceptor;
	struct loop_timer *clock;
	struct http_crowd *crowd;
	uint64_t accepted, refused_source, refused_total, starved;
	_Atomic uint64_t requests, errors;

	pthread_mutex_t gate; /* who is in done() */
	pthread_cond_t left;
	unsigned int inside;
	bool closed;
};

uint32_t http_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)t.tv_sec;
}

void http_phase_set(struct http_conn *c, enum http_phase phase)
{
	atomic_store(&c->since, http_now_s());
	atomic_store(&c->phase, phase);
}

bool http_hold(struct http *h, const uint8_t *source, size_t len)
{
	return http_crowd_hold(h->crowd, source, len);
}

void http_let_go(struct http *h, const uint8_t *source, size_t len)
{
	http_crowd_let_go(h->crowd, source, len);
}

void http_conn_proven(struct http *h, struct http_conn *c)
{
	http_crowd_prove(h->crowd, c);
}

/* --- what libmicrohttpd calls
 * ----------------------------------------------------------- */

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;
	struct http_conn *c = *context;
	int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)
			 ->connect_fd;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = http_crowd_begun(h->crowd, fd);
		if (!*context)
			shutdown(fd, SHUT_RDWR);
	} else if (c) {
		http_crowd_remove(h->crowd, c);
		*context = NULL;
	}
}

static enum MHD_Result queue_answer(struct http_request *q)
{
	enum MHD_Result r;

	if (!q->response)
		return MHD_NO;
	if (q->status >= 400)
		atomic_fetch_add(&q->http->errors, 1);
	if (q->status == 401)
		http_crowd_doubt(q->http->crowd, q->conn);
	http_phase_set(q->conn, HTTP_MOVING);
	r = MHD_queue_response(q->mhd, q->status, q->response);
	MHD_destroy_response(q->response);
	q->response = NULL;
	return r;
}

/* To the role's functions, unless it is about to end. Return: false: it is */
static bool enter(struct http *h)
{
	bool open;

	pthread_mutex_lock(&h->gate);
	open = !h->closed;
	h->inside += open;
	pthread_mutex_unlock(&h->gate);
	return open;
}

static void leave(struct http *h)
{
	pthread_mutex_lock(&h->gate);
	if (!--h->inside)
		pthread_cond_signal(&h->left);
	pthread_mutex_unlock(&h->gate);
}

/* An answer before the body makes libmicrohttpd close the connection, and what
 * comes in then makes the kernel forget the answer. So a short body is read
 * first. */
static bool swallows(const struct http_request *q)
{
	uint64_t length = http_body_length(q);

	return length && length <= HTTP_SWALLOW_MAX &&
	       !http_header(q, "Expect");
}

static enum MHD_Result begin(struct http *h, struct MHD_Connection *mhd,
			     const char *url, const char *method,
			     void **request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_conn *c = info ? info->socket_context : NULL;
	struct http_request *q =
		c ? http_request_new(h, &h->conf, c, mhd) : NULL;

	if (!q)
		return MHD_NO;
	*request = q;
	atomic_fetch_add(&h->requests, 1);
	http_phase_set(c, HTTP_MOVING);
	if (enter(h)) {
		http_request_begin(q, method, url);
		leave(h);
	} else {
		http_answer_err(q, -NTM_ECLOSED);
	}
	return q->status && !swallows(q) ? queue_answer(q) : MHD_YES;
}

/* Return: false: nothing more is read of it */
static bool take_body(struct http *h, struct http_request *q,
		      const uint8_t *data, size_t size)
{
	bool goes_on;

	if (!enter(h))
		return false;
	goes_on = http_request_body(q, data, size);
	leave(h);
	return goes_on;
}

static void handle(struct http *h, struct http_request *q)
{
	if (!enter(h)) {
		q->handled = true;
		http_answer_err(q, -NTM_ECLOSED);
		return;
	}
	http_request_handle(q);
	leave(h);
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *mhd,
				 const char *url, const char *method,
				 const char *version, const char *data,
				 size_t *size, void **request)
{
	struct http_request *q = *request;
	enum MHD_Result r;

	(void)version;
	if (!q)
		return begin(arg, mhd, url, method, request);
	if (*size) {
		r = take_body(arg, q, (const uint8_t *)data, *size) ? MHD_YES
								    : MHD_NO;
		*size = 0;
		return r;
	}
	if (!q->handled)
		handle(arg, q);
	pthread_mutex_lock(&q->lock);
	if (!q->status) {
		MHD_suspend_connection(mhd);
		q->suspended = true;
		pthread_mutex_unlock(&q->lock);
		return MHD_YES;
	}
	pthread_mutex_unlock(&q->lock);
	return queue_answer(q);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **request,
			 enum MHD_RequestTerminationCode why)
{
	struct http_request *q = *request;

	(void)arg;
	(void)mhd;
	(void)why;
	if (!q)
		return;
	http_phase_set(q->conn, HTTP_WAITING);
	http_request_free(q);
	*request = NULL;
}

static void on_log(void *arg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void on_log(void *arg, const char *fmt, va_list ap)
{
	const struct http *h = arg;
	char line[256];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if (n > 0 && (size_t)n < sizeof(line) && line[n - 1] == '\n')
		line[n - 1] = '\0';
	log_debug(h->conf.name, "%s", line);
}

/* --- accept
 * --------------------------------------------------------------------------------
 */

static void source_of(const struct addr *a, uint8_t out[HTTP_SOURCE_LEN])
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	memset(out, 0, HTTP_SOURCE_LEN);
	/* one customer has a /64: its 2^64 addresses are one source */
	memcpy(out, ip, len == 16 ? 8 : len);
	out[HTTP_SOURCE_LEN - 1] = (uint8_t)len;
}

static void comes(void *arg, int fd, const struct addr *from)
{
	struct http *h = arg;
	uint8_t ip[HTTP_SOURCE_LEN];
	int on = 1, r;

	if (!from) {
		close(fd);
		return;
	}
	source_of(from, ip);
	r = http_crowd_add(h->crowd, fd, ip);
	if (r) {
		h->refused_source += r == -NTM_ELIMIT;
		h->refused_total += r == -NTM_EAGAIN;
		h->starved += r == -NTM_ENOMEM;
		close(fd);
		return;
	}
	h->accepted++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (MHD_add_connection(h->daemons[h->next++ % h->n_daemons], fd,
			       &from->sa, addr_len(from)) == MHD_YES)
		return;
	/* it has closed the descriptor; nobody else accepts */
	http_crowd_forget(h->crowd, fd);
	h->starved++;
}

/* --- clock
 * -----------------------------------------------------------------------------------
 */

static void tick(void *arg)
{
	struct http *h = arg;

	http_crowd_tick(h->crowd, http_now_s());
	loop_timer_arm(h->clock, LOOP_S(1));
}

/* --- start and stop
 * -----------------------------------------------------------------------------
 */

static void raise_limit(const struct http_conf *c)
{
	/* each connection may have a file besides */
	rlim_t least = c->connections + HTTP_GOING_MAX + DESCRIPTORS,
	       want = least + c->connections;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= want)
		return;
	l.rlim_cur = l.rlim_max < want ? l.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur < least)
		log_warn(c->name,
			 "only %llu descriptors may be open: fewer than %u "
			 "connections have room",
			 (unsigned long long)l.rlim_cur, c->connections);
}

static struct MHD_Daemon *start_daemon(struct http *h)
{
	const struct http_conf *c = &h->conf;
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD |
			     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
			     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITY},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)c->key},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)c->certificate},
		{c->ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
		 (void *)c->ca},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};

	if (c->key)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_access, h, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, h, MHD_OPTION_ARRAY, c->key ? tls : &none,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
		MHD_OPTION_CONNECTION_LIMIT, c->connections + HTTP_GOING_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
}

static int http_open(struct http *h)
{
	const struct http_conf *c = &h->conf;
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int threads = c->threads ? c->threads
			       : n > 2	  ? (unsigned int)n
					  : 2;
	int r;

	h->crowd = http_crowd_new(c);
	if (!h->crowd)
		return -NTM_ENOMEM;
	raise_limit(c);
	while (h->n_daemons < threads && h->n_daemons < THREADS_MAX) {
		h->daemons[h->n_daemons] = start_daemon(h);
		if (!h->daemons[h->n_daemons])
			return c->key ? -NTM_ECERT : -NTM_ESYSTEM;
		h->n_daemons++;
	}
	r = loop_timer_new(c->loop, tick, h, &h->clock);
	if (!r)
		r = acceptor_new(c->loop, c->name, comes, h, &h->acceptor);
	for (size_t i = 0; !r && i < c->n_fds; i++)
		r = acceptor_add(h->acceptor, c->fds[i]);
	return r;
}

int http_new(const struct http_conf *conf, struct http **out)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -NTM_ENOMEM;
	h->conf = *conf;
	if (!conf->connections)
		h->conf.connections = HTTP_CONNECTIONS;
	if (!conf->per_source)
		h->conf.per_source = HTTP_PER_SOURCE;
	if (!conf->header_s)
		h->conf.header_s = HTTP_HEADER_S;
	if (!conf->idle_s)
		h->conf.idle_s = HTTP_IDLE_S;
	if (!conf->stall_s)
		h->conf.stall_s = HTTP_STALL_S;
	pthread_mutex_init(&h->gate, NULL);
	pthread_cond_init(&h->left, NULL);
	r = http_open(h);
	if (r) {
		acceptor_forget(h->acceptor); /* they stay the caller's */
		http_free(h);
		return r;
	}
	loop_timer_arm(h->clock, LOOP_S(1));
	*out = h;
	return 0;
}

void http_pause(struct http *h)
{
	acceptor_free(h->acceptor);
	h->acceptor = NULL;
	pthread_mutex_lock(&h->gate);
	h->closed = true;
	while (h->inside)
		pthread_cond_wait(&h->left, &h->gate);
	pthread_mutex_unlock(&h->gate);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	http_pause(h);
	for (unsigned int i = 0; i < h->n_daemons; i++)
		MHD_stop_daemon(h->daemons[i]);
	http_crowd_free(h->crowd);
	loop_timer_free(h->clock);
	pthread_cond_destroy(&h->left);
	pthread_mutex_destroy(&h->gate);
	free(h);
}

void http_status(struct http *h, struct http_stats *out)
{
	*out = (struct http_stats){
		.accepted = h->accepted,
		.requests = atomic_load(&h->requests),
		.errors = atomic_load(&h->errors),
		.refused_source = h->refused_source,
		.refused_total = h->refused_total,
		.starved = h->starved,
	};
	http_crowd_status(h->crowd, out);
}
