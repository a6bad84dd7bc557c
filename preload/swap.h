/* SPDX-License-Identifier: MIT */
/*
 * swap - a host socket replaced by one of the namespace, under the same number
 *
 * Context: any thread; signals are blocked meanwhile. Takes 10 us with a pool,
 * at most the limit of a SOCKET request.
 */
#ifndef NTM_PRELOAD_SWAP_H
#define NTM_PRELOAD_SWAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "preload/epoll.h"
#include "preload/sockopts.h"

/** sock_kind_read() - the arguments @fd was made with; 0 or -errno. Changes
 *  errno. */
int sock_kind_read(int fd, struct sock_kind *kind);

/**
 * swap_socket() - swap @fd, options, flags, port and epoll registrations included
 * @moved: to be given to epoll_attach() after the real call, whatever is
 *         returned here
 *
 * Nothing is touched where a swap makes no sense: a socket swapped before, one
 * that is connected or listening (TCP), one that is neither TCP nor a datagram
 * socket. The caller goes on with the real call in any case.
 * Return: true if @fd is now a fresh namespace socket. Keeps errno.
 */
bool swap_socket(int fd, struct epoll_moved *moved);

/** swap_over() - put @new under the number @fd if that is still the socket with
 *  @inode; @new is closed. 0 or -errno. Changes errno. */
int swap_over(int fd, int new, ino_t inode);

#endif
