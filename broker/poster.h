/* SPDX-License-Identifier: MIT */
/*
 * poster - the keeper's children beside the worker: ntm-post (items), ntm-member (groups)
 *
 * Owner:    the keeper. Context: its one thread. One of each at a time; they outlive
 * workers, and end by themselves when nothing is left to do. The worker says when they
 * are started (postlink.h, memberlink.h), and puts their listening sockets into the
 * keeper's store before.
 */
#ifndef NTM_BROKER_POSTER_H
#define NTM_BROKER_POSTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/keeper.h"
#include "broker/keeper_link.h"
#include "broker/keeper_store.h"

#define POSTER_MAX 3 /* sockets of one */

/** struct poster_is - a kind. @program: beside ntm-worker; @folder: of its keys in the
 *  store; @names: of its sockets, the first of which stands as NAME.sock in the runtime
 *  folder, in the order in which it gets them; @virtual_too: libntm.so is loaded with it */
struct poster_is {
	const char *program, *folder, *names[POSTER_MAX];
	bool virtual_too;
};
extern const struct poster_is poster_kinds[POSTER_KINDS];

/** the store's key of socket @i: FOLDER/l/NAME; and of the link: FOLDER/link */
void poster_key(enum poster_kind kind, int i, char out[KEEPER_KEY_MAX]);
void poster_key_link(enum poster_kind kind, char out[KEEPER_KEY_MAX]);

/** struct poster - @pid: 0: none runs */
struct poster {
	enum poster_kind kind;
	pid_t pid;
};

/**
 * poster_start() - start it, beside ntm-worker, with what the store has
 * @fd: the socket to speak with it, for the worker; the caller closes it
 *
 * Return: 0, -NTM_EEXISTS (one runs), -NTM_ENOTFOUND (it is not installed),
 *         -NTM_ESYSTEM
 */
NTM_MUST_CHECK int poster_start(struct poster *p,
				const struct keeper_options *opt,
				const struct keeper_store *store, int *fd);
/** it is to end in order (SIGTERM) */
void poster_end(const struct poster *p);
/** a child died: was it this one? */
void poster_check(struct poster *p);

#endif
