/* SPDX-License-Identifier: MIT */
/*
 * face - post.sock: what `ntm send` and programs ask of ntm-post (docs/control.md)
 *
 * Owner:    struct post. Context: loop thread. broker/asking.h serves the socket; answers
 *           wait until what they tell of is on the disk (post_flush_due()).
 */
#ifndef NTM_BROKER_POST_FACE_H
#define NTM_BROKER_POST_FACE_H

#include "broker/asking.h"
#include "broker/post/post.h"

#define FACE_LINE_MAX	 (1u << 20)
#define FACE_QUEUE_MAX	 (4u << 20)
#define FACE_CLIENTS_MAX 32

/** @listen_fd: taken on success. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int face_open(struct post *p, int listen_fd,
			     struct asking **out);

/**
 * face_command() - one request (face_cmd.c)
 * @waits: it has no answer yet: the client waits for a change
 * Return: the answer's text, malloc()ed; NULL: @waits, or no memory
 */
char *face_command(struct post *p, const json_t *request, bool *waits);

#endif
