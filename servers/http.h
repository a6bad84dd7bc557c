/* SPDX-License-Identifier: MIT */
/*
 * http - HTTPS for the roles that speak it: routes, the protocol's fields, limits
 *
 * A thin face of libmicrohttpd on GnuTLS; none of their types leaves http*.c.
 * Owner:   the role makes it and frees it. Every request belongs to it.
 * Context: http_new(), http_free(), http_status() and accept: the role's loop thread.
 *          start(), body() and done() of a route run in one of @threads threads of
 *          libmicrohttpd, for different requests at the same time. What they touch is
 *          theirs to lock. http_answer_*() may be called by any thread.
 * Limits:  connections in all and for each source (IPv4, /64 of IPv6); a handshake and
 *          header have @header_s, a connection without request @idle_s, a body or an
 *          answer moves HTTP_STALL_BYTES in each @stall_s; else it is closed. A header
 *          has at most HTTP_HEADER_MAX bytes. When three quarters of all connections
 *          are taken, those that ask nothing have HTTP_CROWDED_S; when all are, or all
 *          of a source, the stranger that came first goes for the one that comes, or else
 *          who has asked nothing for longest. Who is http_proven() is no stranger, until
 *          it is answered 401. Answers of more than
 *          HTTP_WHOLE bytes that have yet to leave have HTTP_HELD_MAX bytes in all, a
 *          quarter of it for one source; beyond, 429.
 *
 * An error that is found before a body is said before it when the client waits for
 * that (Expect: 100-continue, as who sends more than HTTP_SWALLOW_MAX should), else
 * when the body has been read.
 *
 * A request that is not answered when done() returns waits (its connection costs no
 * thread) until somebody calls http_answer_*(): a commit thread, say. Before
 * http_free() every one must have been answered.
 */
#ifndef NTM_SERVERS_HTTP_H
#define NTM_SERVERS_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"
#include "common/loop.h"
#include "libntmcrypto/ntmcrypto.h"

#define HTTP_TOKEN_LEN	 32
#define HTTP_ID_MAX	 64  /* application, service, item */
#define HTTP_MESSAGE_MAX 256 /* bytes of UTF-8, decoded */
#define HTTP_VERSION_MAX 64
#define HTTP_TO_MAX	 64 /* destinations */
#define HTTP_PARAMS_MAX	 3
#define HTTP_HEADER_MAX	 49152 /* 64 destinations of full length, and the rest */
#define HTTP_STALL_BYTES 16384
#define HTTP_SWALLOW_MAX                                                       \
	(16u << 20) /* read after an error, to be able to say it */
#define HTTP_SOURCE_LEN 16
#define HTTP_WHOLE	16384 /* a longer answer leaves piece by piece */
#define HTTP_HELD_MAX	((size_t)256 << 20)
#define HTTP_CROWDED_S	3
#define HTTP_PEER_S                                                            \
	60 /* after so long a server's certificate is looked at anew */

struct http;
struct http_request;

/** the monotonic clock, in seconds, by which connections are too slow */
uint32_t http_now_s(void);

/** struct http_fields - the papers' eight, as far as they came */
struct http_fields {
	char version[HTTP_VERSION_MAX + 1]; /* never empty */
	bool has_token;
	uint8_t token[HTTP_TOKEN_LEN];
	char node[FQDN_MAX + 1]; /* own FQDN; empty: none */
	char application[HTTP_ID_MAX + 1], service[HTTP_ID_MAX + 1],
		item[HTTP_ID_MAX + 1];
	char message[HTTP_MESSAGE_MAX + 1]; /* decoded */
	size_t n_to;
	char (*to)[FQDN_MAX + 1]; /* @n_to; each once */
};

#define HTTP_NODE 1u /* own FQDN and token must be there (not: be right) */
#define HTTP_ITEM 2u /* destinations and the three IDs must be there */
#define HTTP_JSON 4u /* the body is one JSON object */
#define HTTP_BATCH                                                             \
	8u /* may stand in a batch: short, answered by JSON or a small file */

/**
 * struct http_route - one row of a role's table
 * @method:   "GET" (HEAD too), "PUT", "POST", "PATCH", "DELETE"
 * @path:     "/v1/items/{}/data"; {} stands for one part, see http_param()
 * @flags:    HTTP_...; what is missing is answered with 400 (401: token)
 * @roles:    bits of enum ntmc_server_role: the client shows a certificate of this
 *            domain with one of them, else 403. 0: whoever
 * @body_max: bytes; more is answered with 413. 0: no body
 * @start:    the header is there, before a body is read: may answer, which ends it.
 *            May be NULL
 * @body:     a part of the body. Return: false: it has answered. NULL: the framework
 *            collects it, http_body() and http_json() give it to done()
 * @done:     all is there. Answers, now or later
 */
struct http_route {
	const char *method, *path;
	unsigned int flags;
	uint32_t roles;
	uint64_t body_max;
	void (*start)(struct http_request *q, void *arg);
	bool (*body)(struct http_request *q, void *arg, const uint8_t *data,
		     size_t len);
	void (*done)(struct http_request *q, void *arg);
};

/**
 * struct http_conf - all of it is borrowed until http_free(), but for @fds and PEMs
 * @name:    for the log
 * @fds:     listening, non-blocking; taken over on success
 * @key, @certificate: PEM; the certificate's CA stands behind it. NULL: no TLS
 * @ca:      PEM of the CA whose servers are asked for their certificate; or NULL
 * @trust:   the same CA
 * @domain:  of it
 * @refuses: a server with a good certificate that is refused all the same, as the
 *           administrator removed it; asked every HTTP_PEER_S of a connection. Or NULL
 * @hold:    several requests of one batch begin (@on), or have begun: what they ask for
 *           may share a commit. By any of the threads, several at a time. Or NULL
 * @threads: 0: as many as processors, at least 2
 * @connections, @per_source, @header_s, @idle_s, @stall_s: 0: the usual
 */
