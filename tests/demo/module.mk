# SPDX-License-Identifier: MIT
# tests/demo - the main job, live

$(O)/tests/demo/meter: $(O)/obj/tests/demo/meter.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^

demo:
	@packaging/deps.sh build demo
	@$(MAKE) --no-print-directory demo-build
	@O=$(O) LAB_TEST=demo LAB_TIMEOUT=600 tests/demo/demo.sh
demo-build: all stage $(LAB_TOOLS) $(O)/tests/demo/meter
.PHONY: demo-build
