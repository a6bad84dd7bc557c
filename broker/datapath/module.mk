# SPDX-License-Identifier: MIT
DATAPATH_SRC := $(wildcard broker/datapath/*.c)
$(eval $(call static-library,datapath,$(DATAPATH_SRC)))

# The bare data path for tests/bench/datapath.sh, without a broker around it.
DP_PAIR := $(O)/tests/bench/dp_pair
$(DP_PAIR): $(call objs,tests/bench/dp_pair.c) \
	$(call lib,datapath common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs gnutls nettle libsodium libargon2 \
			libevent libprotobuf-c sqlite3 inih jansson) $(LIBS)
bench-build: $(DP_PAIR)

# One packet to many tunnels, for tests/bench/group-packets.sh.
GROUP_FANOUT := $(O)/tests/bench/group_fanout
$(GROUP_FANOUT): $(call objs,tests/bench/group_fanout.c tests/bench/fanout.c) \
	$(call lib,datapath common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs gnutls nettle libsodium libargon2 \
			libevent libprotobuf-c sqlite3 inih jansson) $(LIBS)
bench-build: $(GROUP_FANOUT)
