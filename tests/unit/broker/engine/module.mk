# SPDX-License-Identifier: MIT
# The keeper, its engine and the shim server, with a worker that stands in.
STANDIN := $(O)/tests/standin
$(STANDIN): $(O)/obj/tests/unit/broker/engine/standin.o \
		$(call lib,brokerengine common)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS))

# These start a broker of their own, so they run where a TUN is to be had.
ENGINE_TESTS := $(addprefix $(O)/tests/,test_keeper test_doorbell test_udpmap)
$(ENGINE_TESTS): $(O)/tests/%: $(O)/obj/tests/unit/broker/engine/%.o \
		$(call objs,tests/unit/broker/engine/fixture.c) \
		$(call lib,shimproto) | $(STANDIN) $(O)/bin/ntm-broker
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka
PRELOAD_TESTS += $(ENGINE_TESTS) tests/unit/broker/engine/test_programs.sh

$(eval $(call unit-test,unit-broker-page,tests/unit/broker/engine/test_page.c,brokerengine shimproto))
$(eval $(call unit-test,unit-broker-watchdog,tests/unit/broker/engine/test_watchdog.c broker/watchdog.c))
$(eval $(call unit-test,unit-broker-keeper-store,tests/unit/broker/engine/test_keeper_store.c broker/keeper_store.c))
