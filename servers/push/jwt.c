/* SPDX-License-Identifier: MIT */
/* jwt - signed JSON Web Tokens (RFC 7519), for push services */
#include "servers/push/jwt.h"

#include <stdlib.h>
#include <string.h>

/* base64url without padding, RFC 4648. Return: the end, NULL: no room */
static char *put64(char *at, const char *end, const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = data;

	for (size_t i = 0; at && i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		size_t n = len - i < 3 ? len - i : 3;

		v |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= n > 2 ? p[i + 2] : 0;
		if (end - at < 5)
			return NULL;
		for (size_t k = 0; k <= n; k++)
			*at++ = digits[v >> (18 - 6 * k) & 63];
	}
	return at;
}

static char *put_json(char *at, const char *end, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	at = text && at ? put64(at, end, text, strlen(text)) : NULL;
	free(text);
	json_decref(o);
	return at;
}

int jwt_sign(json_t *header, json_t *claims, const char *pem,
	     enum ntmc_pem_alg alg, char out[static JWT_MAX])
{
	const char *end = out + JWT_MAX;
	uint8_t sig[NTMC_PEM_SIG_MAX];
	size_t len;
	char *at = put_json(out, end, header);
	int r;

	if (at && at < end)
		*at++ = '.';
	at = put_json(at, end, claims);
	if (!at || end - at < 2)
		return -NTM_ETOOBIG;
	r = ntmc_pem_sign(pem, alg, out, (size_t)(at - out), sig, &len);
	if (r)
		return r;
	*at++ = '.';
	at = put64(at, end, sig, len);
	if (!at || at == end)
		return -NTM_ETOOBIG;
	*at = '\0';
	return 0;
}
