/* SPDX-License-Identifier: MIT */
/* pemsign - signatures by a PEM key of others' making: RS256 and ES256, as JWT has them */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"

#define ES256_HALF 32

/* r and s of the DER signature, each 32 bytes */
static int raw_rs(const gnutls_datum_t *der, uint8_t *sig, size_t *len)
{
	gnutls_datum_t v[2];
	int r = -NTM_ECERT;

	if (gnutls_decode_rs_value(der, &v[0], &v[1]))
		return r;
	memset(sig, 0, 2 * ES256_HALF);
	for (int i = 0; i < 2; i++) {
		size_t skip =
			v[i].size > ES256_HALF ? v[i].size - ES256_HALF : 0;
		size_t n = v[i].size - skip;

		memcpy(sig + (size_t)(i + 1) * ES256_HALF - n, v[i].data + skip,
		       n);
		gnutls_free(v[i].data);
	}
	*len = 2 * ES256_HALF;
	return 0;
}

int ntmc_pem_sign(const char *pem, enum ntmc_pem_alg alg, const void *data,
		  size_t len, uint8_t sig[static NTMC_PEM_SIG_MAX],
		  size_t *sig_len)
{
	const gnutls_datum_t text = {(void *)pem, (unsigned int)strlen(pem)};
	const gnutls_datum_t in = {(void *)data, (unsigned int)len};
	gnutls_datum_t out = {NULL, 0};
	gnutls_privkey_t key;
	int want = alg == NTMC_ES256 ? GNUTLS_PK_ECDSA : GNUTLS_PK_RSA;
	int r = -NTM_ECERT;

	if (gnutls_privkey_init(&key))
		return -NTM_ENOMEM;
	if (!gnutls_privkey_import_x509_raw(key, &text, GNUTLS_X509_FMT_PEM,
					    NULL, 0) &&
	    gnutls_privkey_get_pk_algorithm(key, NULL) == want &&
	    !gnutls_privkey_sign_data(key, GNUTLS_DIG_SHA256, 0, &in, &out)) {
		if (alg == NTMC_ES256) {
			r = raw_rs(&out, sig, sig_len);
		} else if (out.size <= NTMC_PEM_SIG_MAX) {
			memcpy(sig, out.data, out.size);
			*sig_len = out.size;
			r = 0;
		}
		gnutls_free(out.data);
	}
	gnutls_privkey_deinit(key);
	return r;
}
