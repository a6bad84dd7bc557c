/* SPDX-License-Identifier: MIT */
/* fuzz_gateframe - any bytes as the stream between a node and a relay's gate */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/gateframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *buf = malloc(size ? size : 1), head[GATEFRAME_HEAD];
	struct gateframe f;
	size_t at = 0;
	int n;

	if (!buf)
		abort();
	memcpy(buf, data, size);
	while ((n = gateframe_get(buf + at, size - at, &f)) > 0) {
		/* whole, inside, and packed as it was */
		if ((size_t)n > size - at || n > GATEFRAME_MAX ||
		    f.data != buf + at + GATEFRAME_HEAD ||
		    f.len != (size_t)n - GATEFRAME_HEAD)
			abort();
		gateframe_put(head, f.side, f.len);
		if (memcmp(head, buf + at, sizeof(head)) != 0)
			abort();
		at += (size_t)n;
	}
	if (n == 0 && size - at >= GATEFRAME_MAX)
		abort(); /* more could not help */
	free(buf);
	return 0;
}
