# SPDX-License-Identifier: MIT
DATAPATH_TESTS := general stream tunnel tail keys queue parts icmp edges alias
$(foreach t,$(DATAPATH_TESTS),$(eval $(call unit-test,unit-datapath-$(t),\
	tests/unit/broker/datapath/test_$(t).c \
	tests/unit/broker/datapath/fixture.c \
	tests/unit/broker/datapath/packets.c,\
	datapath ntmcrypto common,$(COMMON_PKGS) $(CRYPTO_PKGS))))
