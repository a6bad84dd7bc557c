/* SPDX-License-Identifier: MIT */
/*
 * http_impl - what http.c (server), http_crowd.c (connections) and http_request.c (one
 * request) share
 *
 * Owner:   struct http_conn belongs to http_crowd.c, struct http_request to the connection
 *          that is in it. Context: see http.h; what is atomic is written by a thread of
 *          libmicrohttpd and read by the loop thread.
 */
#ifndef NTM_SERVERS_HTTP_IMPL_H
#define NTM_SERVERS_HTTP_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#include "servers/http.h"

#define HTTP_EXTRA_MAX 4 /* header fields that a role adds to an answer */

/**
 * enum http_phase - what a connection does, which decides how long it may
 * @HTTP_NEW:     handed over; not begun by libmicrohttpd
 * @HTTP_FIRST:   TLS handshake, and the first header. header_s
 * @HTTP_WAITING: between requests; ends with the next header. idle_s
 * @HTTP_MOVING:  a body comes or an answer leaves. HTTP_STALL_BYTES in stall_s
 * @HTTP_WORKING: the role has it
 */
enum http_phase {
	HTTP_NEW,
	HTTP_FIRST,
	HTTP_WAITING,
	HTTP_MOVING,
	HTTP_WORKING
};

struct http_conn {
	UT_hash_handle hh; /* by fd */
	int fd;
	uint8_t source[HTTP_SOURCE_LEN];
	_Atomic enum http_phase phase;
	_Atomic uint32_t since; /* of the phase, seconds */
	_Atomic uint64_t moved; /* bytes, ever */
	_Atomic bool proven;	/* see http_proven() */
	/* under the crowd's lock */
	struct source *of;
	struct http_conn *prev, *next, *of_prev, *of_next; /* of strangers */
	bool stranger, going;
	/* of the loop thread: the window that is being watched */
	uint32_t mark_since, mark_at;
	uint64_t mark_moved;
	/* of its thread */
	struct ntmc_cert *peer;
	uint32_t peer_at; /* when it was looked at */
};

struct http_request {
	struct http *http;
	struct http_conn *conn;
	struct MHD_Connection *mhd;
	const struct http_conf *conf;
	const struct http_route *route; /* NULL: none */
	struct http_fields fields;
	char *path; /* the params point into it */
	const char *params[HTTP_PARAMS_MAX];
	uint8_t *body;
	size_t body_len, body_room;
	uint64_t came, swallowed;
	json_t *json;
	bool handled; /* done() was called */
	void *state;
	void (*end)(void *state);
	struct {
		char *name, *value;
	} extra[HTTP_EXTRA_MAX];
	size_t n_extra;
	/* of one that stands in a batch, instead of a connection of its own */
	struct http_batch *batch;
	size_t batch_at;
	const json_t *part;
	uint64_t part_len; /* of its body; 0: JSON, or none */

	pthread_mutex_t lock; /* below: whoever answers */
	bool suspended;
	unsigned int status; /* 0: not answered */
	struct MHD_Response *response;
};

void http_phase_set(struct http_conn *c, enum http_phase phase);
/** room for a long answer to @source. Return: false: there is none now */
bool http_hold(struct http *h, const uint8_t *source, size_t len);
/** it has left; its connection may be gone */
void http_let_go(struct http *h, const uint8_t *source, size_t len);
void http_conn_proven(struct http *h, struct http_conn *c);
/** Return: NULL: out of memory */
struct http_request *http_request_new(struct http *h,
				      const struct http_conf *conf,
				      struct http_conn *c,
				      struct MHD_Connection *mhd);
void http_request_free(struct http_request *q);
/** route, fields, peer, start(): answers what is wrong */
void http_request_begin(struct http_request *q, const char *method,
			const char *url);
/** Return: false: nothing more is read of this one */
bool http_request_body(struct http_request *q, const uint8_t *data, size_t len);
/** all is there: done() */
void http_request_handle(struct http_request *q);

/** a decimal number and nothing else. Return: 0, -NTM_EDECODE */
int http_number(const char *text, uint64_t *out);
/** the eight fields. Return: 0, or -NTM_E... with @what to say */
int http_fields_read(const struct http_request *q, struct http_fields *out,
		     const char **what);
void http_fields_clear(struct http_fields *f);

/* --- a part of a batch (http_batch.c) ------------------------------------------ */

/** @body under @key; taken. May be NULL: there is none */
void http_batch_answer(struct http_request *q, unsigned int status,
		       const char *key, json_t *body);
/** @data: malloc()ed and taken */
void http_batch_data(struct http_request *q, uint8_t *data, size_t size);
/** @fd is taken */
void http_batch_file(struct http_request *q, int fd, uint64_t size);
const char *http_batch_header(const struct http_request *q, const char *name);

#endif
