# SPDX-License-Identifier: MIT
DATAPATH_TESTS := general stream tunnel ports tail keys queue parts icmp edges alias
$(foreach t,$(DATAPATH_TESTS),$(eval $(call unit-test,unit-datapath-$(t),\
	tests/unit/broker/datapath/test_$(t).c \
	tests/unit/broker/datapath/fixture.c \
	tests/unit/broker/datapath/packets.c,\
	datapath common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS))))
$(eval $(call unit-test,unit-datapath-cut,tests/unit/broker/datapath/test_cut.c,\
	datapath common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(foreach t,group group_heard group_epochs,$(eval $(call unit-test,unit-datapath-$(subst _,-,$(t)),\
	$(addprefix tests/unit/broker/datapath/,test_$(t).c group_stage.c fixture.c packets.c) \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	datapath common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS))))
