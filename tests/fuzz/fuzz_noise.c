/* SPDX-License-Identifier: MIT */
/*
 * fuzz_noise - any bytes as a handshake message
 *
 * The first byte chooses pattern, cipher and side; the rest is the message:
 * message 1 to a responder, message 2 to an IKpsk2 initiator. The psk and keys
 * are fixed, so the seeds pass; a failed message must end the handshake.
 */
#include "tests/fuzz/crypto_keys.h"

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[NTMC_NOISE_MSG_MAX], msg[256];
	uint8_t fill = 3;
	struct ntmc_env env = fuzz_env(&fill);
	struct ntmc_key a, b;
	struct ntmc_noise *n;
	unsigned int select;
	size_t got = 0;
	int r;

	if (!len)
		return 0;
	select = data[0] & 7;
	if ((select & 5) == 5) /* X has no message for an initiator */
		select &= 3;
	data++;
	len--;
	n = fuzz_noise_open(select, &env);
	if (select & 4)
		must(!ntmc_noise_write(n, "hi", 2, msg, sizeof(msg), &got));
	r = ntmc_noise_read(n, data, len, out, sizeof(out), &got);
	if (r) {
		must(r == -NTM_EAUTH || r == -NTM_EDECODE || r == -NTM_ETOOBIG);
		must(!ntmc_noise_done(n));
		must(ntmc_noise_split(n, &a, &b, NULL) == -NTM_ESTATE);
	} else {
		must(got + 48 <= len);
		must(ntmc_noise_peer_static(n) != NULL);
	}
	ntmc_noise_free(n);
	return 0;
}
