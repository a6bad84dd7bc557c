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

#define SENDER_BODY_MAX 4096  /* kept of an answer */
#define SENDER_READ_MAX 65536 /* whoever sends more is not listened to */

/** enum sender_verdict - @SENDER_LATER: again, after the service's word or ours;
 *  @SENDER_GONE: the token is of nobody any more; @SENDER_FAILED: not this one */
enum sender_verdict { SENDER_SENT, SENDER_LATER, SENDER_GONE, SENDER_FAILED };

struct sender;

/** struct sending - a request under way; @closed: its host is not for accounts */
struct sending {
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char got[SENDER_BODY_MAX];
	size_t got_len, read;
	struct sender *sender;
	bool closed;
};

/** reads the credentials. Return: 0, -NTM_ECONF (said in the log) ... */
NTM_MUST_CHECK int sender_new(const struct server_conf *c, struct sender **out);
void sender_free(struct sender *s);
/** false: its service has yet to give us an access token */
bool sender_is_ready(const struct sender *s, Ntm__PushKind kind);
/** asks for that. Return: 0: @out is to be run, then sender_asked(); -NTM_EAGAIN: a
 *  moment ago in vain; -NTM_ENOMEM ... */
NTM_MUST_CHECK int sender_ask(struct sender *s, struct sending *out);
void sender_asked(struct sender *s, struct sending *x, CURLcode code);
/** Return: 0, -NTM_ENOTFOUND (no such service), -NTM_EINVAL, -NTM_ENOMEM */
NTM_MUST_CHECK int sender_start(struct sender *s, Ntm__PushKind kind,
				const char *token, struct sending *out);
/** @retry_s: for LATER, 0: as we like */
enum sender_verdict sender_end(struct sender *s, Ntm__PushKind kind,
			       struct sending *x, CURLcode code,
			       unsigned int *retry_s);
void sending_clear(struct sending *x);

#endif
