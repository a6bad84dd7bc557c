# SPDX-License-Identifier: MIT
DATAPATH_FUZZ_SRC := $(wildcard broker/datapath/*.c) $(COMMON_SRC) $(CRYPTO_SRC)
DATAPATH_FUZZ_PKGS := $(COMMON_PKGS) $(CRYPTO_PKGS)
$(eval $(call fuzz-target,inner,tests/fuzz/fuzz_inner.c $(DATAPATH_FUZZ_SRC),$(DATAPATH_FUZZ_PKGS)))
$(eval $(call fuzz-target,data,tests/fuzz/fuzz_data.c $(DATAPATH_FUZZ_SRC),$(DATAPATH_FUZZ_PKGS)))
$(eval $(call fuzz-target,alias,tests/fuzz/fuzz_alias.c \
	$(addprefix broker/datapath/,alias.c inner.c checksum.c),))
