/* SPDX-License-Identifier: MIT */
/*
 * https - a client of HTTPS servers under test: libcurl in a thread, the loop turns
 *
 * Owner:   the test; one server at a time. The domain's CA is all it trusts.
 */
#ifndef NTM_TESTS_SERVERS_HTTPS_H
#define NTM_TESTS_SERVERS_HTTPS_H

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>

#include "site.h"

#define HTTPS_GOT_MAX (1u << 20)

struct https_ask {
	const char *method, *path, *name; /* name: NULL: box.DOMAIN */
	const char *headers[8];
	const char *body;
	const uint8_t *data; /* @body_len of them */
	size_t body_len;     /* with @body and @data NULL: zeros */
	bool with_cert, no_version, expect;
	/* and what came of it */
	long status;
	time_t date; /* of the header field; 0: none */
	CURLcode code;
	char *got;
	size_t got_len;
	_Atomic bool over;
	size_t sent;
};

/** @role: the server's; its name before the domain. @at: where; borrowed */
void https_open(struct site *s, const char *role, const struct addr *at);
/** asks and waits; Return: the answer's status, or negative a CURLcode */
long ask(struct https_ask *a);
pthread_t begin_ask(struct https_ask *a);
void end_ask(struct https_ask *a, pthread_t thread);
/** new reference; frees what was got */
json_t *answer_of(struct https_ask *a);
/** asks; the answer is that error */
void expect_error(struct https_ask *a, long status, const char *name);

#endif
