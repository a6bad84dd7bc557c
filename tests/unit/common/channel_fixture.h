/* SPDX-License-Identifier: MIT */
/*
 * channel_fixture - client and server in one loop over loopback, under a test's clock
 *
 * The clock stands still unless a test moves it: time-outs are reached by moving
 * it, never by waiting.
 */
#ifndef NTM_TESTS_CHANNEL_FIXTURE_H
#define NTM_TESTS_CHANNEL_FIXTURE_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/channel.h"
#include "tests/unit/common/pki.h"

#define HOUR	   3600
#define DAY	   86400
#define PATIENCE_S 20 /* real time until a condition counts as never reached */

/** struct side - what the handlers of one end saw */
struct side {
	unsigned int opened, messages, closed;
	int err;
	uint32_t last_txn;
	size_t last_len;
	struct channel *channel; /* the last one opened */
	bool answer, close_on_message, finish_on_message;
	uint64_t rest; /* ns, after each message; 0: none */
};

struct fixture {
	struct pki *pki;
	struct pki_id as, node;
	struct tls_context *server_ctx, *client_ctx, *anonymous_ctx;
	struct loop *loop;
	uint64_t now;
	struct channel_listener *listener;
	struct sockaddr_in addr;
	struct side server, client;
};

extern const struct channel_ops ops;

void send_txn(struct channel *c, uint32_t txn, int expect);
int channel_group_setup(void **state);
int channel_group_teardown(void **state);
int listen_loopback(struct sockaddr_in *addr);
int channel_setup(void **state);
int channel_teardown(void **state);
double real_s(void);
void some_turns(struct fixture *f);
void pass(struct fixture *f, uint64_t ns);
struct channel *dial(struct fixture *f, struct tls_context *ctx);
int dial_raw(struct fixture *f);
bool hung_up(int fd);

/* an envelope of exactly @packed bytes; static */
Ntm__Envelope *big_envelope(size_t packed);

/* Turn the loop until @cond; fails the test when it never comes. */
#define await(f, cond)                                                         \
	do {                                                                   \
		double limit_ = real_s() + PATIENCE_S;                         \
		while (!(cond)) {                                              \
			assert_int_equal(loop_turn((f)->loop, false), 0);      \
			if (real_s() > limit_)                                 \
				fail_msg("never: %s", #cond);                  \
		}                                                              \
	} while (0)

#endif
