/* SPDX-License-Identifier: MIT */
/* http_fields - the papers' eight fields, as header fields of a request */
#include <stdlib.h>
#include <string.h>

#include "servers/http_impl.h"

#define TO_TEXT_MAX (HTTP_TO_MAX * (FQDN_MAX + 2))

static bool id_ok(const char *text)
{
	size_t len = strlen(text);

	return len && len <= HTTP_ID_MAX &&
	       strspn(text, NTMC_BASE64URL_DIGITS ".") == len;
}

static bool read_id(const struct http_request *q, const char *name, char *out)
{
	const char *text = http_header(q, name);

	if (!text)
		return true;
	if (!id_ok(text))
		return false;
	strcpy(out, text);
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* percent-encoded UTF-8 of at most HTTP_MESSAGE_MAX bytes, without control characters:
 * it goes on to boxes, which take none, and to people's screens */
static bool read_message(const struct http_request *q, char *out)
{
	const char *text = http_header(q, "NTM-Message");
	size_t n = 0;
	json_t *utf8;

	if (!text)
		return true;
	for (; *text; text++) {
		int hi, lo;

		if (n == HTTP_MESSAGE_MAX)
			return false;
		if (*text != '%') {
			out[n++] = *text;
			continue;
		}
		hi = digit(text[1]);
		lo = hi < 0 ? -1 : digit(text[2]);
		if (lo < 0)
			return false;
		out[n++] = (char)(hi << 4 | lo);
		text += 2;
	}
	out[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			return false;
	utf8 = json_stringn(out, n);
	json_decref(utf8);
	return utf8;
}

static bool listed(const struct http_fields *f, const char *name)
{
	for (size_t i = 0; i < f->n_to; i++)
		if (!strcmp(f->to[i], name))
			return true;
	return false;
}

static int read_to(const struct http_request *q, struct http_fields *f)
{
	const char *text = http_header(q, "NTM-To");
	char name[FQDN_MAX + 1];

	if (!text)
		return 0;
	if (strlen(text) > TO_TEXT_MAX)
		return -NTM_ETOOBIG;
	f->to = calloc(HTTP_TO_MAX, sizeof(*f->to));
	if (!f->to)
		return -NTM_ENOMEM;
	for (;;) {
		size_t len;

		text += strspn(text, " \t");
		len = strcspn(text, ", \t");
		if (len > FQDN_MAX || f->n_to == HTTP_TO_MAX)
			return -NTM_ETOOBIG;
		memcpy(name, text, len);
		name[len] = '\0';
		if (fqdn_normalize(name, name) || listed(f, name))
			return -NTM_EINVAL;
		strcpy(f->to[f->n_to++], name);
		text += len + strspn(text + len, " \t");
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -NTM_EINVAL;
	}
}

static bool read_token(const struct http_request *q, struct http_fields *f)
{
	static const char scheme[] = "Bearer ";
	const char *text = http_header(q, "Authorization");

	if (!text)
		return true;
	if (strncasecmp(text, scheme, sizeof(scheme) - 1))
		return false;
	text += sizeof(scheme) - 1;
	text += strspn(text, " ");
	if (ntmc_base64url_decode(text, f->token, HTTP_TOKEN_LEN))
		return false;
	f->has_token = true;
	return true;
}

int http_fields_read(const struct http_request *q, struct http_fields *f,
		     const char **what)
{
	const char *text = http_header(q, "NTM-Version");
	int r;

	*what = "NTM-Version is missing, or longer than 64 characters";
	if (!text || !*text || strlen(text) > HTTP_VERSION_MAX)
		return -NTM_EINVAL;
	strcpy(f->version, text);
	*what = "Authorization is not Bearer and 32 bytes in base64url";
	if (!read_token(q, f))
		return -NTM_EAUTH;
	*what = "NTM-Node is not a name";
	text = http_header(q, "NTM-Node");
	if (text && fqdn_normalize(text, f->node))
		return -NTM_EINVAL;
	*what = "an ID has 1 to 64 of A-Z a-z 0-9 . _ -";
	if (!read_id(q, "NTM-Application", f->application) ||
	    !read_id(q, "NTM-Service", f->service) ||
	    !read_id(q, "NTM-Item", f->item))
		return -NTM_EINVAL;
	*what = "NTM-Message is percent-encoded UTF-8 of at most 256 bytes, "
		"without control characters";
	if (!read_message(q, f->message))
		return -NTM_EINVAL;
	*what = "NTM-To has 1 to 64 names, each once, and commas between them";
	r = read_to(q, f);
	return r;
}

void http_fields_clear(struct http_fields *f)
{
	free(f->to);
	ntmc_wipe(f, sizeof(*f));
}
