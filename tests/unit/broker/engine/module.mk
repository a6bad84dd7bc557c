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
ENGINE_TESTS := $(addprefix $(O)/tests/,test_keeper)
$(ENGINE_TESTS): $(O)/tests/%: $(O)/obj/tests/unit/broker/engine/%.o \
		$(call objs,tests/unit/broker/engine/fixture.c \
		preload/shimproto.c) | $(STANDIN) $(O)/bin/ntm-broker
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka
PRELOAD_TESTS += $(ENGINE_TESTS)
