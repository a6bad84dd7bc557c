/* SPDX-License-Identifier: MIT */
/*
 * ntmcrypto - the cryptography of NTMobile: keys, AEAD, Noise, certificates
 *
 * Owner:    the caller; every x_new has an x_free that wipes.
 * Context:  any process, any thread; an object belongs to one thread at a time.
 * Errors:   0 or a negative enum ntm_err. On error outputs are untouched, and
 *           buffers that held unverified plaintext are wiped.
 * Secrets:  struct ntmc_key; wiped by ntmc_key_clear() or ntmc_wipe().
 *
 * Time and randomness come from struct ntmc_env, so that published test
 * vectors run through these very functions.
 */
#ifndef NTM_NTMCRYPTO_H
#define NTM_NTMCRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define NTMC_KEY_LEN	     32 /* every symmetric and X25519 key */
#define NTMC_HASH_LEN	     32 /* SHA-256 */
#define NTMC_TAG_LEN	     16 /* AEAD tag */
#define NTMC_SIG_LEN	     64 /* Ed25519 signature */
#define NTMC_CERT_MAX	     1200 /* DER bytes of a node certificate; typical 600 */
#define NTMC_FQDN_MAX	     253
#define NTMC_FP_LEN	     32 /* SHA-256 of the SubjectPublicKeyInfo */
#define NTMC_FP_TEXT_LEN     65 /* lower-case hex and NUL */
#define NTMC_VERIFY_TEXT_LEN 36 /* six groups of five digits, spaces, NUL */

/* --- environment ---------------------------------------------------------- */

/**
 * struct ntmc_env - where randomness and time come from
 * @random: fill @buf with @len bytes; must not fail
 * @now:    seconds since 1970, UTC
 * @ctx:    handed to both
 *
 * A NULL env pointer anywhere below means the system's: gnutls_rnd(KEY), time().
 */
struct ntmc_env {
	void (*random)(void *ctx, void *buf, size_t len);
	int64_t (*now)(void *ctx);
	void *ctx;
};

void ntmc_random(const struct ntmc_env *env, void *buf, size_t len);
int64_t ntmc_now(const struct ntmc_env *env);

/* --- secret memory -------------------------------------------------------- */

/** struct ntmc_key - 32 secret bytes; never printed, wiped by ntmc_key_clear */
struct ntmc_key {
	uint8_t b[NTMC_KEY_LEN];
};

void ntmc_wipe(void *p, size_t len);
void ntmc_key_clear(struct ntmc_key *k);
void ntmc_key_random(const struct ntmc_env *env, struct ntmc_key *k);
/** constant-time comparison of @len bytes */
bool ntmc_equal(const void *a, const void *b, size_t len);

/**
 * ntmc_secret_alloc() - memory for secrets: own pages, locked where the limits
 * allow, left out of core dumps and of children, zeroed
 * @len: bytes. Return: pointer or NULL. Freed (and wiped) by ntmc_secret_free().
 */
void *ntmc_secret_alloc(size_t len);
void ntmc_secret_free(void *p, size_t len);

/* --- hash and HKDF (FIPS 180-4, RFC 2104, RFC 5869; SHA-256 throughout) ---- */

void ntmc_sha256(const void *data, size_t len,
		 uint8_t out[static NTMC_HASH_LEN]);
/** SHA-256 of what comes in pieces; end() begins anew */
struct ntmc_digest;
NTM_MUST_CHECK int ntmc_digest_new(struct ntmc_digest **out);
void ntmc_digest_free(struct ntmc_digest *d); /* NULL is fine */
void ntmc_digest_add(struct ntmc_digest *d, const void *data, size_t len);
void ntmc_digest_end(struct ntmc_digest *d, uint8_t out[static NTMC_HASH_LEN]);
void ntmc_hmac(const void *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[static NTMC_HASH_LEN]);
NTM_MUST_CHECK int ntmc_hkdf_extract(const void *salt, size_t salt_len,
				     const void *ikm, size_t ikm_len,
				     uint8_t prk[static NTMC_HASH_LEN]);
