/* SPDX-License-Identifier: MIT */
/* fuzz_groupword - any bytes as a message, and as an epoch, between the two processes */
#include <stdlib.h>
#include <string.h>

#include "broker/groupword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[GROUPWORD_EPOCH_MAX];
	uint8_t *buf = malloc(size ? size : 1), word[GROUPWORD_MAX];
	struct groupword_epoch e;
	struct groupword w;
	size_t len;

	if (!buf)
		abort();
	memcpy(buf, data, size);
	/* what is taken is written as it came */
	if (!groupword_get(buf, size, &w) &&
	    (groupword_put(&w, word) != size || memcmp(word, buf, size)))
		abort();
	if (!groupword_epoch_get(buf, size, &e)) {
		if (groupword_epoch_put(&e, again, &len) || len != size ||
		    memcmp(again, buf, size))
			abort();
		groupword_epoch_clear(&e);
	}
	free(buf);
	return 0;
}
