# SPDX-License-Identifier: MIT
CONTROL_WORLD := $(addprefix tests/unit/broker/control/,world.c \
	fake_datapath.c fake_group.c fake_keeper.c \
	dc.c dc_direct.c rs.c nat.c story.c) \
	broker/datapath/general.c
CONTROL_TEST_PKGS := $(COMMON_PKGS) $(CRYPTO_PKGS)
$(foreach t,writer world refusals seeds edges rules handshake forged session login keys relay portmap keepalive notify moves,$(eval $(call unit-test,unit-control-$(t),\
	tests/unit/broker/control/test_$(t).c $(CONTROL_WORLD),\
	nodecontrol common ntmcrypto,$(CONTROL_TEST_PKGS))))
$(foreach t,punch punch_forged,$(eval $(call unit-test,unit-control-$(subst _,-,$(t)),\
	tests/unit/broker/control/test_$(t).c tests/unit/broker/control/natted.c $(CONTROL_WORLD),\
	nodecontrol common ntmcrypto,$(CONTROL_TEST_PKGS))))
$(eval $(call unit-test,unit-control-foreign,\
	tests/unit/broker/control/test_foreign.c $(CONTROL_WORLD) \
	$(addprefix tests/unit/libntmcrypto/,forge.c fixture.c),\
	nodecontrol common ntmcrypto,$(CONTROL_TEST_PKGS)))
$(eval $(call unit-test,unit-control-asking,\
	tests/unit/broker/control/test_asking.c broker/asking.c,common ntmcrypto,\
	$(CONTROL_TEST_PKGS)))
$(eval $(call unit-test,unit-control-postlink,\
	tests/unit/broker/control/test_postlink.c broker/postlink.c \
	broker/posterlink.c broker/poster_kind.c,common ntmcrypto,\
	$(CONTROL_TEST_PKGS)))
$(eval $(call unit-test,unit-control-memberlink,\
	tests/unit/broker/control/test_memberlink.c broker/memberlink.c \
	broker/posterlink.c broker/poster_kind.c,common ntmcrypto,\
	$(CONTROL_TEST_PKGS)))
$(eval $(call unit-test,unit-control-groups,\
	tests/unit/broker/control/test_groups.c $(CONTROL_WORLD) \
	$(addprefix tests/unit/libntmcrypto/,forge.c groups.c fixture.c),\
	nodecontrol common ntmcrypto,$(CONTROL_TEST_PKGS)))