/** @out_len at most 255 * 32, else -NTM_EINVAL */
NTM_MUST_CHECK int ntmc_hkdf_expand(const uint8_t prk[static NTMC_HASH_LEN],
				    const void *info, size_t info_len,
				    void *out, size_t out_len);

/* what push services want: the key is theirs, as PEM text */
enum ntmc_pem_alg { NTMC_RS256, NTMC_ES256 };
#define NTMC_PEM_SIG_MAX 512
/** @sig: RS256 as PKCS #1 has it; ES256 r and s, 64 bytes (RFC 7518).
 *  Return: 0, -NTM_ECERT (no key of that kind), -NTM_ENOMEM */
NTM_MUST_CHECK int ntmc_pem_sign(const char *pem, enum ntmc_pem_alg alg,
				 const void *data, size_t len,
				 uint8_t sig[static NTMC_PEM_SIG_MAX],
				 size_t *sig_len);

/**
 * ntmc_derive() - one labelled subkey:
 * HKDF-Expand(HKDF-Extract(salt, ikm), lp(label) || context, 32)
 * where lp(x) is a big-endian u16 length and x
 * @label: NUL-terminated, e.g. "ntm node->dc v1"; see docs/protocol.md, Keys
 */
NTM_MUST_CHECK int ntmc_derive(const struct ntmc_key *ikm, const void *salt,
			       size_t salt_len, const char *label,
			       const void *context, size_t context_len,
			       struct ntmc_key *out);

/* --- AEAD (NIST SP 800-38D, RFC 8439) --------------------------------------- */

enum ntmc_aead_alg {
	NTMC_AES_256_GCM = 1,
	NTMC_CHACHA20_POLY1305 = 2,
};

/** the faster one on this CPU: GCM where AES instructions exist */
enum ntmc_aead_alg ntmc_aead_preferred(void);

struct ntmc_aead; /* a key schedule; one direction, one thread */

NTM_MUST_CHECK int ntmc_aead_new(enum ntmc_aead_alg alg,
				 const struct ntmc_key *key,
				 struct ntmc_aead **out);
void ntmc_aead_free(struct ntmc_aead *a);

/**
 * ntmc_aead_seal() - encrypt in place
 * @counter: nonce is 4 zero bytes and this, big-endian (both algorithms);
 *           the caller never repeats one under a key
 * @ad:      additional data, @ad_len at most 2^16
 * @buf:     @len plaintext bytes; room for @len + NTMC_TAG_LEN
 *
 * Return: 0, -NTM_EINVAL
 */
NTM_MUST_CHECK int ntmc_aead_seal(struct ntmc_aead *a, uint64_t counter,
				  const void *ad, size_t ad_len, uint8_t *buf,
				  size_t len);
/**
 * ntmc_aead_seal_iov() - the same, gathering plaintext from two places
 * @head, @body: plaintext, concatenated; @dst: @head_len + @body_len +
 *               NTMC_TAG_LEN bytes, may not overlap @head; may equal @body
 *               minus @head_len (in place, the fast way: only @head is copied)
 *
 * For the data path: @head is the rewritten inner header of one segment,
 * @body its payload inside the super-packet.
 */
NTM_MUST_CHECK int ntmc_aead_seal_iov(struct ntmc_aead *a, uint64_t counter,
				      const void *ad, size_t ad_len,
				      const void *head, size_t head_len,
				      const void *body, size_t body_len,
				      uint8_t *dst);
/**
 * ntmc_aead_open() - check and decrypt in place
 * @buf: @len bytes of ciphertext and tag; plaintext is @len - NTMC_TAG_LEN
 *
 * Return: 0, -NTM_EAUTH (buffer wiped), -NTM_EINVAL when shorter than a tag
 */
NTM_MUST_CHECK int ntmc_aead_open(struct ntmc_aead *a, uint64_t counter,
				  const void *ad, size_t ad_len, uint8_t *buf,
				  size_t len);

/** one-shot forms for servers that keep a million keys but no handles: the key
 *  is expanded on the stack and wiped; nothing is allocated or kept */
