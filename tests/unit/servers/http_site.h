/* SPDX-License-Identifier: MIT */
/*
 * http_site - a role that speaks HTTPS, with routes of every kind
 *
 * Owner: the test program, one at a time. Context: the site's loop; requests in threads.
 */
#ifndef NTM_TESTS_SERVERS_HTTP_SITE_H
#define NTM_TESTS_SERVERS_HTTP_SITE_H

#include "https.h"
#include "peer.h"
#include "servers/http_impl.h"

#define TOKEN	 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define BIG	 (24u << 20)
#define FILE_LEN 300000

extern struct site site;
extern struct http *http;
/** where it listens */
extern struct addr at;
/** the request of /v1/later that has no answer yet; NULL: none */
extern struct http_request *waiting;
/** bytes of the last body */
extern uint64_t streamed;
/** bodies whose request has ended */
extern _Atomic unsigned int ended;
/** what the next http_begin() allows; 0: what it is */
extern unsigned int connections;
/** the certificate of the CS was taken back */
extern bool is_removed;

/* cmocka's, of a group */
int setup(void **state);
int teardown(void **state);
/** the role, after http_free(). 0: as a role has it */
void http_begin(unsigned int per_source, unsigned int header_s);
/** for site_wait() */
bool is_waiting(void *arg);
/** wait until @n bodies have ended */
void streams_end(unsigned int n);

#endif
