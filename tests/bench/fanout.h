/* SPDX-License-Identifier: MIT */
/*
 * fanout - how fast one packet reaches 50 members, beside plain sendmmsg()
 *
 * All datagrams go to one socket on loopback, where a thread counts what arrives.
 * Owner: the bench's process: one of it. Everything that fails ends the program.
 */
#ifndef NTM_TESTS_BENCH_FANOUT_H
#define NTM_TESTS_BENCH_FANOUT_H

#include <stddef.h>

#include "common/addr.h"

#define FANOUT_MEMBERS 50

void fanout_die(const char *what) __attribute__((noreturn));
/** a UDP socket on loopback with large buffers. @at: where */
int fanout_socket(struct addr *at);
/** the counting thread runs from now on. @at: where to send to; stays valid */
const struct addr *fanout_sink(void);
/** what @send_some has sent, called for so long: datagrams that arrived a second */
double fanout_rate(void (*send_some)(void), double seconds);
/** 50 datagrams of these bytes to the sink, in one call */
void fanout_plain(int fd, const void *data, size_t len);

#endif
