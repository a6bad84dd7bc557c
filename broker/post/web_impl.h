/* SPDX-License-Identifier: MIT */
/*
 * web_impl - shared by web.c (the loop, answers), web_call.c (one request as libcurl
 * has it), web_socket.c (their connections) and web_together.c (small ones that go
 * together)
 *
 * Owner: web.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_WEB_IMPL_H
#define NTM_BROKER_POST_WEB_IMPL_H

#include <curl/curl.h>

#include "broker/post/web.h"

struct web_batch;

/**
 * struct web_small - what a batch needs of a request, beside the call's header and body;
 *                    libcurl knows nothing of it until it leaves by itself
 * @json: the body is JSON
 * @ready: may leave; @alone: not in a batch, it was tried
 * @left_ns: when it left by itself; 0: it has not
 */
struct web_small {
	struct web_server server;
	char method[8], path[160];
	unsigned int connect_ms, stall_s;
	bool json, ready, alone;
	uint64_t left_ns;
};

struct web_call {
	struct web *web;
	CURL *easy; /* NULL: not yet */
	struct curl_slist *headers, *resolve;
	char error[CURL_ERROR_SIZE];
	char *body; /* JSON that is sent, or a copy of the bytes */
	size_t body_len, body_at;
	char *got;
	size_t got_len, got_max, got_room;
	uint64_t moved;
	unsigned int unacked_ms;
	int err; /* of read or write */
	bool dead, held, ours;
	struct web_small *small; /* may go with others; NULL: goes alone */
	struct web_batch *with;	 /* goes with them */
	struct web_batch *carries;
	web_read_fn *read;
	web_write_fn *write;
	web_fn *done;
	void *arg;
	struct web_call *next;
};

struct web {
	struct loop *loop;
	void (*dated)(void *arg, int64_t date);
	void *dated_arg;
	CURLM *multi;
	struct loop_timer *timer;
	struct web_call *calls;
	struct web_socket *sockets; /* to servers; web_socket.c */
	struct loop_timer *kick;    /* small ones have waited long enough */
	bool inside;		    /* in a call of libcurl's */
};

void web_call_free(struct web_call *c);
/** it is over: its function is told, with @a; @c is gone */
void web_call_end(struct web_call *c, const struct web_answer *a);
/** to libcurl. Return: false: it could not, and is over */
bool web_call_send(struct web_call *c);
/** all that libcurl is to know of it (web_call.c). Return: 0, -NTM_EINVAL, -NTM_ENOMEM,
 *  -NTM_EUNREACHABLE */
NTM_MUST_CHECK int web_call_set(struct web_call *c,
				const struct web_request *r);

/** the parts of it (web_call.c). Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int web_call_headers(struct web_call *c,
				    const struct web_request *r);
NTM_MUST_CHECK int web_call_body(struct web_call *c,
				 const struct web_request *r);
/** its connection is known to web_host_moved() (web_socket.c) */
void web_socket_set(struct web_call *c);
/** libcurl has ended: nothing of them is kept */
void web_sockets_end(struct web *w);

/* --- small ones (web_together.c) --- */

/** Return: 0, 1: it is not small, -NTM_ENOMEM, -NTM_EINVAL */
NTM_MUST_CHECK int web_small_new(struct web_call *c,
				 const struct web_request *r);
/** out of its batch, if it is in one; or with those it carries */
void web_small_free(struct web_call *c);
/** those that are ready leave, as far as there are ways */
void web_together(struct web *w);

#endif
