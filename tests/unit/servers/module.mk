# SPDX-License-Identifier: MIT
SERVERS_TESTS := tokens exits login login_again mapping wake zone rate tables run
$(foreach t,$(SERVERS_TESTS),$(eval $(call unit-test,unit-servers-$(t),\
	tests/unit/servers/test_$(t).c tests/unit/servers/site.c tests/unit/servers/peer.c,\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,folder enrol,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) folder),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,direction registration withdraw restart,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) dc_site site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,gate gate_through,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) gate_site site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,ns ns_strangers,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) ns_site site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,relays relays_told relayed,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) relay_site played_rs site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,relay forward,$(eval $(call unit-test,unit-servers-$(t),\
	$(addprefix tests/unit/servers/,test_$(t).c path_site.c relay.c site.c peer.c),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,relay_dc fanout,$(eval $(call unit-test,unit-servers-$(t),\
	$(addprefix tests/unit/servers/,test_$(t).c relay.c site.c peer.c),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,paths outbox items ended crowd visitor,$(eval $(call unit-test,unit-servers-$(t),\
	tests/unit/servers/test_$(t).c,servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,items shelf accounts dcstore,$(eval $(call unit-test,unit-servers-$(t)_upgrade,\
	tests/unit/servers/test_$(t)_upgrade.c tests/unit/common/oldstore.c,\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-servers-ledger_upgrade,tests/unit/servers/test_ledger_upgrade.c \
	tests/unit/common/oldstore.c $(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(foreach t,domains domains_withdraw,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) far_site played_dc relay_site played_rs site peer)\
	tests/unit/common/pki.c,servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,finder boxlink,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) played_dc relay_site played_rs site peer)\
	tests/unit/common/pki.c,servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-servers-records,tests/unit/servers/test_records.c,\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(foreach t,filter net parts recover share,$(eval $(call unit-test,unit-exit-$(t),\
	$(addprefix tests/unit/servers/,test_exit_$(t).c exit_rig.c),\
	exitnet servers datapath common ntmcrypto,$(SERVERS_PKGS) slirp)))
$(eval $(call unit-test,unit-servers-amplify,\
	$(addprefix tests/unit/servers/,test_amplify.c relay.c site.c peer.c) tests/vectors/sample.c,\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(eval $(call unit-test,unit-exit-usage,tests/unit/servers/test_exit_usage.c \
	servers/exit/usage.c,,))
$(eval $(call unit-test,unit-exit-isolate,tests/unit/servers/test_exit_isolate.c \
	servers/exit/isolate.c,,libseccomp))
$(eval $(call unit-test,unit-servers-seal,tests/unit/servers/test_seal.c,\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(foreach t,box box_items box_refused,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) box_site site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,shelf shelf_servers,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) shelf_rig),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-servers-shelf_list,\
	$(patsubst %,tests/unit/servers/%.c,test_shelf_list shelf_rig box_site site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(foreach t,http http_batch http_limits,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) http_site https site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(foreach t,cs cs_small cs_faults cs_disk,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) cs_site cs_clock https site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-servers-ledger,tests/unit/servers/test_ledger.c \
	$(addprefix tests/unit/libntmcrypto/,groups.c fixture.c),\
	servers common ntmcrypto,$(SERVERS_PKGS)))
$(foreach t,gms gms_abroad gms_wishes gms_faults gms_pace gms_restored,$(eval $(call unit-test,unit-servers-$(t),\
	$(patsubst %,tests/unit/servers/%.c,test_$(t) gms_rig gms_stage gms_member site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS))))
$(eval $(call unit-test,unit-servers-gms_relay,\
	$(patsubst %,tests/unit/servers/%.c,test_gms_relay gms_rig gms_stage gms_member played_rs site peer),\
	servers common ntmcrypto,$(SERVERS_PKGS)))
