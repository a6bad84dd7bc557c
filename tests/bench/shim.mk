# SPDX-License-Identifier: MIT
# Figures of the shim with engine and shim server; tests/bench/*.sh runs them.
SHIM_BENCHES := $(addprefix $(O)/tests/bench/,accept connect udp_server)
$(SHIM_BENCHES): $(O)/tests/bench/%: $(O)/obj/tests/bench/%.o \
		$(call objs,tests/bench/shim_bench.c preload/shimproto.c preload/shimpage.c \
		common/rundir.c)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^
bench-build: $(SHIM_BENCHES)
