# SPDX-License-Identifier: MIT
# tests/bench - programs that measure; tests/bench/run drives them

BENCH_TOOLS := $(patsubst tests/bench/%.c,$(O)/tests/bench/%,\
	tests/bench/beacon.c tests/bench/udp.c tests/bench/resolve.c \
	tests/bench/stream.c)
# They run under ntm-run, where a sanitizer's library would not be the first.
$(BENCH_TOOLS): SANFLAGS :=
$(BENCH_TOOLS): $(O)/tests/bench/%: $(O)/obj/tests/bench/%.o $(O)/obj/tests/bench/sockets.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^

# make bench [B=name]
bench:
	@packaging/deps.sh build test bench
	@$(MAKE) --no-print-directory bench-build
	@O=$(O) tests/bench/run $(B)
bench-build: all stage $(LAB_TOOLS) $(BENCH_TOOLS)
.PHONY: bench-build
include tests/bench/shim.mk
include tests/bench/servers.mk
