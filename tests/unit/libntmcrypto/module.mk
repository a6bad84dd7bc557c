# SPDX-License-Identifier: MIT
CRYPTO_TESTS := aead ca cert curve identity kdf noise password replay \
	secret trust
$(foreach t,$(CRYPTO_TESTS),$(eval $(call unit-test,unit-crypto-$(t),\
	tests/unit/libntmcrypto/test_$(t).c tests/unit/libntmcrypto/fixture.c,\
	ntmcrypto,$(CRYPTO_PKGS))))
