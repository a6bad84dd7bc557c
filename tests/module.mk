# SPDX-License-Identifier: MIT
# tests - what `make check` builds and runs; see tests/run

# Before the folders' module.mk, which name it among their prerequisites.
LAB_TOOLS := $(O)/tests/lab/wire
$(O)/tests/lab/wire: $(O)/obj/tests/lab/wire.o $(O)/obj/tests/lab/lane.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^

# Helpers of scenario tests are added to E2E_TOOLS, tests of the shim to
# PRELOAD_TESTS, by the module.mk of their folder.
-include $(sort $(wildcard tests/*/module.mk tests/unit/*/module.mk \
	tests/fuzz/*.mk))

# The tests in namespaces use an installed copy, as a person would.
STAGE := $(O)/stage
.PHONY: stage check-build check-run
stage: all
	@rm -rf $(STAGE)
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(STAGE)) \
		PREFIX=/usr/local >/dev/null
	@mkdir -p $(STAGE)/usr/local && chmod -R a+rX $(STAGE)

FUZZ_BINS = $(addprefix $(O)/fuzz/,$(FUZZ_TARGETS))
RUN = O=$(O) SAN=$(SAN) UNIT_TESTS="$(UNIT_TESTS)" \
	PRELOAD_TESTS="$(PRELOAD_TESTS)" FUZZ_TARGETS="$(FUZZ_TARGETS)" \
	tests/run $(if $(T),-t '$(T)')

# Packages first, so the rest is a make of its own.
check:
	@packaging/deps.sh build test
	@$(MAKE) --no-print-directory check-build
	@$(RUN) unit preload fuzz lint e2e

check-build: all stage $(UNIT_TESTS) $(PRELOAD_TESTS) $(LAB_TOOLS) \
	$(E2E_TOOLS)
.SECONDEXPANSION:
check-build: $$(FUZZ_BINS)

check-unit: $$(UNIT_TESTS)
	@$(RUN) unit
check-preload: stage $$(PRELOAD_TESTS)
	@$(RUN) preload
check-fuzz: $$(FUZZ_BINS)
	@$(RUN) fuzz
check-e2e: stage $(LAB_TOOLS) $$(E2E_TOOLS)
	@$(RUN) e2e

# make fuzz [F=name] [SECONDS=60]: long runs; finds stay in $(O)/log/fuzz-*.d
# (bash counts SECONDS itself: only a value given on the command line is meant)
fuzz: $$(FUZZ_BINS)
	@FUZZ_SECONDS=$(if $(filter command line,$(origin SECONDS)),$(SECONDS),60) \
		O=$(O) FUZZ_TARGETS="$(if $(F),$(F),$(FUZZ_TARGETS))" tests/run fuzz
