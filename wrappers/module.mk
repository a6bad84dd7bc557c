# SPDX-License-Identifier: MIT
NTM_RUN_SRC := wrappers/ntm_run.c wrappers/program.c wrappers/client.c wrappers/child.c
NTM_SRC := $(wildcard wrappers/cmd_*.c) wrappers/ntm.c wrappers/command.c wrappers/client.c wrappers/child.c \
           wrappers/secret_input.c wrappers/items.c wrappers/inbox_rows.c wrappers/place.c \
           wrappers/place_mode.c wrappers/placed.c
# ntm-run stands before every program's start: it links no cryptography.
$(eval $(call program,ntm-run,$(NTM_RUN_SRC),common,jansson))
# Of the library it wipes alone: starts are cheap where nothing loads GnuTLS.
$(eval $(call program,ntm,$(NTM_SRC),common ntmcrypto,jansson))

NTM_GROUP_SRC := $(addprefix wrappers/,ntm_group.c command.c group_do.c group_show.c group_words.c \
	group_chat.c group_line.c client.c child.c)
$(eval $(call program,ntm-group,$(NTM_GROUP_SRC),common ntmcrypto,jansson libqrencode libedit \
	libprotobuf-c $(CRYPTO_PKGS)))

# libntmclient.so, for programs that send and receive items: ntmclient.h, and no other
# symbol.
CLIENT_LIB := $(O)/lib/libntmclient.so.0
$(CLIENT_LIB): $(call objs,wrappers/ntmclient.c wrappers/client.c wrappers/child.c wrappers/place.c \
		wrappers/place_mode.c wrappers/placed.c common/rundir.c common/err.c) wrappers/ntmclient.map wrappers/module.mk
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared -Wl,-soname,libntmclient.so.0 $(ALL_CFLAGS) $(LDFLAGS) \
		-Wl,--version-script=wrappers/ntmclient.map \
		-o $@ $(filter %.o,$^) $(shell pkg-config --libs jansson)
all: $(CLIENT_LIB)
