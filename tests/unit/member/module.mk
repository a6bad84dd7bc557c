# SPDX-License-Identifier: MIT
$(eval $(call unit-test,unit-member-store,tests/unit/member/test_memberstore.c \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
