/* SPDX-License-Identifier: MIT */
/*
 * relay - an RS, a DC played by the test, and ends of paths, in one test process
 *
 * Owner:   the test. Context: one loop, turned by relay_wait(); the RS's threads
 *          forward by themselves. All on loopback with free ports.
 */
#ifndef NTM_TESTS_SERVERS_RELAY_H
#define NTM_TESTS_SERVERS_RELAY_H

#include <stdbool.h>

#include "common/addr.h"
#include "common/channel.h"
#include "common/datagram.h"
#include "servers/rs/rs.h"
#include "servers/servercert.h"

struct relay {
	char dir[64];
	struct loop *loop;
	uint64_t offset_ns; /* the clock is ahead by so much */
	struct server_conf conf;
	char dc_text[32];
	struct role_env env;
	struct rs *rs;
	struct addr at4, at6; /* of the RS */
	/* the DC */
	struct servercert cert;
	struct channel_listener *listener;
	struct channel *link;
	int fd;
	struct loop_io *io;
	uint64_t id, counter;
	struct ntmc_key key; /* Kdcrs */
	struct datagram_keys keys;
	struct addr rs_from; /* where Signals came from last */
	uint32_t txn, key_code;
	bool key_acked, share; /* @share: send Key Sharing to who connects */
	bool deaf;	       /* acknowledge no registration */
	unsigned int n_links, n_registrations;
	Ntm__Signal *registration, *got; /* the newest; @got: NtmAck */
};

/** @conf may be bent before relay_start() */
void relay_new(struct relay *r);
/** start the RS; wait until it has registered */
void relay_start(struct relay *r);
void relay_stop(struct relay *r);
void relay_free(struct relay *r);
/** turn the loop until @cond or 10 s (real); Return: @cond came true */
bool relay_wait(struct relay *r, bool (*cond)(void *), void *arg);
/** the clock jumps; the RS has noticed when this returns */
void relay_later(struct relay *r, unsigned int seconds);
long long relay_number(struct relay *r, const char *key);
/** wait until a number of the status is at least @n */
bool relay_counts(struct relay *r, const char *key, long long n);
/** seal and send to the RS; Return: the code of its NtmAck, 9999: none in time */
uint32_t relay_tell(struct relay *r, Ntm__Signal *msg);
/** a new key, over the link that stands */
void relay_share_key(struct relay *r);
/** Relay Direction; proven: text of an address or NULL. Return: as relay_tell() */
uint32_t relay_direct(struct relay *r, uint64_t path_id,
		      const struct ntmc_key *kpunch, const char *proven_mn,
		      const char *proven_cn);

/** struct end - a node's socket towards the RS */
struct end {
	struct relay *relay;
	int fd;
	struct addr rs;
	uint64_t id; /* path with the end's bit */
	struct datagram_keys keys;
	uint64_t sent_ms;
	/* of the last punch */
	uint8_t punch[PACKET_SIGNAL_MAX];
	size_t punch_len;
	size_t ack_len;
	uint8_t cookie[16];
	bool has_cookie, bound, echo, peer_bound;
	uint32_t code, peer_code;
	struct addr observed, self;
};

/** @family: AF_INET or AF_INET6; @id: with the bit of the end */
void end_new(struct end *e, struct relay *r, int family, uint64_t id,
	     const struct ntmc_key *kpunch);
void end_free(struct end *e);
/** another local port */
void end_move(struct end *e);
/** send a Hole Punch; @cookie: echo the one of the last answer */
void end_send_punch(struct end *e, bool cookie, bool leave, size_t padding);
/** the same, and take the answer; Return: false: none within 2 s */
bool end_punch(struct end *e, bool cookie);
bool end_take_ack(struct end *e);
/** proven or by cookie, and sure; asserts */
void end_bind(struct end *e);
/** a data packet of @len bytes to the other end, filled with @fill */
void end_send(struct end *e, size_t len, uint8_t fill);
size_t end_packet(uint64_t id, size_t len, uint8_t fill, uint8_t *buf);
/** Return: bytes of the next datagram, 0: none within @ms */
size_t end_receive(struct end *e, uint8_t buf[static 2048], int ms);
/** a data packet of @len and @fill arrives */
bool end_gets(struct end *e, size_t len, uint8_t fill);
/** nothing has come and, as @counter has risen to @n, nothing will; asserts */
void end_gets_nothing(struct end *e, const char *counter, long long n);
/** a fresh path whose ends are proven at loopback; @bind: and bound */
void relay_pair(struct relay *r, uint64_t path_id, struct ntmc_key *kpunch,
		struct end *mn, struct end *cn, bool bind);

#endif
