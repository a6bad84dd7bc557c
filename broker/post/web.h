/* SPDX-License-Identifier: MIT */
/*
 * web - HTTPS requests to box and CS, many at once, by libcurl on the loop
 *
 * Owner:    struct post. Context: loop thread; functions are called back from the
 *           loop, never from within web_start(); they may start others and cancel any.
 * What is started leaves with web_release(), when what was written before it is on the
 * disk.
 * A server is reached at the addresses that are given, under its name, and believed by
 * the CA in the file that is given, alone. TLS 1.3. A device is reached by its name,
 * as libntm.so finds it, at a virtual address alone.
 */
#ifndef NTM_BROKER_POST_WEB_H
#define NTM_BROKER_POST_WEB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/loop.h"

#define WEB_ADDRS_MAX 8
/* of an answer; in memory it takes up to twenty times that */
#define WEB_JSON_MAX	   (128u << 10)
#define WEB_TOGETHER_BYTES 16384

struct web;
struct web_call;

/**
 * struct web_server - @name: of the certificate; @ca: PEM file
 * @tunnel: not 0: the port of a device, found by its name and spoken to through the
 *          tunnel, which seals: plain HTTP. @addrs: the usual: none
 * @ours:   of our own domain: what it says of the time counts
 */
struct web_server {
	char name[256];
	uint16_t tunnel;
	bool ours;
	char ca[512];
	struct addr addrs[WEB_ADDRS_MAX];
	size_t n_addrs;
};

/**
 * struct web_answer - borrowed for the call
 * @err:    0: @status is the server's. -NTM_ETIMEOUT, -NTM_EUNREACHABLE, -NTM_ECERT,
 *          -NTM_ECLOSED: it said nothing that counts; -NTM_ETOOBIG: too much
 * @json:   NULL: none
 */
struct web_answer {
	int err;
	long status;
	unsigned int retry_s; /* Retry-After; 0: none */
	json_t *json;
};
typedef void web_fn(void *arg, const struct web_answer *a);
/** the next bytes to send, at most @size; 0 only at the end.
 *  Return: bytes, or an error, which ends the call */
typedef long web_read_fn(void *arg, uint8_t *buf, size_t size);
/** bytes that came, of a status 200 or 206. Return: 0, or an error, which ends it */
typedef int web_write_fn(void *arg, const uint8_t *data, size_t len);

/**
 * struct web_request - borrowed by web_start()
 * @headers: "Name: value" lines, NULL-terminated
 * @json:    body; or @text: the same, as text; or
 * @read, @length: body in pieces, or neither; with @body, @body_len: bytes
 * @write:   takes a body that is not JSON, of about @length bytes; NULL: it must be JSON
 * @json_max: bytes of JSON that are read; 0: WEB_JSON_MAX
 * @connect_ms, @stall_s: longest wait for the connection, and without a byte; 0: the
 *           usual
 * @unacked_ms: of a device: bytes that its end does not acknowledge for so long end it; 0:
 *           the usual
 * @last:    the connection is not kept for another request
 * @together: it is small, and so is its answer, and the server takes it with others in
 *           one request: at most WEB_TOGETHER_BYTES either way
 */
struct web_request {
	const struct web_server *server;
	const char *method, *path;
	const char *const *headers;
	const json_t *json;
	const char *text;
	const uint8_t *body;
	size_t body_len;
	web_read_fn *read;
	uint64_t length;
	web_write_fn *write;
	size_t json_max;
	unsigned int connect_ms, stall_s, unacked_ms;
	bool last, together;
	web_fn *done;
	void *arg;
};

/** @dated(@arg, its Date) before each answer of a server of ours is handed out */
NTM_MUST_CHECK int web_open(struct loop *l,
			    void (*dated)(void *arg, int64_t date), void *arg,
			    struct web **out);
/** no function is called any more */
void web_close(struct web *w);
/** Return: 0 and @done will be called once, or -NTM_ENOMEM, -NTM_EINVAL */
NTM_MUST_CHECK int web_start(struct web *w, const struct web_request *r,
			     struct web_call **out);
/** everything that was started may leave */
void web_release(struct web *w);
/** the host may have other addresses now: what goes by one that it has lost ends with
 *  -NTM_ECLOSED at once */
void web_host_moved(struct web *w);
/** @done is not called any more; NULL is fine */
void web_cancel(struct web_call *c);
/** bytes sent and received of bodies so far */
uint64_t web_moved(const struct web_call *c);

/** what an answer means to us: 0 for 2xx, else a negative error. *@again: the same
 *  request may succeed later */
NTM_MUST_CHECK int web_error(const struct web_answer *a, bool *again);
/** the server's sentence, or that of the error */
const char *web_text(const struct web_answer *a);

#endif
