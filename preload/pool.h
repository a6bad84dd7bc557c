/* SPDX-License-Identifier: MIT */
/*
 * pool - ready-made namespace sockets of one kind
 *
 * Owner:    the process; at most one descriptor, high and close-on-exec. The
 *           program may close or replace it at any time, so it is trusted only
 *           after its inode was compared. A forked child shares the queue.
 * Context:  any thread; no lock: a thread that finds another at work does
 *           without the pool.
 */
#ifndef NTM_PRELOAD_POOL_H
#define NTM_PRELOAD_POOL_H

/** struct sock_kind - the arguments of socket(2), type without flags */
struct sock_kind {
	int domain, type, protocol;
};

/**
 * pool_take() - one socket of @kind
 *
 * Return: a close-on-exec descriptor, or -1 when there is none at hand
 */
int pool_take(const struct sock_kind *kind);

/** pool_miss() - tell that @kind had to be asked for; the second time in a row a
 *  pool of that kind is opened in place of the present one */
void pool_miss(const struct sock_kind *kind);

#endif
