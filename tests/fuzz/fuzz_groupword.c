/* SPDX-License-Identifier: MIT */
/* fuzz_groupword - any bytes as a message, and as an epoch, between the two processes */
#include <stdlib.h>
#include <string.h>

#include "broker/groupword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is written in one form, which is taken as it is; the state of a group
 * that knows no tokens of who has gone may come without their number. */
static void epoch_again(struct groupword_epoch *e)
{
	static uint8_t first[GROUPWORD_EPOCH_MAX], second[GROUPWORD_EPOCH_MAX];
	size_t len, len2;

	if (groupword_epoch_put(e, first, &len))
		abort();
	groupword_epoch_clear(e);
	if (groupword_epoch_get(first, len, e) ||
	    groupword_epoch_put(e, second, &len2) || len2 != len ||
	    memcmp(first, second, len))
		abort();
	groupword_epoch_clear(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *buf = malloc(size ? size : 1), word[GROUPWORD_MAX];
	struct groupword_epoch e;
	struct groupword w;

	if (!buf)
		abort();
	memcpy(buf, data, size);
	/* what is taken is written as it came */
	if (!groupword_get(buf, size, &w) &&
	    (groupword_put(&w, word) != size || memcmp(word, buf, size)))
		abort();
	if (!groupword_epoch_get(buf, size, &e))
		epoch_again(&e);
	free(buf);
	return 0;
}
