# SPDX-License-Identifier: MIT
SERVERS_SRC := $(filter-out servers/main.c,$(wildcard servers/*.c servers/*/*.c))
$(eval $(call static-library,servers,$(SERVERS_SRC)))
SERVERS_PKGS := $(COMMON_PKGS) $(CRYPTO_PKGS) libseccomp ldns libunbound
$(eval $(call program,ntm-server,servers/main.c,servers common ntmcrypto,$(SERVERS_PKGS)))
