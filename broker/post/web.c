/* SPDX-License-Identifier: MIT */
/*
 * web - HTTPS requests to box and CS, many at once, by libcurl on the loop
 *
 * Theory of operation
 *
 * One multi handle; its sockets are loop_io, its timeout a loop_timer. libcurl calls
 * back for bytes from within curl_multi_socket_action(); what is done is handed out
 * afterwards, from the list of messages, so that a `done` may start and cancel calls.
 * A cancelled call is taken out of the multi handle at once and freed; one that is
 * cancelled from its own read or write function is marked, and freed afterwards.
 */
#include "broker/post/web.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "libntmcrypto/ntmcrypto.h"

#define CONNECT_MS  10000u
#define ANSWER_S    300L /* all of a request without a blob */
#define STALL_BYTES 1L
#define STALL_S	    60u
#define CONNECTIONS                                                            \
	4L /* to one server: more cost handshakes, and win nothing */
#define IDLE_MAX     32L /* that are kept */
#define BUFFER_BYTES (256L << 10)

struct web_call {
	struct web *web;
	CURL *easy;
	struct curl_slist *headers, *resolve;
	char error[CURL_ERROR_SIZE];
	char *body; /* JSON that is sent, or a copy of the bytes */
	size_t body_len, body_at;
	char *got;
	size_t got_len, got_max;
	uint64_t moved;
	int err; /* of read or write */
	bool dead, held;
	web_read_fn *read;
	web_write_fn *write;
	web_fn *done;
	void *arg;
	struct web_call *next;
};

struct web {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct web_call *calls;
	bool inside; /* in a call of libcurl's */
};

/* --- the loop
 * --------------------------------------------------------------------------- */

static void call_free(struct web_call *c)
{
	struct web_call **at = &c->web->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	curl_multi_remove_handle(c->web->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->resolve);
	/* tokens, temporal keys */
	if (c->body)
		ntmc_wipe(c->body, c->body_len);
	if (c->got)
		ntmc_wipe(c->got, c->got_len);
	free(c->body);
	free(c->got);
	free(c);
}

static int outcome(const struct web_call *c, CURLcode code)
{
	if (c->err)
		return c->err;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -NTM_ETIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CONNECT_ERROR:
		return -NTM_ECERT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -NTM_EUNREACHABLE;
	default:
		return -NTM_ECLOSED;
	}
}

static void call_done(struct web_call *c, CURLcode code)
{
	struct web_answer a = {.err = outcome(c, code)};
	web_fn *done = c->done;
	curl_off_t retry = 0;
	void *arg = c->arg;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a.status);
	/* an early answer to a body that was still being sent counts */
	if (a.err && !c->err && a.status >= 400 && c->got_len)
		a.err = 0;
	if (a.err)
		log_debug("web", "%s", *c->error ? c->error : err_text(a.err));
	curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry);
	a.retry_s = retry > 0 && retry < 86400 ? (unsigned int)retry : 0;
	if (!a.err && c->got_len)
		a.json = json_loadb(c->got, c->got_len, 0, NULL);
	call_free(c);
	done(arg, &a);
	json_decref(a.json);
}