NTM_MUST_CHECK int ntmc_seal_once(enum ntmc_aead_alg alg,
				  const struct ntmc_key *key, uint64_t counter,
				  const void *ad, size_t ad_len, uint8_t *buf,
				  size_t len);
NTM_MUST_CHECK int ntmc_open_once(enum ntmc_aead_alg alg,
				  const struct ntmc_key *key, uint64_t counter,
				  const void *ad, size_t ad_len, uint8_t *buf,
				  size_t len);

/* --- replay window (RFC 6479) ------------------------------------------------ */

#define NTMC_REPLAY_WINDOW 8192 /* packets that may arrive late, data path */

/** struct ntmc_replay - zero-initialised; embedded by value */
struct ntmc_replay {
	uint64_t last; /* highest accepted counter + 1; 0 = none */
	uint64_t bits[NTMC_REPLAY_WINDOW / 64 + 1];
};

/** true when @counter is new and inside the window; changes nothing */
bool ntmc_replay_check(const struct ntmc_replay *r, uint64_t counter);
/** mark after authentication only; false when it was not acceptable */
bool ntmc_replay_mark(struct ntmc_replay *r, uint64_t counter);

/** the small window of a server's session: 16 bytes a node, 64 packets */
struct ntmc_replay64 {
	uint64_t last;
	uint64_t bits;
};
bool ntmc_replay64_check(const struct ntmc_replay64 *r, uint64_t counter);
bool ntmc_replay64_mark(struct ntmc_replay64 *r, uint64_t counter);

/* --- X25519 (RFC 7748) and Ed25519 (RFC 8032) -------------------------------- */

void ntmc_x25519_keygen(const struct ntmc_env *env, struct ntmc_key *priv,
			uint8_t pub[static NTMC_KEY_LEN]);
void ntmc_x25519_public(const struct ntmc_key *priv,
			uint8_t pub[static NTMC_KEY_LEN]);
/** Return: 0, or -NTM_EAUTH when the result is all zero (low-order point) */
NTM_MUST_CHECK int ntmc_x25519(const struct ntmc_key *priv,
			       const uint8_t pub[static NTMC_KEY_LEN],
			       struct ntmc_key *shared);

/** false for the low-order points, with which ntmc_x25519() fails whatever the other key
 *  is: for a key that somebody else is to use, later. Takes no time */
bool ntmc_x25519_public_ok(const uint8_t pub[static NTMC_KEY_LEN]);

void ntmc_ed25519_keygen(const struct ntmc_env *env, struct ntmc_key *priv,
			 uint8_t pub[static NTMC_KEY_LEN]);
void ntmc_ed25519_public(const struct ntmc_key *priv,
			 uint8_t pub[static NTMC_KEY_LEN]);
void ntmc_ed25519_sign(const struct ntmc_key *priv,
		       const uint8_t pub[static NTMC_KEY_LEN], const void *msg,
		       size_t len, uint8_t sig[static NTMC_SIG_LEN]);
/** Return: 0, -NTM_EAUTH; small-order public keys never verify */
NTM_MUST_CHECK int ntmc_ed25519_verify(const uint8_t pub[static NTMC_KEY_LEN],
				       const void *msg, size_t len,
				       const uint8_t sig[static NTMC_SIG_LEN]);
/** false for the small-order points; checked when a key is registered */
bool ntmc_ed25519_public_ok(const uint8_t pub[static NTMC_KEY_LEN]);

#define NTMC_AGREED_MAX 16

/**
 * struct ntmc_agreed - agreements of static keys, so that each is reckoned once; begins as
 * zeros. Owner: whoever has it in a struct, and clears it when a private key of it goes.
 */
struct ntmc_agreed {
	struct ntmc_agreement {
		bool used;
		uint8_t own[NTMC_KEY_LEN], peer[NTMC_KEY_LEN];
		struct ntmc_key key;
	} list[NTMC_AGREED_MAX];
	unsigned int next; /* the oldest */
};

