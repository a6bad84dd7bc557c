/* SPDX-License-Identifier: MIT */
/*
 * face - post.sock: what `ntm send` and programs ask of ntm-post (docs/control.md)
 *
 * Owner:    struct post. Context: loop thread. Clients of another user are refused by
 *           SO_PEERCRED. JSON lines, as on control.sock.
 */
#ifndef NTM_BROKER_POST_FACE_H
#define NTM_BROKER_POST_FACE_H

#include "broker/post/post.h"

#define FACE_LINE_MAX	 (1u << 20)
#define FACE_QUEUE_MAX	 (4u << 20)
#define FACE_CLIENTS_MAX 32

struct face;

/** @listen_fd: taken */
NTM_MUST_CHECK int face_open(struct post *p, int listen_fd, struct face **out);
void face_close(struct face *f);
bool face_busy(const struct face *f);
/** a number that each change makes larger */
json_int_t face_changes(const struct face *f);
/** something of inbox or outbox changed: who waits for that is told. NULL is fine */
void face_changed(struct face *f);
/** what was answered meanwhile may leave; with @err it did not happen, and is refused */
void face_release(struct face *f, int err);

/**
 * face_command() - one request (face_cmd.c)
 * @waits: it has no answer yet: the client waits for a change
 * Return: the answer's text, malloc()ed; NULL: @waits, or no memory
 */
char *face_command(struct post *p, const json_t *request, bool *waits);

#endif
