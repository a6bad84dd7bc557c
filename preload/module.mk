# SPDX-License-Identifier: MIT
# libntm.so, and the static library shimproto that the broker links too.
SHIMPROTO_SRC := preload/shimproto.c preload/shimpage.c common/rundir.c
$(eval $(call static-library,shimproto,$(SHIMPROTO_SRC)))

LIBNTM_SRC := $(wildcard preload/*.c) common/rundir.c
LIBNTM := $(O)/lib/libntm.so
LIBRARIES += $(LIBNTM)
LIBNTM_OBJ := $(patsubst %.c,$(O)/shim-obj/%.o,$(LIBNTM_SRC))

# Own objects: hidden visibility, and nothing but libc's headers.
$(O)/shim-obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $< (shim)"
	@$(CC) -D_GNU_SOURCE -I. -std=gnu11 $(CFLAGS) -fPIC -fvisibility=hidden \
		$(WARN) $(HARDEN) $(SANFLAGS) -MMD -MP -c -o $@ $<

# What libntm.so exports is what hooks.def names, nothing else. The anonymous
# version lets it stand in for any version of a libc symbol.
$(O)/gen/preload/libntm.map: preload/hooks.def
	@mkdir -p $(@D)
	@{ echo '{ global:'; \
	   $(CC) -E -P -D'HOOK_SYS(r,n,p,a,s,t)=n;' -D'HOOK_LIB(r,n,p,a,m,t)=n;' \
		-x c $<; echo 'local: *; };'; } >$@

$(LIBNTM): $(LIBNTM_OBJ) $(O)/gen/preload/libntm.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared -Wl,-soname,libntm.so -Wl,-Bsymbolic-functions $(CFLAGS) $(HARDEN) $(LDFLAGS) \
		-Wl,--version-script=$(O)/gen/preload/libntm.map \
		-o $@ $(LIBNTM_OBJ) -ldl
all: $(LIBNTM)