/** as ntmc_x25519(@priv, @peer), @own being @priv's public key; @a NULL: nothing is kept */
NTM_MUST_CHECK int ntmc_agreed_x25519(struct ntmc_agreed *a,
				      const struct ntmc_key *priv,
				      const uint8_t own[static NTMC_KEY_LEN],
				      const uint8_t peer[static NTMC_KEY_LEN],
				      struct ntmc_key *shared);
void ntmc_agreed_clear(struct ntmc_agreed *a);

/* --- Noise (noiseprotocol.org, revision 34): IKpsk2 and X --------------------- */

enum ntmc_noise_pattern { NTMC_NOISE_IKPSK2 = 1, NTMC_NOISE_X = 2 };

#define NTMC_NOISE_MSG_MAX 65535

/**
 * struct ntmc_noise_config - one handshake
 * @pattern, @aead: Noise_{IKpsk2,X}_25519_{AESGCM,ChaChaPoly}_SHA256
 * @initiator:      true writes the first message
 * @prologue:       bound into the handshake hash; @prologue_len may be 0
 * @static_priv:    our X25519 key; copied
 * @static_pub:     the same, public; NULL: it is reckoned
 * @peer_static:    initiator only: the responder's public key
 * @psk:            IKpsk2 only, 32 bytes; copied; NULL when ntmc_noise_set_psk()
 *                  will give it
 * @env:            outlives the handshake; NULL: the system's
 * @agreed:         outlives the handshake; NULL: no agreement is kept
 */
struct ntmc_noise_config {
	enum ntmc_noise_pattern pattern;
	enum ntmc_aead_alg aead;
	bool initiator;
	const void *prologue;
	size_t prologue_len;
	const struct ntmc_key *static_priv;
	const uint8_t *static_pub, *peer_static;
	const struct ntmc_key *psk;
	const struct ntmc_env *env;
	struct ntmc_agreed *agreed;
};

struct ntmc_noise;

NTM_MUST_CHECK int ntmc_noise_new(const struct ntmc_noise_config *conf,
				  struct ntmc_noise **out);
void ntmc_noise_free(struct ntmc_noise *n);
/**
 * ntmc_noise_write() - next message of ours
 * @out: @out_size bytes. IKpsk2 message 1 takes @len + 96, message 2 @len + 48;
 *       X takes @len + 96
 * Return: 0; nothing changed: -NTM_ESTATE when it is not our turn (or message 2
 *         has no psk yet), -NTM_ETOOBIG; the end of the handshake: -NTM_EAUTH
 *         for a low-order peer key
 */
NTM_MUST_CHECK int ntmc_noise_write(struct ntmc_noise *n, const void *payload,
				    size_t len, uint8_t *out, size_t out_size,
				    size_t *out_len);
/**
 * ntmc_noise_read() - next message of the peer
 * @out: @out_size >= @len - 48 (or - 96) bytes; wiped when the tag is wrong
 * Return: 0; the end of the handshake: -NTM_EAUTH, -NTM_EDECODE (too short);
 *         nothing changed: -NTM_ESTATE, -NTM_ETOOBIG. A message 2 that fails
 *         changes nothing either: the right one may follow
 */
NTM_MUST_CHECK int ntmc_noise_read(struct ntmc_noise *n, const uint8_t *msg,
				   size_t len, void *out, size_t out_size,
				   size_t *out_len);
bool ntmc_noise_done(const struct ntmc_noise *n);
/** the responder learns it from the first message; NULL before */
const uint8_t *ntmc_noise_peer_static(const struct ntmc_noise *n);
const uint8_t *ntmc_noise_hash(const struct ntmc_noise *n);
/**
 * ntmc_noise_set_psk() - give or replace the psk before message 2
 * (a responder that learns from message 1 which peer speaks)
 */
NTM_MUST_CHECK int ntmc_noise_set_psk(struct ntmc_noise *n,
				      const struct ntmc_key *psk);
/**
 * ntmc_noise_split() - the transport keys, once, after ntmc_noise_done()
 * @send, @recv: as seen by this side; X has no key from responder to initiator:
 *               there the initiator's @recv and the responder's @send are NULL
 * @resume:      secret for the next handshake's psk:
 *               ntmc_derive(chaining key, hash, "ntm resume v1"); may be NULL
 * Return: 0, -NTM_ESTATE, -NTM_EINVAL (a pointer missing, or one too many)
 */
