/* SPDX-License-Identifier: MIT */
/*
 * identity - the keys of a device or server, their file, fingerprints
 *
 * The file (0600; keyfile.h gives the notation):
 *
 *   ntm-identity 1
 *   ed25519 PRIVATE PUBLIC
 *   x25519 PRIVATE PUBLIC
 */
#include "libntmcrypto/keyfile.h"

#include <nettle/base64.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY_HEAD "ntm-identity 1\n"

/* the fixed DER before the 32 bytes of a key, RFC 8410 */
static const uint8_t spki_head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
				    0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const uint8_t pkcs8_head[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30,
				     0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
				     0x04, 0x22, 0x04, 0x20};

void ntmc_identity_new(const struct ntmc_env *env, struct ntmc_identity *id)
{
	ntmc_ed25519_keygen(env, &id->ed_priv, id->ed_pub);
	ntmc_x25519_keygen(env, &id->x_priv, id->x_pub);
}

void ntmc_identity_clear(struct ntmc_identity *id)
{
	ntmc_wipe(id, sizeof(*id));
}

int ntmc_identity_save(const struct ntmc_identity *id, const char *path)
{
	char text[sizeof(IDENTITY_HEAD) + 2 * KEYFILE_LINE_MAX];
	size_t len = sizeof(IDENTITY_HEAD) - 1;
	int r;

	memcpy(text, IDENTITY_HEAD, len);
	len += keyfile_line_put(text + len, "ed25519", &id->ed_priv,
				id->ed_pub);
	len += keyfile_line_put(text + len, "x25519", &id->x_priv, id->x_pub);
	r = keyfile_write(path, 0600, text, len);
	ntmc_wipe(text, sizeof(text));
	return r;
}

static int identity_decode(const char *text, size_t len,
			   struct ntmc_identity *id)
{
	size_t pos = sizeof(IDENTITY_HEAD) - 1, n;
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN];

	if (len < pos || memcmp(text, IDENTITY_HEAD, pos))
		return -NTM_EDECODE;
	n = keyfile_line_get(text + pos, len - pos, "ed25519", &id->ed_priv,
			     id->ed_pub);
	if (!n)
		return -NTM_EDECODE;
	pos += n;
	n = keyfile_line_get(text + pos, len - pos, "x25519", &id->x_priv,
			     id->x_pub);
	if (!n || pos + n != len)
		return -NTM_EDECODE;

	/* five bits of an X25519 key count for nothing: they must be as made */
	if ((id->x_priv.b[0] & 7) || (id->x_priv.b[31] & 0xc0) != 0x40)
		return -NTM_EDECODE;
	ntmc_ed25519_public(&id->ed_priv, ed_pub);
	ntmc_x25519_public(&id->x_priv, x_pub);
	if (memcmp(ed_pub, id->ed_pub, sizeof(ed_pub)) ||
	    memcmp(x_pub, id->x_pub, sizeof(x_pub)))
		return -NTM_EDECODE;
	return 0;
}

int ntmc_identity_load(const char *path, struct ntmc_identity *id)
{
	char text[KEYFILE_MAX];
	size_t len = sizeof(text);
	struct ntmc_identity got;
	int r;

	r = keyfile_read(path, true, text, &len);
	if (r)
		return r;
	r = identity_decode(text, len, &got);
	if (!r)
		*id = got;
	ntmc_wipe(text, sizeof(text));
	ntmc_identity_clear(&got);
	return r;
}

int ntmc_identity_pem(const struct ntmc_identity *id, char *out,
		      size_t out_size)
{
	uint8_t der[sizeof(pkcs8_head) + NTMC_KEY_LEN];
	char b64[BASE64_ENCODE_RAW_LENGTH(sizeof(der)) + 1];
	int n;

	memcpy(der, pkcs8_head, sizeof(pkcs8_head));
	memcpy(der + sizeof(pkcs8_head), id->ed_priv.b, NTMC_KEY_LEN);
	base64_encode_raw(b64, sizeof(der), der); /* 64 digits: one line */
	b64[sizeof(b64) - 1] = '\0';
	n = snprintf(out, out_size,
		     "-----BEGIN PRIVATE KEY-----\n%s\n"
		     "-----END PRIVATE KEY-----\n",
		     b64);
	ntmc_wipe(der, sizeof(der));
	ntmc_wipe(b64, sizeof(b64));
	if (n < 0 || (size_t)n >= out_size) {
		ntmc_wipe(out, out_size);
		return -NTM_EINVAL;
	}
	return 0;
}

