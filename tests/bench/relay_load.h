/* SPDX-License-Identifier: MIT */
/*
 * relay_load - parts of that program: a DC, clients, and what they share
 *
 * Owner: main(). Context: one thread. Whatever fails ends the program.
 */
#ifndef NTM_TESTS_BENCH_RELAY_LOAD_H
#define NTM_TESTS_BENCH_RELAY_LOAD_H

#include <signal.h>

#include "common/addr.h"
#include "common/datagram.h"

#define NS	  1000000000ull
#define ANSWER_MS 200
#define CHANNEL	  0x4000 /* of TURN */

/* --- relay_load.c --- */

/** SIGTERM came */
extern volatile sig_atomic_t ended;

/** says what failed, with errno */
void die(const char *what);
uint64_t now_ns(void);
/** tells the script that it may go on */
void ready(void);
/** ADDRESS:PORT */
struct addr address(const char *text);
/** @bound, @to: NULL: neither */
int udp_socket(const struct addr *bound, const struct addr *to);
/** of path @i: its ID, its Ktun */
uint64_t path_of(unsigned int i);
void ktun_of(unsigned int i, struct ntmc_key *k);

/* --- relay_load_dc.c --- */

/** the command `dc`. Return: of main() */
int cmd_dc(char **argv);

/* --- relay_load_client.c --- */

struct client {
	int fd;
	uint64_t id; /* ntm: with the bit of the end */
	struct datagram_keys keys;
	uint8_t cookie[16]; /* of the last answer */
	size_t cookie_len;
};

/** end @end of path @i: bound when this returns */
void client_ntm(struct client *c, const struct addr *relay, unsigned int i,
		unsigned int end);
/** another Hole Punch of it, and its answer */
void punch_send(struct client *c);
bool punched(struct client *c);
/** channel CHANNEL to @sink */
void client_turn(struct client *c, const struct addr *relay,
		 const struct addr *sink);
uint8_t *put16(uint8_t *p, unsigned int v);

#endif
