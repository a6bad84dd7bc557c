# SPDX-License-Identifier: MIT
$(eval $(call unit-test,unit-group-word,tests/unit/broker/group/test_groupword.c \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	nodecontrol brokerengine common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
