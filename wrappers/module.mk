# SPDX-License-Identifier: MIT
NTM_RUN_SRC := wrappers/ntm_run.c wrappers/program.c wrappers/client.c
NTM_SRC := $(wildcard wrappers/cmd_*.c) wrappers/ntm.c wrappers/client.c \
           wrappers/secret_input.c wrappers/items.c wrappers/place.c
# ntm-run stands before every program's start: it links no cryptography.
$(eval $(call program,ntm-run,$(NTM_RUN_SRC),common,jansson))
$(eval $(call program,ntm,$(NTM_SRC),common ntmcrypto,jansson libprotobuf-c $(CRYPTO_PKGS)))
