/* SPDX-License-Identifier: MIT */
/*
 * epoll - registrations moved along with a swapped socket
 *
 * dup3() over a registered descriptor drops or orphans the registration. We know
 * the program's epoll descriptors from epoll_create (and one scan), and ask the
 * kernel which of them hold the socket: so also registrations made by io_uring
 * or by raw system calls are found.
 * Context: any thread. The list of descriptors is a guess; a stale one is dropped
 * when the kernel says so.
 */
#ifndef NTM_PRELOAD_EPOLL_H
#define NTM_PRELOAD_EPOLL_H

#include <sys/epoll.h>

#define EPOLL_MOVED_MAX 8 /* epoll sets that one socket is registered in */

struct epoll_moved {
	int count;
	int epfd[EPOLL_MOVED_MAX];
	struct epoll_event event[EPOLL_MOVED_MAX];
};

/** epoll_detach() - take @fd out of every set, remembering; before dup3().
 *  Changes errno. */
void epoll_detach(int fd, struct epoll_moved *moved);

/** epoll_attach() - put @fd back, with the same events and data; after the real
 *  call, so that nobody sees the hang-up of a socket not yet connecting. Keeps
 *  errno. */
void epoll_attach(int fd, const struct epoll_moved *moved);

#endif