NTM_MUST_CHECK int ntmc_noise_split(struct ntmc_noise *n, struct ntmc_key *send,
				    struct ntmc_key *recv,
				    struct ntmc_key *resume);

/* --- identities and certificates (RFC 5280) ----------------------------------- */

/**
 * struct ntmc_identity - the keys of a device or server
 * @ed_*: Ed25519, the identity; unchanged by renewal; what peers pin
 * @x_*:  X25519 static key of the Noise handshakes
 */
struct ntmc_identity {
	struct ntmc_key ed_priv;
	uint8_t ed_pub[NTMC_KEY_LEN];
	struct ntmc_key x_priv;
	uint8_t x_pub[NTMC_KEY_LEN];
};

void ntmc_identity_new(const struct ntmc_env *env, struct ntmc_identity *id);
void ntmc_identity_clear(struct ntmc_identity *id);
/** key file of three lines of text (identity.c): 0600, atomic (rename after
 *  fsync); both functions return 0, -NTM_ESTORE, -NTM_ENOTFOUND, -NTM_EDECODE,
 *  -NTM_EPERM (no permission, or accessible to group or others) */
NTM_MUST_CHECK int ntmc_identity_save(const struct ntmc_identity *id,
				      const char *path);
NTM_MUST_CHECK int ntmc_identity_load(const char *path,
				      struct ntmc_identity *id);
/** PKCS#8 PEM of the Ed25519 key for a TLS library, NUL-terminated; 128 bytes
 *  suffice, else -NTM_EINVAL; @out wiped by the caller */
NTM_MUST_CHECK int ntmc_identity_pem(const struct ntmc_identity *id, char *out,
				     size_t out_size);

/** the device's own signature over its X25519 key, so that not even the CA can
 *  replace it: Ed25519("ntm static v1" || SHA-256(SPKI) || x_pub) */
void ntmc_static_sign(const struct ntmc_identity *id,
		      uint8_t sig[static NTMC_SIG_LEN]);
NTM_MUST_CHECK int ntmc_static_verify(const uint8_t ed_pub[static NTMC_KEY_LEN],
				      const uint8_t x_pub[static NTMC_KEY_LEN],
				      const uint8_t sig[static NTMC_SIG_LEN]);

/** fingerprint of an Ed25519 key: SHA-256 of its SubjectPublicKeyInfo */
void ntmc_fingerprint(const uint8_t ed_pub[static NTMC_KEY_LEN],
		      uint8_t fp[static NTMC_FP_LEN]);
void ntmc_fingerprint_text(const uint8_t fp[static NTMC_FP_LEN],
			   char text[static NTMC_FP_TEXT_LEN]);
NTM_MUST_CHECK int ntmc_fingerprint_parse(const char *text,
					  uint8_t fp[static NTMC_FP_LEN]);
/** the code two people compare aloud: the same whichever side asks;
 *  30 digits of SHA-256("ntm verify v1" || lower fp || higher fp), each group
 *  five bytes of it, big-endian, modulo 100000 */
void ntmc_verify_code(const uint8_t fp_a[static NTMC_FP_LEN],
		      const uint8_t fp_b[static NTMC_FP_LEN],
		      char text[static NTMC_VERIFY_TEXT_LEN]);
/** the thirty digits of a hash */
void ntmc_digits(const uint8_t h[static NTMC_HASH_LEN],
		 char text[static NTMC_VERIFY_TEXT_LEN]);

enum ntmc_cert_kind { NTMC_CERT_NODE = 1, NTMC_CERT_SERVER = 2 };

/**
 * struct ntmc_cert - what a certificate says (a node's or a server's)
 * @kind:       a certificate with roles is a server's, any other a node's
 * @fqdn:       lower case, no final dot
 * @x_pub, @x_sig: X25519 key and the device's own signature of it; a server's
 *              may be absent, all zero
 * @vip6, @vip4:   virtual addresses, network order; all zero where absent;
 *              servers have none
 * @roles:      servers: bit per enum ntmc_server_role, at least one
 */
