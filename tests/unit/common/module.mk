# SPDX-License-Identifier: MIT
COMMON_TESTS := addr buffer conf file fqdn log loop packet store timerheap \
	tls channel

$(foreach t,$(COMMON_TESTS),$(eval $(call unit-test,unit-common-$(t),\
	tests/unit/common/test_$(t).c tests/unit/common/pki.c,\
	common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS))))
