# SPDX-License-Identifier: MIT
# libntm.so, and the static library shimproto that the broker links too.
SHIMPROTO_SRC := preload/shimproto.c preload/shimpage.c common/rundir.c
$(eval $(call static-library,shimproto,$(SHIMPROTO_SRC)))

LIBNTM_SRC := $(wildcard preload/*.c) common/rundir.c
LIBNTM := $(O)/lib/libntm.so
LIBRARIES += $(LIBNTM)
# A program of the system cannot load a library that wants libasan: under SAN= a
# plain one is built besides, and it is that which gets installed.
LIBNTM_INSTALLED := $(if $(SAN),$(O)/plain/libntm.so,$(LIBNTM))

# What libntm.so exports is what hooks.def names, nothing else. The anonymous
# version lets it stand in for any version of a libc symbol.
$(O)/gen/preload/libntm.map: preload/hooks.def
	@mkdir -p $(@D)
	@{ echo '{ global:'; \
	   $(CC) -E -P -D'HOOK_SYS(r,n,p,a,s,t)=n;' -D'HOOK_LIB(r,n,p,a,m,t)=n;' \
		-x c $<; echo 'local: *; };'; } >$@

# $(call shim-library,FILE,OBJECT FOLDER,FLAGS): own objects, with hidden visibility
# and nothing but libc's headers.
define shim-library
$(O)/$(2)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC      $$< (shim)"
	@$$(CC) -D_GNU_SOURCE -I. -std=gnu11 $$(CFLAGS) -fPIC -fvisibility=hidden \
		$$(WARN) $$(HARDEN) $(3) -MMD -MP -c -o $$@ $$<
$(1): $$(patsubst %.c,$(O)/$(2)/%.o,$$(LIBNTM_SRC)) $(O)/gen/preload/libntm.map
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) -shared -Wl,-soname,libntm.so -Wl,-Bsymbolic-functions $$(CFLAGS) \
		$$(HARDEN) $$(filter-out $$(SANFLAGS),$$(LDFLAGS)) $(3) \
		-Wl,--version-script=$(O)/gen/preload/libntm.map \
		-o $$@ $$(filter %.o,$$^) -ldl
all: $(1)
endef
$(eval $(call shim-library,$(LIBNTM),shim-obj,$(SANFLAGS)))
ifneq ($(SAN),)
$(eval $(call shim-library,$(LIBNTM_INSTALLED),shim-plain-obj,))
endif
