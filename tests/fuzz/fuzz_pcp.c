/* SPDX-License-Identifier: MIT */
/* fuzz_pcp - any bytes as the answer to a PCP request */
#include <stdlib.h>
#include <string.h>

#include "broker/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcp_map ask = {.nonce = "abcdefghijkl", .inner_port = 0x4142};
	struct pcp_map out = {.life_s = 1}, before = out;
	uint8_t *buf = malloc(size); /* of its very size */

	if (!buf && size)
		abort();
	if (size)
		memcpy(buf, data, size);
	if (pcp_map_get(buf, size, &ask, &out)) {
		if (memcmp(&out, &before, sizeof(out)))
			abort();
	} else if (memcmp(out.nonce, ask.nonce, sizeof(ask.nonce)) ||
		   out.inner_port != ask.inner_port) {
		abort();
	}
	free(buf);
	return 0;
}
