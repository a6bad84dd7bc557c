# SPDX-License-Identifier: MIT
CRYPTO_TESTS := aead base64url blob blobsum ca cert curve digest group groupgk groupinvite groupkey groupnode groupprekeys \
	grouppacket groupsave identity item kdf \
	noise password receipt replay secret trust
CRYPTO_TEST_noise := tests/unit/libntmcrypto/noise_model.c \
	tests/unit/libntmcrypto/noise_vectors.c
$(foreach t,group groupgk groupinvite groupkey groupprekeys grouppacket groupsave,\
	$(eval CRYPTO_TEST_$(t) := tests/unit/libntmcrypto/groups.c))
CRYPTO_TEST_trust := tests/unit/libntmcrypto/forge.c
$(foreach t,$(CRYPTO_TESTS),$(eval $(call unit-test,unit-crypto-$(t),\
	tests/unit/libntmcrypto/test_$(t).c tests/unit/libntmcrypto/fixture.c \
	$(CRYPTO_TEST_$(t)),ntmcrypto,$(CRYPTO_PKGS))))
