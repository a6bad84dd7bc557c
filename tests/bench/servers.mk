# SPDX-License-Identifier: MIT
# Figures of the DC; tests/bench/dc-*.sh run them.
$(O)/tests/bench/dc_load: $(call objs,$(addprefix tests/bench/,dc_load.c dc_load_dc.c)) \
		$(call lib,servers common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/dc_load
# The relay's clients and a DC for it; tests/bench/relay.sh runs them.
$(O)/tests/bench/relay_load: $(call objs,$(addprefix tests/bench/,\
		relay_load.c relay_load_dc.c relay_load_client.c)) \
		$(call lib,servers common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/relay_load
# Nodes of a Notification Server and a DC for it; tests/bench/ns.sh runs them.
$(O)/tests/bench/ns_load: $(O)/obj/tests/bench/ns_load.o \
		$(call lib,servers common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/ns_load
# What a group's cryptography costs; tests/bench/group-keys.sh runs it.
$(O)/tests/bench/group_keys: $(O)/obj/tests/bench/group_keys.o \
		$(call lib,common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/group_keys
# Members of a group, as ntm-member has them, and a GMS; tests/bench/group.sh runs it.
$(O)/tests/bench/group_load: $(call objs,$(addprefix tests/bench/,\
		group_load.c group_crowd.c group_server.c group_store.c) \
		broker/groupword.c broker/groupsay.c) \
		$(call lib,member servers common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/group_load
# A relay's copies of a group's packet; tests/bench/group-relay.sh runs it.
$(O)/tests/bench/relay_fanout: $(addprefix $(O)/obj/tests/bench/,relay_fanout.o fanout.o) \
		$(call lib,servers common ntmcrypto)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ \
		$(shell pkg-config --libs $(SERVERS_PKGS)) $(LIBS)
bench-build: $(O)/tests/bench/relay_fanout
