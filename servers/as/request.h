/* SPDX-License-Identifier: MIT */
/*
 * request - one thing that a node asks of the AS, as request.c and its parts see it
 *
 *   request.c   life, answers, who does what; one's own devices
 *   login.c     logins
 *   password.c  passwords
 *
 * Owner:   struct as has all; each ends with request_free(), by whoever answers it.
 * Context: loop thread.
 */
#ifndef NTM_SERVERS_AS_REQUEST_H
#define NTM_SERVERS_AS_REQUEST_H

#include "servers/as/state.h"

struct request {
	struct request *prev, *next; /* as->requests */
	struct as *as;
	struct as_conn *conn; /* NULL: it has gone */
	uint32_t txn;
	bool by_cert;
	char account[FQDN_LABEL_MAX + 1];
	struct device device;
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN], x_sig[NTMC_SIG_LEN];
	uint32_t aead;
	uint64_t node_id;
	struct ntmc_key kntmdc;
	uint8_t source[AS_SOURCE_LEN];
	char *new_password; /* of a password change */
};

/* --- request.c --- */

/** it is answered. Secrets are wiped */
void request_free(struct request *r);
/** @conn: NULL: nobody waits. @msg: shorter than a frame by far */
void request_send(struct as_conn *conn, const Ntm__Envelope *msg);
/** NTM ACK; @err: 0 or an error. @retry_s: when it may be asked again */
void request_ack(struct as_conn *conn, uint32_t txn, int err,
		 unsigned int retry_s);
/** what we tell a node about trouble of ours */
int request_public_error(int err);
/**
 * request_device() - the live device that the channel's certificate names
 * @late_s: the certificate may have run out, also while the channel stood, that long ago
 *
 * Return: 0, -NTM_EAUTH, -NTM_EEXPIRED, -NTM_EDISABLED, or the store's error
 */
NTM_MUST_CHECK int request_device(struct as_conn *conn, unsigned int late_s,
				  struct device *out);

/* --- login.c --- */

/** answers @r, now or later */
void login_start(struct request *r, const Ntm__LoginRequest *q);

/* --- password.c --- */

/** s until the account and the source may try again; 0: at once */
unsigned int password_wait_s(struct request *r);
/**
 * password_try() - is it the password of r->account?
 * @fn:   hears it, with @r, after 0 was returned; the failure is counted until
 *        password_was_right()
 * @wait: s, when it is refused
 *
 * Return: 0, -NTM_ERATE, the store's or the hasher's error
 */
NTM_MUST_CHECK int password_try(struct request *r, const char *password,
				hasher_fn *fn, unsigned int *wait);
/** the failure is taken back. Return: 0, -NTM_EDISABLED, -NTM_EPASSWORD (the account
 *  has gone), or the store's error */
NTM_MUST_CHECK int password_was_right(struct request *r);
/** answers @r, now or later */
void password_start(struct request *r, const Ntm__PasswordRequest *q);

#endif
