# SPDX-License-Identifier: MIT
VECTOR_SRC := $(addprefix tests/vectors/,vectors.c items.c groups.c sample.c)
$(O)/tests/vectors/vectors: $(call objs,$(VECTOR_SRC) tests/vectors/main.c) \
		$(call lib,common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(COMMON_PKGS) $(CRYPTO_PKGS)) $(LIBS)

.PHONY: vectors
vectors: $(O)/tests/vectors/vectors
	@$< > docs/vectors.txt.new && mv docs/vectors.txt.new docs/vectors.txt
