# SPDX-License-Identifier: MIT
#
# NTMobile for Linux - the one Makefile; each folder adds a short module.mk.
#
#   make                  build everything into $(O)
#   make demo             the main job, shown live          make check   all tests
#   make deps             install the Debian packages all of this needs
#   make deps FOR=build   only those of plain make          make help    this list
#   make install PREFIX=/usr/local DESTDIR=                 make uninstall
#   make check SAN=address,undefined                        make check-e2e T=curl
#   make bench B=throughput      make lint      make fuzz F=packet SECONDS=60

SHELL   := /bin/bash
VERSION := 0.1.0
O       ?= $(if $(SAN),build-san,build)
PREFIX  ?= /usr/local
DESTDIR ?=
# Not every shell expands ~ in an argument; nothing built knows the PREFIX.
override PREFIX := $(abspath $(patsubst ~/%,$(HOME)/%,$(PREFIX)))
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
FUZZ_CC ?= clang

PKGS := gnutls nettle libsodium libevent libprotobuf-c sqlite3 libargon2 \
        libmnl libseccomp jansson inih ldns miniupnpc slirp libcurl libmicrohttpd

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wvla -Wformat=2 -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection
ifeq ($(SAN),)
HARDEN += -D_FORTIFY_SOURCE=2
else
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
CPPFLAGS += -D_GNU_SOURCE -I. -I$(O)/gen -DNTM_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(CFLAGS) -fPIC $(WARN) $(HARDEN) $(SANFLAGS) \
             $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# AES-GCM by VAES (libntmcrypto/vaes.c); Debian has it on amd64 only.
LIBS := $(if $(wildcard /usr/include/intel-ipsec-mb.h),-lIPSec_MB) -ldl -lpthread
LDFLAGS  += -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help clean deps can-build demo check check-unit check-preload check-e2e check-fuzz \
        bench lint format fuzz install uninstall headers-check
all:

# --- building blocks used by the module.mk files -----------------------------
objs = $(patsubst %.c,$(O)/obj/%.o,$(filter-out $(O)/gen/%,$(1))) \
       $(patsubst $(O)/gen/%.c,$(O)/obj/gen/%.o,$(filter $(O)/gen/%,$(1)))
lib  = $(patsubst %,$(O)/lib/lib%.a,$(1))

# $(call static-library,NAME,SOURCES)
# A new source shows in a makefile only: so the library depends on that, too.
define static-library
$(call lib,$(1)): $$(call objs,$(2)) $(lastword $(MAKEFILE_LIST))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$(filter %.o,$$^)
all: $(call lib,$(1))
SOURCES_$(1) := $(2)
endef

# $(call program,NAME,SOURCES,STATIC LIBRARIES IN LINK ORDER,PKG-CONFIG NAMES)
define program
$(O)/bin/$(1): $$(call objs,$(2)) $$(call lib,$(3))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$^ \
		$$(if $(4),$$(shell pkg-config --libs $(4))) $$(LIBS)
all: $(O)/bin/$(1)
endef

# $(call unit-test,NAME,SOURCES,STATIC LIBRARIES,PKG-CONFIG NAMES)
define unit-test
$(O)/tests/$(1): $$(call objs,$(2)) $$(call lib,$(3))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$^ \
		$$(if $(4),$$(shell pkg-config --libs $(4))) -lcmocka $$(LIBS)
UNIT_TESTS += $(O)/tests/$(1)
endef

# $(call fuzz-target,NAME,SOURCES (the target and everything it needs),PKG-CONFIG NAMES)
# Corpus: tests/fuzz/corpus/NAME/
define fuzz-target
$(O)/fuzz/$(1): $$(patsubst %.c,$(O)/fuzz-obj/%.o,$$(patsubst $(O)/gen/%,gen/%,$(2)))
	@mkdir -p $$(@D)
	@echo "  FUZZLD  $$@"
	@$$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $$@ $$^ \
		$$(if $(3),$$(shell pkg-config --libs $(3))) $$(LIBS)
FUZZ_TARGETS += $(1)
endef

# A module.mk adds to GENERATED what must exist before anything is compiled.
GENERATED :=
MODULES := common libntmcrypto preload broker servers wrappers packaging tests
include $(wildcard $(addsuffix /module.mk,$(MODULES)))

$(O)/obj/gen/%.o: $(O)/gen/%.c | $(GENERATED)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-shadow -MMD -MP -c -o $@ $<
$(O)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
FUZZ_CFLAGS = -std=gnu11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
              -fno-sanitize-recover=undefined -DNTM_FUZZING \
              $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
$(O)/fuzz-obj/gen/%.o: $(O)/gen/%.c | $(GENERATED)
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/fuzz-obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	@echo "  FUZZCC  $<"
	@$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(O) -name '*.d' -type f 2>/dev/null)

# --- checks on the sources -------------------------------------------------------
C_FILES = $(shell git ls-files '*.c' '*.h' 2>/dev/null || \
	find $(MODULES) -name '*.[ch]')
HEADERS = $(filter %.h,$(C_FILES))

format:
	clang-format -i $(C_FILES)

# Every header compiles alone.
headers-check: $(GENERATED)
	@for h in $(HEADERS); do \
		$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fsyntax-only -x c $$h || exit 1; \
	done

lint: $(GENERATED)
	@O=$(O) CPPFLAGS='$(subst ','\'',$(CPPFLAGS))' tests/lint

FOR ?= build test bench demo
deps:
	@packaging/deps.sh $(FOR)

# Says in a sentence what is missing before a compiler says it in a hundred.
$(GENERATED): | can-build
can-build:
	@if ! type $(firstword $(CC)) protoc-c pkg-config &>/dev/null || \
	    ! pkg-config --exists $(PKGS) || \
	    ! $(CC) -E -include uthash.h -include natpmp.h -x c /dev/null &>/dev/null; then \
		packaging/deps.sh -n build; \
		echo "To install what is missing: make deps FOR=build"; exit 1; \
	fi >&2

help:
	@sed -n '5,/^$$/s/^# \{0,1\}//p' Makefile

clean:
	rm -rf build build-san
