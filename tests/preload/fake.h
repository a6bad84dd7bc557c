/* SPDX-License-Identifier: MIT */
/*
 * fake - what the fake broker, the fake resolver and the tests agree on
 *
 * In the namespace the loopback device carries the addresses of one node and of
 * two peers, so that both ends of every virtual connection can live in one test.
 */
#ifndef NTM_TESTS_PRELOAD_FAKE_H
#define NTM_TESTS_PRELOAD_FAKE_H

#include <stdint.h>

#define NODE4  "198.18.0.2"
#define NODE6  "fd6e::2"
#define PEER4  "198.18.0.3"
#define PEER6  "fd6e::3"
#define VOID4  "198.18.0.77" /* virtual, nobody's */
#define GROUP4 "239.193.1.1"
#define GROUP6 "ff38:40:fd6e::8000:1"

/* hosts that are no nodes, 203.0.113.x: through the exit, directly, or not at all */
#define EXIT_FAR  1
#define EXIT_NEAR 2
#define EXIT_NONE 3

#define FAKE_DOORBELL "127.77.1.1"

/* environment: "1" when there is a namespace; the mode of the broker */
#define FAKE_NS	  "FAKE_NS"
#define FAKE_MODE "FAKE_MODE"

/** struct fake_stats - shared file $XDG_RUNTIME_DIR/stats
 *  @asked: requests by number; @pooled: sockets put into pools;
 *  @rung: doorbells; @last: the last LISTEN's inode, port and defer */
struct fake_stats {
	uint32_t asked[16];
	uint32_t pooled, rung;
	uint64_t inode;
	uint32_t port, defer, backlog, v6only;
};

#endif
