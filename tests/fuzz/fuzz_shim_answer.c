/* SPDX-License-Identifier: MIT */
/*
 * fuzz_shim_answer - any bytes as a answer between shim and broker
 *
 * The layout has one form for each meaning: what is accepted must be written again
 * byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "preload/shimproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[SHIM_MSG_MAX];
	struct shim_answer out;

	if (shim_answer_get(data, len, &out) < 0)
		return 0;
	if (shim_answer_put(&out, again) != (int)len ||
	    memcmp(again, data, len))
		abort();
	return 0;
}
