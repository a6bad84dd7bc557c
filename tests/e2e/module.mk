# SPDX-License-Identifier: MIT
# Helpers of the scenario tests.
E2E_TOOLS += $(O)/tests/e2e/wrongclock.so

$(O)/tests/e2e/wrongclock.so: $(O)/obj/tests/e2e/wrongclock.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $^

E2E_TOOLS += $(O)/tests/e2e/denied
$(O)/tests/e2e/denied: $(O)/obj/tests/e2e/denied.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs libseccomp)

E2E_TOOLS += $(O)/tests/e2e/flood
$(O)/tests/e2e/flood: $(O)/obj/tests/e2e/flood.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^

# 180-moves measures as make bench does
E2E_TOOLS += $(O)/tests/bench/beacon $(O)/tests/bench/stream

# 193-away-secrecy
E2E_TOOLS += $(O)/tests/e2e/burglar
$(O)/tests/e2e/burglar: $(O)/obj/tests/e2e/burglar.o $(O)/obj/tests/e2e/candidates.o \
		$(call lib,common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS) $(CRYPTO_PKGS)) $(LIBS)

# 266-group-secrecy
E2E_TOOLS += $(O)/tests/e2e/groupthief
$(O)/tests/e2e/groupthief: $(O)/obj/tests/e2e/groupthief.o $(O)/obj/tests/e2e/groupthief_take.o \
		$(O)/obj/tests/e2e/candidates.o \
		$(call lib,member brokerengine common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS) $(CRYPTO_PKGS)) $(LIBS)

# 267-group-secrecy-gms
E2E_TOOLS += $(O)/tests/e2e/ghostgms
$(O)/tests/e2e/ghostgms: $(O)/obj/tests/e2e/ghostgms.o $(call lib,ntmcrypto common)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS) $(CRYPTO_PKGS)) $(LIBS)

# 290-group-packets
E2E_TOOLS += $(O)/tests/e2e/playedmember
$(O)/tests/e2e/playedmember: $(O)/obj/tests/lab/playedmember.o \
		$(call lib,brokerengine nodecontrol common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS) $(CRYPTO_PKGS)) $(LIBS)
