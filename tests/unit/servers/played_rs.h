/* SPDX-License-Identifier: MIT */
/*
 * played_rs - a Relay Server as far as the DC sees one: a channel and a UDP socket
 *
 * Owner: the test. Context: the site's loop.
 */
#ifndef NTM_TESTS_SERVERS_PLAYED_RS_H
#define NTM_TESTS_SERVERS_PLAYED_RS_H

#include "site.h"

struct played_key {
	uint64_t id, counter;
	struct datagram_keys keys;
};

struct played_rs {
	struct site *site;
	struct ntmc_identity id;
	uint8_t cert[NTMC_CERT_MAX];
	size_t cert_len;
	struct tls_context *tls;
	struct channel *channel;
	bool closed;
	int fd;
	struct loop_io *io;
	uint16_t port;
	struct played_key now, before;
	unsigned int n_keys;
	/* how it behaves */
	bool keep_key; /* acknowledge no key */
	bool silent;   /* answer no Relay Direction */
	bool deaf;     /* acknowledge no withdrawal */
	uint32_t code; /* of its answer */
	bool draining; /* as it registers */
	uint32_t load;
	const char *address; /* it registers; NULL: where it is */
	/* what it got; the last ones */
	unsigned int n_acks, n_directions, n_withdrawn;
	uint32_t ack_code, direction_txn;
	uint64_t ack_boot, path_id;
	uint8_t kpunch[NTMC_KEY_LEN];
	char accounts[2][64]; /* of MN, CN */
	uint8_t proven[2][16];
	size_t proven_len[2];
	char withdrawn[64][64];
	/* the last Group Direction */
	unsigned int n_groups;
	uint64_t group_tag;
	uint8_t relay_key[NTMC_KEY_LEN], bind_key[NTMC_KEY_LEN];
	uint32_t group_aead, places, group_lifetime_s;
	char group_account[64];
	uint32_t withdraw_txn;
	unsigned int n_certs;
	uint32_t cert_txn, cert_code;
	uint8_t fresh[NTMC_CERT_MAX]; /* certificate it was given */
	size_t fresh_len;
};

/** a certificate with @roles, nothing sent yet */
void played_new(struct played_rs *p, struct site *s, uint32_t roles);
void played_free(struct played_rs *p);
/** a (new) channel; does not wait */
void played_connect(struct played_rs *p);
/** channel, key, and one registration; asserts that they worked */
void played_start(struct played_rs *p);
/** waits for the acknowledgement; false after 2 s without */
bool played_register(struct played_rs *p);
/** sealed under @k; @txn 0: one of its own */
void played_send(struct played_rs *p, struct played_key *k, Ntm__Signal *msg);
/** for site_wait(): its channel has ended */
bool played_is_closed(void *arg);
/** turn the loop until *@n is @want */
bool played_wait(struct played_rs *p, const unsigned int *n, unsigned int want);

#endif
