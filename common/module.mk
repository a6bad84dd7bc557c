# SPDX-License-Identifier: MIT
$(O)/gen/common/%.pb-c.c $(O)/gen/common/%.pb-c.h: common/%.proto
	@mkdir -p $(O)/gen
	@echo "  PROTO   $<"
	@protoc-c --c_out=$(O)/gen $<
GENERATED += $(O)/gen/common/ntm.pb-c.h
COMMON_SRC := $(wildcard common/*.c) $(O)/gen/common/ntm.pb-c.c
$(eval $(call static-library,common,$(COMMON_SRC)))
COMMON_PKGS := gnutls libevent libprotobuf-c sqlite3 inih jansson libmnl
