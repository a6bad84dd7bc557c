# SPDX-License-Identifier: MIT
$(eval $(call unit-test,unit-member-store,tests/unit/member/test_memberstore.c \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(eval $(call unit-test,unit-member,\
	$(addprefix tests/unit/member/,test_member.c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c),\
	member servers common ntmcrypto,$(SERVERS_PKGS)))
$(eval $(call unit-test,unit-member-faults,\
	$(addprefix tests/unit/member/,test_member_faults.c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c),\
	member servers common ntmcrypto,$(SERVERS_PKGS)))
$(eval $(call unit-test,unit-chat-store,tests/unit/member/test_chatstore.c,\
	member common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS)))
$(eval $(call unit-test,unit-chat,\
	$(addprefix tests/unit/member/,test_chat.c office.c seats.c) $(addprefix tests/unit/servers/,gms_stage.c site.c peer.c) \
	broker/groupword.c,member post nodecontrol datapath brokerengine servers common \
	ntmcrypto,$(SERVERS_PKGS) $(CONTROL_PKGS)))
$(eval $(call unit-test,unit-member-papers,tests/unit/member/test_papers.c broker/groupword.c,\
	member post nodecontrol datapath brokerengine common ntmcrypto,$(CONTROL_PKGS)))
