/* SPDX-License-Identifier: MIT */
/* values - what stands in bodies and header fields of items: bytes, IDs, texts */
#include <stdlib.h>
#include <string.h>

#include "broker/post/post.h"

/* --- binary values
 * ------------------------------------------------------------------------ */

json_t *post_binary(const void *data, size_t len)
{
	char *text = malloc(NTMC_BASE64URL_LEN(len) + 3);
	json_t *j = NULL;

	if (!text)
		return NULL;
	ntmc_base64url_encode(data, len, text);
	j = json_string(text);
	ntmc_wipe(text, NTMC_BASE64URL_LEN(len));
	free(text);
	return j;
}

int post_binary_get(const json_t *j, const char *key, void *out, size_t len)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text ? ntmc_base64url_decode(text, out, len) : -NTM_EDECODE;
}

long post_binary_any(const json_t *j, const char *key, void *out, size_t max)
{
	const char *text = json_string_value(json_object_get(j, key));
	size_t len = text ? strlen(text) * 3 / 4 : 0;

	if (!len || len > max || ntmc_base64url_decode(text, out, len))
		return -NTM_EDECODE;
	return (long)len;
}

/* --- names
 * ------------------------------------------------------------------------------ */

bool post_id_ok(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len && len <= 64 &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
			    "yz0123456789._-") == len;
}

void post_item_id(const struct post_ids *ids, uint8_t out[static ITEM_ID_LEN])
{
	const char *const parts[] = {ids->application, ids->service, ids->item};
	uint8_t text[15 + 3 * (2 + 64)], hash[NTMC_HASH_LEN];
	size_t at = 14, i;

	memcpy(text, "ntm item id v1", 14);
	for (i = 0; i < 3; i++) {
		size_t len = strlen(parts[i]);

		text[at++] = (uint8_t)(len >> 8);
		text[at++] = (uint8_t)len;
		memcpy(text + at, parts[i], len);
		at += len;
	}
	ntmc_sha256(text, at, hash);
	memcpy(out, hash, ITEM_ID_LEN);
}

void post_trim(char *text)
{
	size_t len = strlen(text), n = 0, want;
	unsigned char first;

	while (len > n && n < 4 &&
	       ((unsigned char)text[len - 1 - n] & 0xc0) == 0x80)
		n++;
	if (len == n)
		return;
	first = (unsigned char)text[len - 1 - n];
	want = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
	if (want > n)
		text[len - 1 - n] = '\0';
}
