/* SPDX-License-Identifier: MIT */
/*
 * keyfile - small files written whole or not at all, keys read from private
 * ones
 *
 * Owner:    none; every buffer is the caller's and is wiped by the caller.
 * Context:  inside libntmcrypto only.
 *
 * A key file is text, so that a person sees what it is and a backup can be
 * typed in: a first line naming kind and version, then one line a key,
 * "NAME PRIVATE PUBLIC", the keys in lower-case hexadecimal, single spaces, a
 * newline after every line and nothing behind the last. The public halves are
 * computed again on reading, so that no flipped bit becomes another identity.
 */
#ifndef NTM_LIBNTMCRYPTO_KEYFILE_H
#define NTM_LIBNTMCRYPTO_KEYFILE_H

#include <sys/types.h>

#include "libntmcrypto/ntmcrypto.h"

#define KEYFILE_MAX 8192 /* bytes of any file read here */

/**
 * keyfile_write() - replace @path atomically: temporary file, fsync, rename,
 * fsync of the directory
 * Return: 0, -NTM_ESTORE, -NTM_EPERM
 */
NTM_MUST_CHECK int keyfile_write(const char *path, mode_t mode,
				 const void *data, size_t len);
/**
 * keyfile_read() - a whole regular file
 * @private: refuse a file that group or others may touch
 * @len:     in: size of @buf, out: bytes read
 * Return: 0, -NTM_ENOTFOUND, -NTM_EPERM, -NTM_EDECODE (too long, not a file),
 *         -NTM_ESTORE
 */
NTM_MUST_CHECK int keyfile_read(const char *path, bool private, void *buf,
				size_t *len);

/** keyfile_hex() - 2 * @len digits, no NUL */
void keyfile_hex(const uint8_t *in, size_t len, char *out);
/** keyfile_unhex() - false unless 2 * @len lower-case digits */
bool keyfile_unhex(const char *in, size_t len, uint8_t *out);

#define KEYFILE_LINE_MAX 160

/** keyfile_line_put() - "NAME PRIVATE PUBLIC\n"; Return: bytes, no NUL */
size_t keyfile_line_put(char *out, const char *name,
			const struct ntmc_key *priv,
			const uint8_t pub[static NTMC_KEY_LEN]);
/** keyfile_line_get() - Return: bytes consumed, or 0 when it is not that line
 */
size_t keyfile_line_get(const char *in, size_t len, const char *name,
			struct ntmc_key *priv,
			uint8_t pub[static NTMC_KEY_LEN]);

#endif
