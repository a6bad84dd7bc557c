/* SPDX-License-Identifier: MIT */
/*
 * http_crowd - the connections of an HTTP server: counted by source, and who must go
 *
 * Owner:   struct http. Context: any thread, but for http_crowd_tick(), which is the
 *          loop thread's; it has a lock of its own.
 */
#ifndef NTM_SERVERS_HTTP_CROWD_H
#define NTM_SERVERS_HTTP_CROWD_H

#include "servers/http_impl.h"

#define HTTP_GOING_MAX 512 /* told to go, and not closed yet */

struct http_crowd;

/** @conf: borrowed; its limits are the numbers meant. Return: NULL: out of memory */
struct http_crowd *http_crowd_new(const struct http_conf *conf);
void http_crowd_free(struct http_crowd *w);
/**
 * http_crowd_add() - a place for a connection; another may have to go for it
 * Return: 0, -NTM_ENOMEM, -NTM_ELIMIT (too many of the source), -NTM_EAGAIN (in all)
 */
NTM_MUST_CHECK int http_crowd_add(struct http_crowd *w, int fd,
				  const uint8_t source[static HTTP_SOURCE_LEN]);
/** libmicrohttpd has begun with it; NULL: it is not there */
struct http_conn *http_crowd_begun(struct http_crowd *w, int fd);
/** it is about to be closed */
void http_crowd_remove(struct http_crowd *w, struct http_conn *c);
/** @fd has been closed, before anything was begun */
void http_crowd_forget(struct http_crowd *w, int fd);
/** it has shown a token, ticket or certificate that is right */
void http_crowd_prove(struct http_crowd *w, struct http_conn *c);
/** it has shown one that is wrong */
void http_crowd_doubt(struct http_crowd *w, struct http_conn *c);
/** ends those that are too slow */
void http_crowd_tick(struct http_crowd *w, uint32_t now_s);
/** see http_hold(), http_let_go() */
bool http_crowd_hold(struct http_crowd *w,
		     const uint8_t source[static HTTP_SOURCE_LEN], size_t len);
void http_crowd_let_go(struct http_crowd *w,
		       const uint8_t source[static HTTP_SOURCE_LEN],
		       size_t len);
/** @connections, @held, @slow, @evicted */
void http_crowd_status(struct http_crowd *w, struct http_stats *out);

#endif
