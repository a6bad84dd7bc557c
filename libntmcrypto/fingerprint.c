/* SPDX-License-Identifier: MIT */
/* fingerprint - as people and files have it; it loads no library */
#include "libntmcrypto/keyfile.h"

#include <string.h>

void ntmc_fingerprint_text(const uint8_t fp[static NTMC_FP_LEN],
			   char text[static NTMC_FP_TEXT_LEN])
{
	keyfile_hex(fp, NTMC_FP_LEN, text);
	text[2 * NTMC_FP_LEN] = '\0';
}

int ntmc_fingerprint_parse(const char *text, uint8_t fp[static NTMC_FP_LEN])
{
	uint8_t got[NTMC_FP_LEN];

	if (strnlen(text, NTMC_FP_TEXT_LEN) != NTMC_FP_TEXT_LEN - 1 ||
	    !keyfile_unhex(text, NTMC_FP_LEN, got))
		return -NTM_EDECODE;
	memcpy(fp, got, sizeof(got));
	return 0;
}
