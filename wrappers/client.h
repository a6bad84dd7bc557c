/* SPDX-License-Identifier: MIT */
/*
 * client - one request to the broker's control socket (docs/control.md)
 *
 * Owner:    the command. Context: a short-lived program; blocks.
 */
#ifndef NTM_WRAPPERS_CLIENT_H
#define NTM_WRAPPERS_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

/** called for every line that says "progress"; @line is borrowed */
typedef void client_progress_fn(const void *arg, const json_t *line);

/**
 * client_call() - send @request, wait for the last line
 * @request: an object with "cmd"; borrowed
 * @fn:      may be NULL
 * @answer:  written on success and where the broker refused; json_decref() it
 *
 * Return: 0 ("ok": true), -NTM_ENOBROKER, -NTM_ECLOSED, -NTM_EDECODE, -NTM_EPERM,
 *         -NTM_ETIMEOUT (30 s without @fn), or the broker's own error (then *@answer holds "text")
 */
NTM_MUST_CHECK int client_call(const json_t *request, client_progress_fn *fn,
			       const void *arg, json_t **answer);

#define CLIENT_CONTROL "control.sock"
#define CLIENT_POST    "post.sock" /* ntm-post; the worker starts it */
#define CLIENT_LIMIT_S 30
/**
 * client_call_to() - the same at another socket of the runtime folder
 * @limit_s: for the answer; 0: none
 * Where nobody listens on post.sock: also -NTM_ENOLOGIN, -NTM_ENOTFOUND (no ntm-post is
 * installed), -NTM_EAGAIN, the last two with a text.
 */
NTM_MUST_CHECK int client_call_to(const char *socket, const json_t *request,
				  unsigned int limit_s, json_t **answer);

/**
 * client_line_to() - the same for an answer that is too long for a tree of objects
 * @line: as it came, malloc()ed; it begins with "ok", true
 * @why:  of an error, as *@answer; else NULL
 * Return: as client_call_to()
 */
NTM_MUST_CHECK int client_line_to(const char *socket, const json_t *request,
				  unsigned int limit_s, char **line,
				  json_t **why);

/**
 * client_connect() - a connection to a socket of the runtime folder
 * Return: a descriptor, or -NTM_ENOBROKER, -NTM_EPERM, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int client_connect(const char *socket);
/** one request, a line. Return: 0, -NTM_ECLOSED, -NTM_ENOMEM */
NTM_MUST_CHECK int client_send(int fd, const json_t *request);

/** one sentence for a person: the broker's own, or what @err of client_call() means */
const char *client_text(int err, const json_t *answer);

/** true when a broker of this user accepts connections */
bool client_broker_runs(void);

/**
 * client_broker_start() - run `ntm-broker --background` from our own folder
 *
 * The broker says itself what is wrong, on standard error.
 * Return: 0 (also when one runs already), -NTM_ENOBROKER
 */
NTM_MUST_CHECK int client_broker_start(void);

/**
 * client_sibling() - path of a file that is installed with us
 * @relative: seen from the folder of this program, e.g. "../lib/libntm.so"
 * @buf:      @size bytes; PATH_MAX is enough
 * Return: 0, -NTM_ENOTFOUND
 */
NTM_MUST_CHECK int client_sibling(const char *relative, char *buf, size_t size);

#endif
