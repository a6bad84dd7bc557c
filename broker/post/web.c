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
#include "broker/post/web_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "libntmcrypto/ntmcrypto.h"

#define CONNECTIONS                                                            \
	4L	     /* to one server: more cost handshakes, and win nothing */
#define IDLE_MAX 32L /* that are kept */

/* --- the loop
 * --------------------------------------------------------------------------- */

void web_call_free(struct web_call *c)
{
	struct web_call **at = &c->web->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	web_small_free(c);
	if (c->easy) {
		curl_multi_remove_handle(c->web->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
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

void web_call_end(struct web_call *c, const struct web_answer *a)
{
	web_fn *done = c->done;
	void *arg = c->arg;

	c->carries = NULL; /* its function's */
	web_call_free(c);
	done(arg, a);
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

static void date_heard(const struct web_call *c)
{
	struct curl_header *h;
	time_t date;

	if (!c->ours ||
	    curl_easy_header(c->easy, "Date", 0, CURLH_HEADER, -1, &h))
		return;
	date = curl_getdate(h->value, NULL);
	if (date > 0)
		c->web->dated(c->web->dated_arg, date);
}

static void call_done(struct web_call *c, CURLcode code)
{
	struct web_answer a = {.err = outcome(c, code)};
	curl_off_t retry = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a.status);
	/* an early answer to a body that was still being sent counts */
	if (a.err && !c->err && a.status >= 400 && c->got_len)
		a.err = 0;
	if (a.err)
		log_debug("web", "%s", *c->error ? c->error : err_text(a.err));
	else
		date_heard(c);
	curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry);
	a.retry_s = retry > 0 && retry < 86400 ? (unsigned int)retry : 0;
	if (!a.err && c->got_len)
		a.json = json_loadb(c->got, c->got_len, 0, NULL);
	web_call_end(c, &a);
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
			web_call_free(c);
	}
	while ((m = curl_multi_info_read(w->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
		call_done(c, m->data.result);
	}
	web_together(w);
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

static void on_kick(void *arg)
{
	web_together(arg);
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

int web_open(struct loop *l, void (*dated)(void *arg, int64_t date), void *arg,
	     struct web **out)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w)
		return -NTM_ENOMEM;
	w->loop = l;
	w->dated = dated;
	w->dated_arg = arg;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		goto err_free;
	w->multi = curl_multi_init();
	if (!w->multi || loop_timer_new(l, on_timer, w, &w->timer) ||
	    loop_timer_new(l, on_kick, w, &w->kick))
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
	loop_timer_free(w->timer);
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
		web_call_free(w->calls);
	curl_multi_cleanup(w->multi);
	web_sockets_end(w);
	loop_timer_free(w->timer);
	loop_timer_free(w->kick);
	curl_global_cleanup();
	free(w);
}

/* --- requests
 * --------------------------------------------------------------------------- */

int web_start(struct web *w, const struct web_request *r, struct web_call **out)
{
	struct web_call *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -NTM_ENOMEM;
	c->web = w;
	c->read = r->read;
	c->write = r->write;
	c->got_max = r->json_max ? r->json_max : WEB_JSON_MAX;
	c->done = r->done;
	c->arg = r->arg;
	c->next = w->calls;
	w->calls = c;
	err = r->together ? web_small_new(c, r) : 1;
	if (err > 0)
		err = web_call_set(c, r);
	if (err) {
		web_call_free(c);
		return err;
	}
	c->held = true;
	*out = c;
	return 0;
}

bool web_call_send(struct web_call *c)
{
	c->held = false;
	if (!curl_multi_add_handle(c->web->multi, c->easy))
		return true;
	call_done(c, CURLE_OUT_OF_MEMORY);
	return false;
}

void web_release(struct web *w)
{
	struct web_call *c = w->calls;

	while (c) {
		if (c->held && c->small) {
			c->small->ready = true;
			c->held = false;
		}
		/* false: whatever that has changed */
		c = !c->held || web_call_send(c) ? c->next : w->calls;
	}
	web_together(w);
}

void web_cancel(struct web_call *c)
{
	if (!c)
		return;
	if (c->web->inside)
		c->dead = true;
	else
		web_call_free(c);
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