static void after(struct web *w)
{
	struct web_call *c, *next;
	CURLMsg *m;
	int left;

	for (c = w->calls; c; c = next) {
		next = c->next;
		if (c->dead)
			call_free(c);
	}
	while ((m = curl_multi_info_read(w->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
		call_done(c, m->data.result);
	}
}

static void act(struct web *w, curl_socket_t fd, int mask)
{
	int running;

	w->inside = true;
	curl_multi_socket_action(w->multi, fd, mask, &running);
	w->inside = false;
	after(w);
}

static void on_socket(void *arg, int fd, unsigned int events)
{
	act(arg, fd,
	    (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
		    (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg,
			  void *socket_arg)
{
	struct loop_io *io = socket_arg;
	struct web *w = arg;
	unsigned int events = (what & CURL_POLL_IN ? LOOP_READ : 0) |
			      (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_io_del(io);
		curl_multi_assign(w->multi, fd, NULL);
	} else if (io) {
		loop_io_set(io, events);
	} else {
		if (loop_io_add(w->loop, fd, events, false, on_socket, w, &io))
			return -1;
		curl_multi_assign(w->multi, fd, io);
	}
	return 0;
}

static int timer_changed(CURLM *multi, long ms, void *arg)
{
	struct web *w = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_disarm(w->timer);
	else
		loop_timer_arm(w->timer, LOOP_MS(ms));
	return 0;
}

int web_open(struct loop *l, struct web **out)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w)
		return -NTM_ENOMEM;
	w->loop = l;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		goto err_free;
	w->multi = curl_multi_init();
	if (!w->multi || loop_timer_new(l, on_timer, w, &w->timer))
		goto err_multi;
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS);
	curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
	*out = w;
	return 0;

err_multi:
	curl_multi_cleanup(w->multi);
	curl_global_cleanup();
err_free:
	free(w);
	return -NTM_ENOMEM;
}

void web_close(struct web *w)
{
	if (!w)
		return;
	while (w->calls)
		call_free(w->calls);
	curl_multi_cleanup(w->multi);
	loop_timer_free(w->timer);
	curl_global_cleanup();
	free(w);
}

/* --- bytes
 * ------------------------------------------------------------------------------ */

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct web_call *c = arg;
	long got;

	size *= n;
	if (c->dead)
		return CURL_READFUNC_ABORT;
	if (c->read) {
		got = c->read(c->arg, (uint8_t *)buf, size);
		if (got < 0) {
			c->err = (int)got;
			return CURL_READFUNC_ABORT;
		}
	} else {
		got = (long)(c->body_len - c->body_at < size
				     ? c->body_len - c->body_at
				     : size);
		memcpy(buf, c->body + c->body_at, (size_t)got);
		c->body_at += (size_t)got;
	}
	c->moved += (uint64_t)got;
	return (size_t)got;
}

/* curl asks again from the beginning after a connection that had gone stale */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct web_call *c = arg;

	if (c->read || origin != SEEK_SET || offset < 0 ||
	    (size_t)offset > c->body_len)
		return CURL_SEEKFUNC_FAIL;
	c->body_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
	struct web_call *c = arg;
	long status = 0;
	char *more;

	size *= n;
	if (c->dead)
		return 0;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->write && (status == 200 || status == 206)) {
		c->err = c->write(c->arg, (const uint8_t *)data, size);
		c->moved += size;
		return c->err ? 0 : size;
	}
	if (size > c->got_max - c->got_len) {
		c->err = -NTM_ETOOBIG;
		return 0;
	}
	more = malloc(c->got_len + size);
	if (!more)
		return 0;
	if (c->got) {
		memcpy(more, c->got, c->got_len);
		ntmc_wipe(c->got, c->got_len);
		free(c->got);
	}
	c->got = more;
	memcpy(c->got + c->got_len, data, size);
	c->got_len += size;
	return size;
}

/* --- requests
 * --------------------------------------------------------------------------- */

/* Not to whom DNS of the Internet names: virtual addresses alone, fd6e::/16. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *a)
{
	const struct sockaddr_in6 *in6 = (const void *)&a->addr;

	(void)arg, (void)purpose;
	if (a->family != AF_INET6 || in6->sin6_addr.s6_addr[0] != 0xfd ||
	    in6->sin6_addr.s6_addr[1] != 0x6e)
		return CURL_SOCKET_BAD;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int device_set(struct web_call *c, const struct web_request *r)
{
	const struct web_server *s = r->server;
	char url[1024];

	if ((size_t)snprintf(url, sizeof(url), "http://%s:%u%s", s->name,
			     s->tunnel, r->path) >= sizeof(url))
		return -NTM_EINVAL;
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	/* a name that nobody knows is not waited for at the end */
	curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_V6);
	curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	return 0;
}

/* Its addresses under its name: all that have the first one's port. */
static int where_set(struct web_call *c, const struct web_request *r)
{
	const struct web_server *s = r->server;
	char text[WEB_ADDRS_MAX * (ADDR_TEXT_LEN + 1) + 300];
	char url[1024], one[ADDR_TEXT_LEN];
	uint16_t port;
	size_t i, at;

	if (s->tunnel && !s->n_addrs)
		return device_set(c, r);
	if (!s->n_addrs)
		return -NTM_EUNREACHABLE;
	port = addr_port(&s->addrs[0]);
	at = (size_t)snprintf(text, sizeof(text), "+%s:%u:", s->name, port);
	for (i = 0; i < s->n_addrs; i++) {
		if (addr_port(&s->addrs[i]) != port)
			continue;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       i ? "," : "",
				       addr_format_ip(&s->addrs[i], one));
	}
	c->resolve = curl_slist_append(NULL, text);
	if ((size_t)snprintf(url, sizeof(url), "%s://%s:%u%s",
			     s->tunnel ? "http" : "https", s->name, port,
			     r->path) >= sizeof(url))
		return -NTM_EINVAL;
	if (s->tunnel)
		curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c->easy, CURLOPT_RESOLVE, c->resolve);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	/* where there is no memory for the file's name, the machine's own CAs count */
	if (curl_easy_setopt(c->easy, CURLOPT_CAINFO, s->ca) ||
	    curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL))
		return -NTM_ENOMEM;
	return c->resolve ? 0 : -NTM_ENOMEM;
}

