# SPDX-License-Identifier: MIT
# The keeper, its engine and the shim server, with a worker that stands in.
STANDIN := $(O)/tests/standin
$(STANDIN): $(O)/obj/tests/unit/broker/engine/standin.o \
		$(call lib,brokerengine common)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS))