struct ntmc_cert {
	enum ntmc_cert_kind kind;
	char fqdn[NTMC_FQDN_MAX + 1];
	uint8_t ed_pub[NTMC_KEY_LEN];
	uint8_t x_pub[NTMC_KEY_LEN];
	uint8_t x_sig[NTMC_SIG_LEN];
	uint8_t vip6[16];
	uint8_t vip4[4];
	uint32_t roles;
	int64_t not_before, not_after;
};

enum ntmc_server_role {
	NTMC_ROLE_AS = 1 << 0,
	NTMC_ROLE_DC = 1 << 1,
	NTMC_ROLE_RS = 1 << 2,
	NTMC_ROLE_NS = 1 << 3,
	NTMC_ROLE_CS = 1 << 4,
	NTMC_ROLE_GMS = 1 << 5,
	NTMC_ROLE_BOX = 1 << 6,
};

/** parse without verifying; -NTM_EDECODE for anything odd (also trailing bytes,
 *  a bad x_sig, a small-order Ed25519 key, an FQDN that is not one) */
NTM_MUST_CHECK int ntmc_cert_parse(const uint8_t *der, size_t len,
				   struct ntmc_cert *out);
/** PEM of a certificate for a TLS library, NUL-terminated; NTMC_PEM_MAX bytes suffice.
 *  Return: 0, -NTM_EINVAL (no room), -NTM_ENOMEM */
#define NTMC_PEM_MAX (NTMC_CERT_MAX * 3 / 2 + 128)
NTM_MUST_CHECK int ntmc_cert_pem(const uint8_t *der, size_t len, char *out,
				 size_t size);

/* base64url without padding (RFC 4648) */
#define NTMC_BASE64URL_LEN(n) (((n)*4 + 2) / 3) /* digits of n bytes */
#define NTMC_BASE64URL_DIGITS                                                  \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
/** @out: room for NTMC_BASE64URL_LEN(@len) + 3 bytes; NUL-terminated */
void ntmc_base64url_encode(const void *data, size_t len, char *out);
/** exactly @len bytes in their one form; Return: 0, -NTM_EDECODE (@out undefined) */
NTM_MUST_CHECK int ntmc_base64url_decode(const char *text, void *out,
					 size_t len);

/* a certificate authority: a domain's, held by its AS alone */

/** every certificate, the CA's too, begins that long before it is made: for whose clock is
 *  behind, also in a domain that is new */
#define NTMC_CERT_BACKDATE_S 3600
struct ntmc_ca;

/**
 * ntmc_ca_new() - make a CA: Ed25519, self-signed, critical name constraints
 * @domain:   permitted DNS subtree
 * @prefix6:  written out: permitted virtual IPv6 /64 = fd6e + 48-bit hash of the
 *            CA's SPKI (16 bytes, host part zero)
 * @prefix4, @prefix4_len: permitted virtual IPv4 slice, e.g. 198.18.0.0/15
 *            /8 to /30, host bits zero; not 0/8, loopback, link-local, multicast
 * @days:     lifetime, from now; it begins NTMC_CERT_BACKDATE_S before
 */
NTM_MUST_CHECK int ntmc_ca_new(const struct ntmc_env *env, const char *domain,
			       const uint8_t prefix4[static 4],
			       unsigned int prefix4_len, unsigned int days,
			       struct ntmc_ca **out,
			       uint8_t prefix6[static 16]);
void ntmc_ca_free(struct ntmc_ca *ca);
/** key file 0600 and PEM certificate; also backup and restore */
NTM_MUST_CHECK int ntmc_ca_save(const struct ntmc_ca *ca, const char *key_path,
				const char *cert_path);
NTM_MUST_CHECK int ntmc_ca_load(const char *key_path, const char *cert_path,
				struct ntmc_ca **out);
/** the CA's certificate; @der, @len as in ntmc_ca_issue() */
NTM_MUST_CHECK int ntmc_ca_der(const struct ntmc_ca *ca, uint8_t *der,
			       size_t *len);
