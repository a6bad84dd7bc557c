# SPDX-License-Identifier: MIT
SERVERS_SRC := $(filter-out servers/main.c servers/exit/%,$(wildcard servers/*.c servers/*/*.c)) \
	servers/exit/filter.c servers/exit/routes.c
$(eval $(call static-library,servers,$(SERVERS_SRC)))
SERVERS_PKGS := $(COMMON_PKGS) $(CRYPTO_PKGS) libseccomp ldns libunbound libcurl libmicrohttpd
$(eval $(call program,ntm-server,servers/main.c,servers common ntmcrypto,$(SERVERS_PKGS)))
-include servers/exit/module.mk
