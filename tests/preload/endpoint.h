/* SPDX-License-Identifier: MIT */
/*
 * endpoint - sockets and questions that the tests of the shim share
 *
 * All functions end the test on failure (cmocka), so that a test reads as what it
 * tests.
 */
#ifndef NTM_TESTS_PRELOAD_ENDPOINT_H
#define NTM_TESTS_PRELOAD_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/preload/fake.h"

/** struct place - an address, made from text */
struct place {
	struct sockaddr_storage ss;
	socklen_t len;
};

struct place place(const char *text, uint16_t port);
#define PLACE_ARGS(p) (struct sockaddr *)&(p).ss, (p).len

/** need_ns() - skip the test where no namespace can be made */
void need_ns(void);

/** swapped() - is @fd in another network than the test? */
bool swapped(int fd);

uint16_t local_port(int fd);
/** the peer or local address as text, in a static buffer */
const char *peer_text(int fd);
const char *local_text(int fd);
const char *text_of(const void *sa, socklen_t len);

/** listener on @text:0; UDP socket bound to @text:0 */
int tcp_listener(const char *text);
int udp_bound(const char *text);

/** exchange() - a byte there and back between two connected sockets */
void exchange(int a, int b);

/** wait_readable() - at most 5 s; fails the test otherwise */
void wait_readable(int fd);

struct fake_stats *stats(void);

#endif
