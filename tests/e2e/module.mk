# SPDX-License-Identifier: MIT
# Helpers of the scenario tests.
E2E_TOOLS += $(O)/tests/e2e/wrongclock.so

$(O)/tests/e2e/wrongclock.so: $(O)/obj/tests/e2e/wrongclock.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $^