struct http_conf {
	struct loop *loop;
	const char *name;
	const int *fds;
	size_t n_fds;
	const char *key, *certificate, *ca;
	const struct ntmc_trust *trust;
	const char *domain;
	bool (*refuses)(void *arg, const struct ntmc_cert *peer);
	void (*hold)(void *arg, bool on);
	const struct http_route *routes;
	size_t n_routes;
	void *arg;
	unsigned int threads, connections, per_source, header_s, idle_s,
		stall_s;
};
#define HTTP_CONNECTIONS 16384
#define HTTP_PER_SOURCE	 256
#define HTTP_HEADER_S	 10
#define HTTP_IDLE_S	 60
#define HTTP_STALL_S	 30

/** Return: 0, -NTM_ENOMEM, -NTM_ECERT, -NTM_ESYSTEM */
NTM_MUST_CHECK int http_new(const struct http_conf *conf, struct http **out);
/** waits for its threads; what was asked must be answered before */
void http_free(struct http *h);
/** no new connections, and no done() any more: requests that come are answered with
 *  503; waits for those that are running. Before the role answers what waits */
void http_pause(struct http *h);

/** struct http_stats - since the start, and how many are open; @held: bytes of long
 *  answers that have yet to leave */
struct http_stats {
	uint64_t accepted, requests, errors; /* errors: answers from 400 on */
	uint64_t held;
	uint64_t refused_source, refused_total, starved, slow, evicted;
	unsigned int connections;
};
void http_status(struct http *h, struct http_stats *out);

/* --- what was asked ----------------------------------------------------------- */

const struct http_fields *http_fields(const struct http_request *q);
/** what stands for the @i-th {} of the path, decoded; never empty */
const char *http_param(const struct http_request *q, size_t i);
/** the same as base64url of exactly @len bytes; Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int http_param_bytes(const struct http_request *q, size_t i,
				    uint8_t *out, size_t len);
/** an argument of the query, or a header field; NULL: there is none */
const char *http_query(const struct http_request *q, const char *name);
const char *http_header(const struct http_request *q, const char *name);
/** as a number from 0 to 2^63-1. Return: 0, -NTM_ENOTFOUND, -NTM_EDECODE */
NTM_MUST_CHECK int http_query_number(const struct http_request *q,
				     const char *name, uint64_t *out);
NTM_MUST_CHECK int http_header_number(const struct http_request *q,
				      const char *name, uint64_t *out);
/** bytes of the body as the header says; UINT64_MAX: it does not (chunked) */
uint64_t http_body_length(const struct http_request *q);
/** with HTTP_JSON, in done(): borrowed */
json_t *http_json(const struct http_request *q);
const uint8_t *http_body(const struct http_request *q, size_t *len);
/** the server that asks; NULL: the route wants none */
const struct ntmc_cert *http_peer(const struct http_request *q);
/** a token or ticket of it is right: its connection goes for no other while it asks. A certificate
 *  of HTTP's own check does the same */
void http_proven(struct http_request *q);
/** one customer's address: IPv4, or the /64 of IPv6; zero-padded */
const uint8_t *http_source(const struct http_request *q);

/** a role's own state of this request; @end is called when it is over, however */
void http_set_state(struct http_request *q, void *state, void (*end)(void *));
void *http_state(const struct http_request *q);

/* --- several in one (http_batch.c) ------------------------------------------------ */

#define HTTP_BATCH_MAX	64
#define HTTP_BATCH_BODY (256u << 10) /* bytes of all of them, as JSON */
#define HTTP_BATCH_FILE (64u << 10)  /* bytes of a file in an answer */

/** done() of `POST /v1/batch`, with HTTP_JSON; start() is the role's, and decides whose
 *  body is read. Each of them is checked as if it came alone. */
void http_batch(struct http_request *q, void *arg);

/* --- what is answered: the first one counts -------------------------------------- */

/** @body is taken; NULL: out of memory */
void http_answer_json(struct http_request *q, unsigned int status,
		      json_t *body);
/** the same as text, malloc()ed and taken; NULL: out of memory */
void http_answer_text(struct http_request *q, unsigned int status, char *text);
/** {"error", "text"} and what @more has besides (taken; may be NULL) */
void http_answer_error(struct http_request *q, unsigned int status, int err,
		       const char *text, json_t *more);
/** by the usual status of @err, and err_text() */
void http_answer_err(struct http_request *q, int err);
/** 429 with Retry-After */
void http_answer_later(struct http_request *q, int err, unsigned int retry_s,
		       const char *text);
/**
 * http_answer_file() - all of a file, or the part that the Range field asks for
 * @fd: taken; closed when the answer has left
 * @size: of it; must not become less
 */
void http_answer_file(struct http_request *q, int fd, uint64_t size);
/** the same of @size bytes of memory, malloc()ed and taken; at most HTTP_BATCH_FILE */
void http_answer_data(struct http_request *q, uint8_t *data, size_t size);
/** 204 */
void http_answer_empty(struct http_request *q);
/** a header field of the answer to come; both copied. Before the answer */
void http_answer_header(struct http_request *q, const char *name,
			const char *value);

#endif
