# SPDX-License-Identifier: MIT
# ntm-member: the node's process that holds groups' keys.
MEMBER_SRC := $(filter-out broker/member/main.c,$(wildcard broker/member/*.c))
$(eval $(call static-library,member,$(MEMBER_SRC)))
$(eval $(call program,ntm-member,broker/member/main.c broker/groupword.c broker/wake.c,member post nodecontrol \
	datapath brokerengine common ntmcrypto,$(CONTROL_PKGS)))