/**
 * ntmc_ca_issue() - sign a node's or server's certificate
 * @cert: every field but not_* filled by the caller; x_sig is checked
 * @not_before, @not_after: seconds since 1970
 * @der, @len: in: size of @der (NTMC_CERT_MAX is enough), out: bytes used
 * Return: 0, -NTM_EINVAL (outside the CA's own constraints or lifetime, or not a
 *         certificate's content at all), -NTM_EAUTH (x_sig), -NTM_ETOOBIG
 */
NTM_MUST_CHECK int ntmc_ca_issue(const struct ntmc_env *env, struct ntmc_ca *ca,
				 const struct ntmc_cert *cert,
				 int64_t not_before, int64_t not_after,
				 uint8_t *der, size_t *len);

/* what a node or server trusts: any number of domains' CAs */
struct ntmc_trust;

struct ntmc_trust_domain { /* what a trusted CA is constrained to */
	char domain[NTMC_FQDN_MAX + 1];
	uint8_t prefix6[16];
	uint8_t prefix4[4];
	unsigned int prefix4_len;
	uint8_t fp[NTMC_FP_LEN]; /* of the CA's key */
};

NTM_MUST_CHECK int ntmc_trust_new(struct ntmc_trust **out);
void ntmc_trust_free(struct ntmc_trust *t);
/**
 * ntmc_trust_add() - trust a CA
 * @fp: what a join string or the user named; NULL accepts any key
 * @out: what it is constrained to; may be NULL
 * The same key again, for the same domain, replaces what was known of it (a longer
 * lifetime).
 *
 * Return: 0, -NTM_EPIN (another key than @fp), -NTM_ECONSTRAINT (no or wrong
 *         constraints, prefix6 not the hash of its key, or the /64 of a CA
 *         trusted already, or a domain that is, contains or lies in one's),
 *         -NTM_EDECODE, -NTM_ELIMIT (1024 domains)
 */
NTM_MUST_CHECK int ntmc_trust_add(struct ntmc_trust *t, const uint8_t *der,
				  size_t len, const uint8_t *fp,
				  struct ntmc_trust_domain *out);
/** the trusted domains, in the order they were added */
void ntmc_trust_each(const struct ntmc_trust *t,
		     void (*fn)(void *arg, const struct ntmc_trust_domain *d),
		     void *arg);
/** trust @domain no more; nothing where it is not there */
void ntmc_trust_remove(struct ntmc_trust *t, const char *domain);
/**
 * ntmc_trust_verify() - a certificate against the trusted CAs
 * @now: seconds since 1970; compared with the certificate's lifetime and the CA's
 * Return: 0, -NTM_ECERT (no trusted CA signed it), -NTM_EEXPIRED, -NTM_ECLOCK
 *         (not valid yet by more than five minutes), -NTM_ECONSTRAINT,
 *         -NTM_EDECODE
 */
NTM_MUST_CHECK int ntmc_trust_verify(const struct ntmc_trust *t,
				     const uint8_t *der, size_t len,
				     int64_t now, struct ntmc_cert *out);

/**
 * ntmc_trust_verify_late() - the same, of a certificate that may have run out
 * @late_s: at most that long ago. The CA itself must be in its time.
 */
NTM_MUST_CHECK int ntmc_trust_verify_late(const struct ntmc_trust *t,
					  const uint8_t *der, size_t len,
					  int64_t now, unsigned int late_s,
					  struct ntmc_cert *out);

/* --- passwords (Argon2id, RFC 9106) --------------------------------------------- */

#define NTMC_PASSWORD_HASH_MAX 128 /* PHC string with NUL */
NTM_MUST_CHECK int ntmc_password_hash(const struct ntmc_env *env,
				      const char *password,
				      char out[static NTMC_PASSWORD_HASH_MAX]);
/** Return: 0, -NTM_EPASSWORD (also for what is no hash), -NTM_ENOMEM; takes the
 *  same time for right and wrong, tens of ms, and 19 MiB */
NTM_MUST_CHECK int ntmc_password_verify(const char *password, const char *hash);

#endif