static int headers_set(struct web_call *c, const struct web_request *r)
{
	struct curl_slist *l;
	size_t i;

	for (i = 0; r->headers && r->headers[i]; i++) {
		l = curl_slist_append(c->headers, r->headers[i]);
		if (!l)
			return -NTM_ENOMEM;
		c->headers = l;
	}
	l = curl_slist_append(c->headers, r->json ? "Content-Type: "
						    "application/json"
						  : "Content-Type: application/"
						    "octet-stream");
	if (!l)
		return -NTM_ENOMEM;
	c->headers = l;
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	return 0;
}

static int body_set(struct web_call *c, const struct web_request *r)
{
	uint64_t length = r->length;

	if (r->json) {
		c->body = json_dumps(r->json, JSON_COMPACT);
		if (!c->body)
			return -NTM_ENOMEM;
		length = c->body_len = strlen(c->body);
	} else if (r->body) {
		c->body = malloc(r->body_len + 1);
		if (!c->body)
			return -NTM_ENOMEM;
		memcpy(c->body, r->body, r->body_len);
		length = c->body_len = r->body_len;
	} else if (!r->read) {
		curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
		return 0;
	}
	curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
	if (r->read && length > BUFFER_BYTES)
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE,
				 BUFFER_BYTES);
	return 0;
}

static void rules_set(struct web_call *c, const struct web_request *r)
{
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS,
			 1L); /* an ID may be ".." */
	if (!c->read && !c->write)
		curl_easy_setopt(c->easy, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(r->connect_ms ? r->connect_ms : CONNECT_MS));
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME,
			 (long)(r->stall_s ? r->stall_s : STALL_S));
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, r->last ? 1L : 0L);
	if (c->write && r->length > BUFFER_BYTES)
		curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
}

int web_start(struct web *w, const struct web_request *r, struct web_call **out)
{
	struct web_call *c = calloc(1, sizeof(*c));
	int err = -NTM_ENOMEM;

	if (!c)
		return err;
	c->web = w;
	c->read = r->read;
	c->write = r->write;
	c->got_max = r->json_max ? r->json_max : WEB_JSON_MAX;
	c->done = r->done;
	c->arg = r->arg;
	c->next = w->calls;
	w->calls = c;
	c->easy = curl_easy_init();
	if (c->easy) {
		rules_set(c, r);
		err = where_set(c, r);
	}
	if (!err)
		err = headers_set(c, r);
	if (!err)
		err = body_set(c, r);
	if (err) {
		call_free(c);
		return err;
	}
	c->held = true;
	*out = c;
	return 0;
}

void web_release(struct web *w)
{
	struct web_call *c = w->calls;

	while (c) {
		if (!c->held) {
			c = c->next;
			continue;
		}
		c->held = false;
		if (!curl_multi_add_handle(w->multi, c->easy)) {
			c = c->next;
			continue;
		}
		call_done(c, CURLE_OUT_OF_MEMORY);
		c = w->calls; /* whatever that has changed */
	}
}

void web_cancel(struct web_call *c)
{
	if (!c)
		return;
	if (c->web->inside)
		c->dead = true;
	else
		call_free(c);
}

uint64_t web_moved(const struct web_call *c)
{
	return c->moved;
}

/* --- answers
 * ----------------------------------------------------------------------------- */

static int named_error(const struct web_answer *a)
{
	const char *name = json_string_value(json_object_get(a->json, "error"));
	int i;

	for (i = 1; name && i < 64; i++)
		if (!strcmp(err_name(i), name))
			return -i;
	return 0;
}

int web_error(const struct web_answer *a, bool *again)
{
	int err = a->err;

	*again = true;
	if (err)
		return err;
	if (a->status >= 200 && a->status < 300)
		return 0;
	/* tokens are renewed; quotas are freed; servers are mended */
	*again = a->status == 401 || a->status == 429 || a->status >= 500;
	err = named_error(a);
	if (err)
		return err;
	return a->status == 401	  ? -NTM_EAUTH
	       : a->status == 403 ? -NTM_EPERM
	       : a->status == 404 ? -NTM_ENOTFOUND
	       : a->status == 409 ? -NTM_ESTATE
	       : a->status == 413 ? -NTM_ETOOBIG
				  : -NTM_ESERVER;
}

const char *web_text(const struct web_answer *a)
{
	const char *text = json_string_value(json_object_get(a->json, "text"));
	bool again;

	return text && *text ? text : err_text(web_error(a, &again));
}
