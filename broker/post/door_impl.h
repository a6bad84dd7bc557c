/* SPDX-License-Identifier: MIT */
/*
 * door_impl - what door.c (connections), door_begin.c and door_request.c (one request) and
 * door_batch.c (several in one) share
 *
 * Owner:    struct door_conn belongs to door.c, struct door_request to its connection.
 * Context:  loop thread.
 */
#ifndef NTM_BROKER_POST_DOOR_IMPL_H
#define NTM_BROKER_POST_DOOR_IMPL_H

#include <jansson.h>
#include <microhttpd.h>

#include "broker/post/door.h"
#include "broker/post/fetching.h"

/**
 * enum door_phase - what a connection does, which decides how long it may
 * @DOOR_ASKING: the worker is asked who it is; not read.  Leaves by: its answer
 * @DOOR_HEADER: the first request is awaited.             Leaves by: its header
 * @DOOR_MOVING: a request.                                Leaves by: its answer has left
 * @DOOR_IDLE:   another request may come
 */
enum door_phase { DOOR_ASKING, DOOR_HEADER, DOOR_MOVING, DOOR_IDLE };

/**
 * struct door_conn - @mark_*: what it had moved, and when, as was last looked at
 */
struct door_conn {
	struct door *door;
	int fd;
	struct addr from;
	char name[FQDN_MAX + 1]; /* "": not known yet */
	enum door_phase phase;
	uint64_t since_ns, moved, mark_ns, mark_moved;
	struct door_conn *next;
};

enum door_asks {
	ASKS_KEYS,
	ASKS_DATA,
	ASKS_COMPLETE,
	ASKS_DELETE,
	ASKS_BATCH,
	N_ASKS
};

/**
 * struct door_request - @job: of ASKS_DATA; NULL once it is over
 * @part: of the batch @around: method, path, headers, body; NULL: it came alone, by @mhd
 * @body: @length bytes of a request that is no blob
 * @status: 0: not answered yet
 */
struct door_request {
	struct post *post;
	struct door_conn *conn;
	struct MHD_Connection *mhd;
	struct door_request *around;
	const json_t *part;
	enum door_asks what;
	struct post_ids ids;
	struct fetching *job;
	uint64_t length, came;
	char *body;
	unsigned int status;
	json_t *answer;
};

/** the header is here: it may be answered already. NULL: no memory */
struct door_request *door_request_new(struct post *p, struct door_conn *c,
				      struct MHD_Connection *mhd,
				      const char *method, const char *url);
/** a part of the body. Return: false: nothing more is read of it */
bool door_request_body(struct door_request *q, const uint8_t *data, size_t len);
/** all is here */
void door_request_done(struct door_request *q);
/** is it answered, and is the answer not to wait for the body? */
bool door_request_early(const struct door_request *q);
enum MHD_Result door_request_answer(struct door_request *q);
/** it is over, however */
void door_request_free(struct door_request *q);

/** a header field; "" where there is none */
const char *door_request_field(const struct door_request *q, const char *name);
/** the header is here. @q: its post, conn, and mhd or part are set */
void door_request_begin(struct door_request *q, const char *method,
			const char *url);
/** the first answer counts. @j: taken; @text NULL: the error's own */
void door_request_say(struct door_request *q, unsigned int status, json_t *j);
void door_request_refuse(struct door_request *q, unsigned int status, int err,
			 const char *text);
/** all requests of its body (door_batch.c) */
void door_batch(struct door_request *q, const json_t *j);
/** a header field of a part; NULL: none */
const char *door_batch_field(const struct door_request *q, const char *name);

#endif
