/* SPDX-License-Identifier: MIT */
/* tlshello - which protocol a TLS client asks for */
#include "common/tlshello.h"

#include <string.h>

#define RECORD_HANDSHAKE 22
#define CLIENT_HELLO	 1
#define HELLO_FIXED	 34 /* version and random */
#define EXTENSION_ALPN	 16

/* struct part - what is left of a message; every get takes from the front */
struct part {
	const uint8_t *p;
	size_t len;
};

static bool get(struct part *s, size_t n, struct part *out)
{
	if (s->len < n)
		return false;
	*out = (struct part){s->p, n};
	s->p += n;
	s->len -= n;
	return true;
}

static bool get_number(struct part *s, size_t bytes, size_t *out)
{
	struct part n;

	*out = 0;
	if (!get(s, bytes, &n))
		return false;
	for (size_t i = 0; i < bytes; i++)
		*out = *out << 8 | n.p[i];
	return true;
}

/* a vector behind its length of @bytes */
static bool get_vector(struct part *s, size_t bytes, struct part *out)
{
	size_t n;

	return get_number(s, bytes, &n) && get(s, n, out);
}

/* the extensions of a hello */
static bool get_extensions(struct part s, struct part *out)
{
	struct part record, hello, skip;
	size_t type;

	return get_number(&s, 1, &type) && type == RECORD_HANDSHAKE &&
	       get(&s, 2, &skip) && get_vector(&s, 2, &record) &&
	       get_number(&record, 1, &type) && type == CLIENT_HELLO &&
	       get_vector(&record, 3, &hello) &&
	       get(&hello, HELLO_FIXED, &skip) &&
	       get_vector(&hello, 1, &skip) && /* session id */
	       get_vector(&hello, 2, &skip) && /* suites */
	       get_vector(&hello, 1, &skip) && /* compression */
	       get_vector(&hello, 2, out);
}

bool tlshello_asks(const uint8_t *data, size_t len, const char *protocol)
{
	struct part all = {data, len}, list, body, names, name;
	size_t type;

	if (!get_extensions(all, &list))
		return false;
	while (get_number(&list, 2, &type) && get_vector(&list, 2, &body))
		if (type == EXTENSION_ALPN)
			return get_vector(&body, 2, &names) &&
			       get_vector(&names, 1, &name) &&
			       name.len == strlen(protocol) &&
			       !memcmp(name.p, protocol, name.len);
	return false;
}
