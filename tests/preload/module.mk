# SPDX-License-Identifier: MIT
# tests/preload - programs under the shim, against a fake broker

PRELOAD_DIR := $(O)/tests/preload
# a sanitized libntm.so needs the sanitizer's runtime in front of it
PRELOAD_SAN := $(if $(findstring address,$(SAN)),$(shell $(CC) -print-file-name=libasan.so):)

$(PRELOAD_DIR)/fakebroker: $(call objs,tests/preload/fakebroker.c \
		tests/preload/fakenet.c) $(call lib,shimproto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^
$(PRELOAD_DIR)/fakeresolv.so: $(call objs,tests/preload/fakeresolv.c)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -ldl
$(PRELOAD_DIR)/test_%: $(O)/obj/tests/preload/test_%.o \
		$(call objs,tests/preload/endpoint.c) $(call lib,shimproto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -lresolv -ldl -lpthread

# $(call preload-test,NAME,MODE OF THE BROKER,COMMAND,ENVIRONMENT)
define preload-test
$(PRELOAD_DIR)/shim-$(1).sh: tests/preload/module.mk $(LIBNTM) \
		$(PRELOAD_DIR)/fakebroker $(PRELOAD_DIR)/fakeresolv.so \
		$$(filter $(PRELOAD_DIR)/%,$(3))
	@printf '%s\n' '#!/bin/sh' 'here=$$$$(cd "$$$$(dirname "$$$$0")" && pwd)' \
		'exec env $(4) "$$$$here/fakebroker" $(2) \' \
		'"$(PRELOAD_SAN)$$$$here/../../lib/libntm.so:$$$$here/fakeresolv.so" \' \
		'$(patsubst $(PRELOAD_DIR)/%,"$$$$here/%",$(3))' >$$@
	@chmod +x $$@
PRELOAD_TESTS += $(PRELOAD_DIR)/shim-$(1).sh
endef

$(foreach t,swap processes page epoll accept udp many names passthrough,\
	$(eval $(call preload-test,$(t),good,$(PRELOAD_DIR)/test_$(t))))
$(foreach m,none dead close truncate trailing flip wrongop error hang,\
	$(eval $(call preload-test,broker-$(m),$(m),$(PRELOAD_DIR)/test_nobroker)))
$(foreach m,both virtual real,\
	$(eval $(call preload-test,listen-$(m),good,$(PRELOAD_DIR)/test_modes,\
		NTM_LISTEN=$(m))))
$(foreach m,auto relay,$(foreach b,good hang,\
	$(eval $(call preload-test,exit-$(m)-$(b),$(b),$(PRELOAD_DIR)/test_exit,\
	NTM_EXIT=$(m)))))
# interpreters leak by design
$(eval $(call preload-test,python,good,/usr/bin/python3 tests/preload/smoke.py,\
	ASAN_OPTIONS=detect_leaks=0))
$(eval $(call preload-test,node,good,node tests/preload/smoke.js,\
	ASAN_OPTIONS=detect_leaks=0))
PRELOAD_TESTS += tests/preload/manual.sh

# tests/bench/passthrough.sh measures the shim with the same fake broker
$(O)/tests/bench/passthrough: $(O)/obj/tests/bench/passthrough.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^
bench-build: $(O)/tests/bench/passthrough $(PRELOAD_DIR)/fakebroker
