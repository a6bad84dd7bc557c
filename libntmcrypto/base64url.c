/* SPDX-License-Identifier: MIT */
/* base64url - RFC 4648, without padding: binary values in JSON, paths and header fields */
#include <nettle/base64.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"

void ntmc_base64url_encode(const void *data, size_t len, char *out)
{
	struct base64_encode_ctx ctx;
	size_t n;

	base64url_encode_init(&ctx);
	n = base64_encode_update(&ctx, out, len, data);
	n += base64_encode_final(&ctx, out + n);
	while (n && out[n - 1] == '=')
		n--;
	out[n] = '\0';
}

int ntmc_base64url_decode(const char *text, void *out, size_t len)
{
	size_t digits = strlen(text), want = (len * 4 + 2) / 3, n = len;
	struct base64_decode_ctx ctx;
	uint8_t tail[BASE64_DECODE_LENGTH(4)];
	size_t whole = digits / 4 * 4, n_tail = sizeof(tail);
	char last[5] = "====";

	if (digits != want || strspn(text, NTMC_BASE64URL_DIGITS) != digits)
		return -NTM_EDECODE;
	base64url_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &n, out, whole, text))
		return -NTM_EDECODE;
	if (digits == whole)
		return n == len ? 0 : -NTM_EDECODE;
	/* nettle wants the padding, and that the bits that mean nothing are zero */
	memcpy(last, text + whole, digits - whole);
	if (!base64_decode_update(&ctx, &n_tail, tail, 4, last) ||
	    !base64_decode_final(&ctx) || n + n_tail != len)
		return -NTM_EDECODE;
	memcpy((uint8_t *)out + n, tail, n_tail);
	return 0;
}
