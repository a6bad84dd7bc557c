/* SPDX-License-Identifier: MIT */
/*
 * accept - wildcard TCP listeners: announced, and their doorbells exchanged
 *
 * Context: any thread. An ordinary accept costs no more than a look at the
 * peer's address.
 */
#ifndef NTM_PRELOAD_ACCEPT_H
#define NTM_PRELOAD_ACCEPT_H

#include <stdbool.h>
#include <sys/socket.h>

/** accept_doorbell() - may this peer be the broker ringing? No system call. */
bool accept_doorbell(const struct sockaddr *sa, socklen_t len);

#endif
