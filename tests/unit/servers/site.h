/* SPDX-License-Identifier: MIT */
/*
 * site - a domain's AS and DC, and nodes of it, in one test process
 *
 * Owner:   the test. Context: one loop, turned by site_wait(); all on loopback
 *          with free ports, in a fresh folder that site_free() removes.
 */
#ifndef NTM_TESTS_SERVERS_SITE_H
#define NTM_TESTS_SERVERS_SITE_H

#include <stdbool.h>

#include "common/channel.h"
#include "common/datagram.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/as/as.h"
#include "servers/dc/dc.h"

#define SITE_DOMAIN   "example.org"
#define SITE_PASSWORD "correct horse"

struct site {
	char dir[64];
	struct loop *loop;
	struct loop_timer *tick;
	struct server_conf conf;
	struct role_env as_env, dc_env;
	struct as *as;
	struct dc *dc;
	struct addr as_addr, dc_addr;
	const char
		*alpn; /* that peers ask the AS's address for; NULL: nothing */
	uint8_t ca_fp[NTMC_FP_LEN];
	int pair; /* of the DC with its resolver, when it is started again; 0: none */
	bool guest; /* in another one's loop */
};

/** init in a fresh folder, then both roles; asserts */
void site_new(struct site *s);
/** listening on @listen, reached by nodes at @server_ip */
void site_new_on(struct site *s, const char *listen, const char *server_ip);
/** of another domain, in the loop of @other, which is freed after it */
void site_new_beside(struct site *s, struct site *other, const char *domain);
void site_free(struct site *s);
/** a loop of its own, for a forked child */
void site_new_loop(struct site *s);
/** the roles alone, e.g. to start them again */
void site_start_as(struct site *s);
void site_stop_as(struct site *s);
void site_start_dc(struct site *s);
void site_stop_dc(struct site *s);
/** Return: a TCP port of 127.0.0.1 that nobody has now */
unsigned int site_free_port(void);
/** turn the loop until @cond or 10 s; Return: @cond came true */
bool site_wait(struct site *s, bool (*cond)(void *), void *arg);
/** turn the loop until the AS's link to the DC stands */
void site_wait_link(struct site *s);
/** an admin command of the AS that must succeed */
void site_admin(struct site *s, const char *command, const char *name);
/** the administrator removes the server of that role: "cs" */
void site_remove_server(const struct site *s, const char *role);
void site_add_account(struct site *s, const char *name);
/** a number of the DC's status */
long long site_dc_number(struct site *s, const char *key);

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
/** registration with the challenge; asserts success */
void peer_register(struct peer *p);
const Ntm__Signal *peer_direction(struct peer *p, const char *fqdn);
const Ntm__Signal *peer_keep_alive(struct peer *p);
/** another local port: what a NAT that moves does */
void peer_move(struct peer *p);

#endif
