# SPDX-License-Identifier: MIT
$(eval $(call unit-test,unit-member-author,\
	$(addprefix tests/unit/member/,test_member_author.c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c),\
	member servers common ntmcrypto,$(SERVERS_PKGS)))
$(eval $(call unit-test,unit-member-store,tests/unit/member/test_memberstore.c \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(foreach t,member member_faults member_join member_prekey member_silence member_witness,$(eval $(call unit-test,unit-$(subst _,-,$(t)),\
	$(addprefix tests/unit/member/,test_$(t).c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c),\
	member servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-member-recent,tests/unit/member/test_recent.c,\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(eval $(call unit-test,unit-chat-store,tests/unit/member/test_chatstore.c,\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(foreach t,chat chat_waits,$(eval $(call unit-test,unit-$(subst _,-,$(t)),\
	$(addprefix tests/unit/member/,test_$(t).c chat_said.c office.c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c) \
	broker/groupword.c,member post nodecontrol datapath brokerengine servers common \
	ntmcrypto,$(SERVERS_PKGS) $(CONTROL_PKGS))))
$(foreach t,log saw,$(eval $(call unit-test,unit-member-$(t),\
	$(addprefix tests/unit/member/,test_member_$(t).c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c) \
	broker/groupword.c,member post nodecontrol datapath brokerengine servers common \
	ntmcrypto,$(SERVERS_PKGS) $(CONTROL_PKGS))))
$(foreach t,papers papers_again alive,$(eval $(call unit-test,unit-member-$(subst _,-,$(t)),\
	$(addprefix tests/unit/member/,test_$(t).c paper_stage.c) broker/groupword.c,\
	member post nodecontrol datapath brokerengine common ntmcrypto,$(CONTROL_PKGS))))
$(eval $(call unit-test,unit-member-upgrade,tests/unit/member/test_member_upgrade.c \
	tests/unit/common/oldstore.c $(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
