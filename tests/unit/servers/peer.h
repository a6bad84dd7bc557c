/* SPDX-License-Identifier: MIT */
/*
 * peer - a node as far as the servers see one, in their test process
 *
 * Owner:   the test. Context: its site's loop.
 * It logs in by TLS and has one UDP socket; as CN it answers by itself, as told.
 */
#ifndef NTM_TESTS_SERVERS_PEER_H
#define NTM_TESTS_SERVERS_PEER_H

#include "site.h"

/** struct peer - a node as far as the servers see one */
struct peer {
	struct site *site;
	struct ntmc_identity id;
	char device[64];
	/* from the last login */
	uint32_t code, retry_after_s;
	int64_t as_now;
	char fqdn[254];
	uint64_t node_id;
	struct datagram_keys keys;
	uint8_t cert[NTMC_CERT_MAX], ca[NTMC_CERT_MAX];
	size_t cert_len, ca_len, n_dc;
	uint8_t token[32];
	/* the first GMS; @key_id 0: none */
	uint64_t key_id;
	struct ntmc_key kngms;
	uint8_t gms_pub[NTMC_KEY_LEN];
	char gms_name[254];
	struct addr gms_at;
	/* UDP */
	int fd;
	struct loop_io *io;
	uint64_t counter, boot;
	uint32_t txn, asked; /* @asked: of the last peer_call() */
	/** newest datagram from the DC, unpacked; NULL: none since the last send */
	Ntm__Signal *got;
	size_t sent_len, got_len; /* bytes of the last datagrams */
	unsigned int n_got;
	bool ack_withdraw; /* answer Withdraw as a broker does */
	unsigned int n_withdraw;
	uint32_t cn_code;	 /* answer to a Route Direction not asked for */
	Ntm__Signal *route_wait; /* last Route Direction as CN */
	bool silent;		 /* as CN: do not answer */
};

void peer_new(struct peer *p, struct site *s, const char *device);
void peer_free(struct peer *p);
/** Return: the channel's error, or 0 with @code set from the answer */
int peer_login(struct peer *p, const char *account, const char *password);
/** by the certificate of the last login (or what is in @cert) */
int peer_login_cert(struct peer *p);
/** any request on a channel with or without certificate; the answer is packed
 *  into @answer (freed by the caller) */
int peer_ask(struct peer *p, bool with_cert, const Ntm__Envelope *request,
	     Ntm__Envelope **answer);
/** the login request itself, to be bent by a test */
void peer_login_request(struct peer *p, Ntm__LoginRequest *q,
			uint8_t sig[NTMC_SIG_LEN]);
/** seal and send */
void peer_send(struct peer *p, Ntm__Signal *msg);
/** send and wait for an answer with the same txn; NULL after 2 s */
const Ntm__Signal *peer_call(struct peer *p, Ntm__Signal *msg);
/** one request @q with @challenge (16 bytes; NULL: as it is); asserts that it was
 *  answered. Return: that, until the next answer comes */
const Ntm__RegistrationResponse *peer_registration(struct peer *p,
						   Ntm__RegistrationRequest *q,
						   const uint8_t *challenge);
/** registration with the challenge; asserts success */
void peer_register(struct peer *p);
const Ntm__Signal *peer_direction(struct peer *p, const char *fqdn);
const Ntm__Signal *peer_keep_alive(struct peer *p);
/** another local port: what a NAT that moves does */
void peer_move(struct peer *p);

#endif
