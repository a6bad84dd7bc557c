/* SPDX-License-Identifier: MIT */
/* fuzz_tlshello - any bytes as the first ones of a TLS client */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/tlshello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	/* what asks for one asks for no other */
	if (tlshello_asks(copy, size, TLSHELLO_AS) &&
	    tlshello_asks(copy, size, "h2"))
		abort();
	free(copy);
	return 0;
}
