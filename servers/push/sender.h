/* SPDX-License-Identifier: MIT */
/*
 * sender - one push as an HTTPS request, and what its answer means
 *
 * Owner:   the thread of push.c.
 */
#ifndef NTM_SERVERS_PUSH_SENDER_H
#define NTM_SERVERS_PUSH_SENDER_H

#include <curl/curl.h>

#include "servers/push/push.h"

#define SENDER_BODY_MAX 4096

/** enum sender_verdict - @SENDER_LATER: again, after the service's word or ours;
 *  @SENDER_GONE: the token is of nobody any more; @SENDER_FAILED: not this one */
enum sender_verdict { SENDER_SENT, SENDER_LATER, SENDER_GONE, SENDER_FAILED };

struct sender;

/** struct sending - a request under way */
struct sending {
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char got[SENDER_BODY_MAX];
	size_t got_len;
};

/** reads the credentials. Return: 0, -NTM_ECONF (said in the log) ... */
NTM_MUST_CHECK int sender_new(const struct server_conf *c, struct sender **out);
void sender_free(struct sender *s);
/** may ask a service for credentials first, and wait for that.
 *  Return: 0, -NTM_ENOTFOUND (no such service), -NTM_ENOMEM, -NTM_ECLOSED */
NTM_MUST_CHECK int sender_start(struct sender *s, Ntm__PushKind kind,
				const char *token, struct sending *out);
/** @retry_s: for LATER, 0: as we like */
enum sender_verdict sender_end(struct sender *s, Ntm__PushKind kind,
			       struct sending *x, CURLcode code,
			       unsigned int *retry_s);
void sending_clear(struct sending *x);

#endif
