# SPDX-License-Identifier: MIT
CRYPTO_SRC := $(wildcard libntmcrypto/*.c)
$(eval $(call static-library,ntmcrypto,$(CRYPTO_SRC)))
CRYPTO_PKGS := gnutls nettle libsodium libargon2
