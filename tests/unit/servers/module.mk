# SPDX-License-Identifier: MIT
SERVERS_TESTS := login direction zone rate tables folder run
$(foreach t,$(SERVERS_TESTS),$(eval $(call unit-test,unit-servers-$(t),\
	tests/unit/servers/test_$(t).c tests/unit/servers/site.c,\
	servers common ntmcrypto,$(SERVERS_PKGS))))
