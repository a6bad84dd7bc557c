/* SPDX-License-Identifier: MIT */
/*
 * handshake - Tunnel Request and Tunnel Response: one exchange, bytes in, bytes out
 *
 * Owner:    shake.c keeps initiators until their answer; a responder lives for one
 *           call. Context: loop thread. Sends nothing, arms nothing, decides no
 *           policy: it checks what the certificate and the keys prove.
 * States:   an initiator is WAITING until handshake_finish() succeeds.
 */
#ifndef NTM_BROKER_HANDSHAKE_H
#define NTM_BROKER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/packet.h"
#include "libntmcrypto/ntmcrypto.h"

#define HANDSHAKE_PHASES_MAX 8

struct handshake;

/** struct handshake_self - who we are; borrowed for the call */
struct handshake_self {
	const struct ntmc_env *env;
	const struct ntmc_identity *id;
	const uint8_t *fp;
	const uint8_t *cert;
	size_t cert_len;
	const struct ntmc_trust *trust;
};

/**
 * struct handshake_spec - with whom, under which secret; copied
 * @path_id:  either bit; the header's bit is made here
 * @peer_bit: bit 0 of the Path ID where the peer receives (0 or 1)
 * @resume:   @request and @psk_secret are the resumption secret; else Ktun, Ktmp
 * @fqdn, @fp, @x_pub: of the peer, as the direction or the pin says
 */
struct handshake_spec {
	uint64_t path_id;
	unsigned int peer_bit;
	bool resume;
	enum ntmc_aead_alg aead;
	struct ntmc_key request, psk_secret;
	char fqdn[NTMC_FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN], x_pub[NTMC_KEY_LEN];
};

/** struct handshake_keys - what both sides hold afterwards; wiped by the caller */
struct handshake_keys {
	uint8_t phase;
	enum ntmc_aead_alg aead;
	struct ntmc_key send, recv, resume;
};

/**
 * handshake_new() - as initiator: make the Tunnel Request
 * @phases: key phases in use here, @n_phases at most 3
 * @buf:    PACKET_SIGNAL_MAX bytes; @len: bytes to send, the same at repetitions
 * Return: 0, -NTM_ETOOBIG (certificate), -NTM_EAUTH (the peer's key is none) ...
 */
NTM_MUST_CHECK int handshake_new(const struct handshake_self *self,
				 const struct handshake_spec *spec,
				 uint64_t sent_ms, const uint8_t *phases,
				 size_t n_phases, struct handshake **out,
				 uint8_t *buf, size_t *len);
void handshake_free(struct handshake *h);
/**
 * handshake_finish() - the Tunnel Response
 * @buf, @len: the datagram; destroyed
 * @code:      set on -NTM_ECLOSED: the peer refused, with this enum ntm_err
 * @observed:  where the peer saw us; may be left unset
 * Return: 0; -NTM_EAUTH, -NTM_EDECODE: not an answer to this, go on waiting;
 *         -NTM_ECLOSED; -NTM_ECERT, -NTM_EEXPIRED, -NTM_ECLOCK, -NTM_ECONSTRAINT,
 *         -NTM_EPIN: the peer is not who it should be; the handshake is over
 */
NTM_MUST_CHECK int
handshake_finish(struct handshake *h, const struct handshake_self *self,
		 const struct packet_header *hdr, uint8_t *buf, size_t len,
		 struct handshake_keys *keys, struct ntmc_cert *cert,
		 struct addr *observed, int *code);

/**
 * struct handshake_request - what a valid Tunnel Request said
 * @cert: checked: chain, keys, name
 */
struct handshake_request {
	struct ntmc_cert cert;
	uint64_t sent_ms;
	uint8_t phases[HANDSHAKE_PHASES_MAX];
	size_t n_phases;
};

/**
 * handshake_open() - as responder: the outer seal of a Tunnel Request, no more:
 * one AEAD check for whoever lacks the secret
 * @buf, @len: the datagram; destroyed
 * Return: 0 (@out to be freed), -NTM_EAUTH, -NTM_EDECODE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int handshake_open(const struct handshake_spec *spec,
				  const struct packet_header *hdr, uint8_t *buf,
				  size_t len, struct handshake **out);
/**
 * handshake_read() - then the Noise message and every check of it
 * Afterwards handshake_answer() or handshake_refuse().
 * Return: 0, or as handshake_finish() but -NTM_ECLOSED
 */
NTM_MUST_CHECK int handshake_read(struct handshake *h,
				  const struct handshake_self *self,
				  struct handshake_request *request);
/** @phase: of the new keys. @buf, @len as in handshake_new() */
NTM_MUST_CHECK int handshake_answer(struct handshake *h,
				    const struct handshake_self *self,
				    uint8_t phase, const struct addr *observed,
				    struct handshake_keys *keys, uint8_t *buf,
				    size_t *len);
/** a sealed refusal (a Tunnel Response with @code) instead of an answer */
NTM_MUST_CHECK int handshake_refuse(struct handshake *h,
				    const struct handshake_self *self, int code,
				    uint8_t *buf, size_t *len);

/** a key phase that neither list holds, after the newest of @ours,
 *  which is its first (dp_tunnel_phases()) */
uint8_t handshake_phase(const uint8_t *ours, size_t n_ours,
			const uint8_t *theirs, size_t n_theirs);

#endif
