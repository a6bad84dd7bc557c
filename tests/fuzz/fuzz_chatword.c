/* SPDX-License-Identifier: MIT */
/* fuzz_chatword - any bytes as what a member says to others: message, read marks */
#include <stdlib.h>
#include <string.h>

#include "broker/member/chatword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void word(const char *text, size_t len)
{
	static struct chatword w, again;
	char *out;

	memset(&w, 0, sizeof(w));
	memset(&again, 0, sizeof(again));
	if (chatword_get(text, len, &w))
		return;
	/* what is taken comes back from how we write it */
	out = chatword_put(&w);
	if (!out || chatword_get(out, strlen(out), &again) ||
	    memcmp(&w, &again, sizeof(w)))
		abort();
	free(out);
}

static void marks(const char *text, size_t len)
{
	struct chatmarks m, again;
	char *out;

	memset(&m, 0, sizeof(m));
	memset(&again, 0, sizeof(again));
	if (chatmarks_get(text, len, &m))
		return;
	out = chatmarks_put(&m);
	if (!out || chatmarks_get(out, strlen(out), &again) ||
	    memcmp(&m, &again, sizeof(m)))
		abort();
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size ? size : 1);

	if (!buf)
		abort();
	memcpy(buf, data, size);
	word(buf, size);
	marks(buf, size);
	free(buf);
	return 0;
}
