# SPDX-License-Identifier: MIT
$(eval $(call fuzz-target,cert,tests/fuzz/fuzz_cert.c $(CRYPTO_SRC),$(CRYPTO_PKGS)))
$(eval $(call fuzz-target,noise,tests/fuzz/fuzz_noise.c $(CRYPTO_SRC),$(CRYPTO_PKGS)))
$(eval $(call fuzz-target,item,tests/fuzz/fuzz_item.c $(CRYPTO_SRC),$(CRYPTO_PKGS)))
$(eval $(call fuzz-target,group,tests/fuzz/fuzz_group.c $(CRYPTO_SRC),$(CRYPTO_PKGS)))

# writes the seeds again, after a change of format
.PHONY: crypto-seeds
crypto-seeds: $(O)/obj/tests/fuzz/crypto_seeds.o $(call lib,ntmcrypto)
	@mkdir -p $(O)/tests tests/fuzz/corpus/cert tests/fuzz/corpus/noise tests/fuzz/corpus/item \
		tests/fuzz/corpus/group
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $(O)/tests/crypto-seeds $^ \
		$(shell pkg-config --libs $(CRYPTO_PKGS)) $(LIBS)
	@$(O)/tests/crypto-seeds