/* --- the device's signature over its X25519 key
 * ------------------------------- */

#define STATIC_LABEL   "ntm static v1"
#define STATIC_MSG_LEN (sizeof(STATIC_LABEL) - 1 + NTMC_FP_LEN + NTMC_KEY_LEN)

static void static_message(const uint8_t *ed_pub, const uint8_t *x_pub,
			   uint8_t msg[static STATIC_MSG_LEN])
{
	memcpy(msg, STATIC_LABEL, sizeof(STATIC_LABEL) - 1);
	msg += sizeof(STATIC_LABEL) - 1;
	ntmc_fingerprint(ed_pub, msg);
	memcpy(msg + NTMC_FP_LEN, x_pub, NTMC_KEY_LEN);
}

void ntmc_static_sign(const struct ntmc_identity *id,
		      uint8_t sig[static NTMC_SIG_LEN])
{
	uint8_t msg[STATIC_MSG_LEN];

	static_message(id->ed_pub, id->x_pub, msg);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, msg, sizeof(msg), sig);
}

int ntmc_static_verify(const uint8_t ed_pub[static NTMC_KEY_LEN],
		       const uint8_t x_pub[static NTMC_KEY_LEN],
		       const uint8_t sig[static NTMC_SIG_LEN])
{
	uint8_t msg[STATIC_MSG_LEN];

	static_message(ed_pub, x_pub, msg);
	return ntmc_ed25519_verify(ed_pub, msg, sizeof(msg), sig);
}

/* --- fingerprints
 * ---------------------------------------------------------------- */

void ntmc_fingerprint(const uint8_t ed_pub[static NTMC_KEY_LEN],
		      uint8_t fp[static NTMC_FP_LEN])
{
	uint8_t spki[sizeof(spki_head) + NTMC_KEY_LEN];

	memcpy(spki, spki_head, sizeof(spki_head));
	memcpy(spki + sizeof(spki_head), ed_pub, NTMC_KEY_LEN);
	ntmc_sha256(spki, sizeof(spki), fp);
}

/* six groups: five bytes each, big-endian, modulo 100000 */
void ntmc_digits(const uint8_t h[static NTMC_HASH_LEN],
		 char text[static NTMC_VERIFY_TEXT_LEN])
{
	for (int g = 0; g < 6; g++) {
		uint64_t v = 0;

		for (int i = 0; i < 5; i++)
			v = v << 8 | h[5 * g + i];
		v %= 100000;
		for (int i = 4; i >= 0; i--, v /= 10)
			text[6 * g + i] = (char)('0' + v % 10);
		text[6 * g + 5] = g < 5 ? ' ' : '\0';
	}
}

void ntmc_verify_code(const uint8_t fp_a[static NTMC_FP_LEN],
		      const uint8_t fp_b[static NTMC_FP_LEN],
		      char text[static NTMC_VERIFY_TEXT_LEN])
{
	static const char label[] = "ntm verify v1";
	uint8_t msg[sizeof(label) - 1 + 2 * NTMC_FP_LEN], h[NTMC_HASH_LEN];
	bool a_first = memcmp(fp_a, fp_b, NTMC_FP_LEN) <= 0;
	uint8_t *p = msg + sizeof(label) - 1;

	memcpy(msg, label, sizeof(label) - 1);
	memcpy(p, a_first ? fp_a : fp_b, NTMC_FP_LEN);
	memcpy(p + NTMC_FP_LEN, a_first ? fp_b : fp_a, NTMC_FP_LEN);
	ntmc_sha256(msg, sizeof(msg), h);

	ntmc_digits(h, text);
}
