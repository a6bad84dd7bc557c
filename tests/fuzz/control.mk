# SPDX-License-Identifier: MIT
FUZZ_WORLD := $(CONTROL_SRC) $(COMMON_SRC) $(CRYPTO_SRC) \
	$(addprefix tests/unit/broker/control/,world.c fake_datapath.c fake_group.c \
	fake_keeper.c dc.c dc_direct.c rs.c nat.c) \
	broker/datapath/general.c
FUZZ_WORLD_PKGS = $(CONTROL_PKGS) cmocka
$(eval $(call fuzz-target,tunnel,tests/fuzz/fuzz_tunnel.c $(FUZZ_WORLD),\
	$(FUZZ_WORLD_PKGS)))
$(eval $(call fuzz-target,control,tests/fuzz/fuzz_control.c \
	$(wildcard broker/control*.c) broker/handover.c $(FUZZ_WORLD),$(FUZZ_WORLD_PKGS)))
$(eval $(call fuzz-target,relay,tests/fuzz/fuzz_relay.c $(FUZZ_WORLD),\
	$(FUZZ_WORLD_PKGS)))
$(eval $(call fuzz-target,pcp,tests/fuzz/fuzz_pcp.c broker/pcp.c))
$(eval $(call fuzz-target,groupword,tests/fuzz/fuzz_groupword.c broker/groupword.c \
	common/fqdn.c common/err.c $(CRYPTO_SRC),$(CRYPTO_PKGS)))
$(eval $(call fuzz-target,chatword,tests/fuzz/fuzz_chatword.c broker/member/chatword.c \
	common/fqdn.c common/err.c $(CRYPTO_SRC),jansson $(CRYPTO_PKGS)))
# ntm-member: programs, items and the GMS speak to it; its stores are real.
$(eval $(call fuzz-target,member,tests/fuzz/fuzz_member.c $(MEMBER_SRC) \
	broker/post/who.c $(BROKERENGINE_SRC) $(CONTROL_SRC) $(COMMON_SRC) $(CRYPTO_SRC) \
	$(wildcard broker/datapath/*.c),$(CONTROL_PKGS)))
