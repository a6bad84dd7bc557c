# SPDX-License-Identifier: MIT
# The node's control plane: everything of the worker but data path and shim server.
$(O)/gen/broker/%.pb-c.c $(O)/gen/broker/%.pb-c.h: broker/%.proto
	@mkdir -p $(O)/gen
	@echo "  PROTO   $<"
	@protoc-c --c_out=$(O)/gen $<
GENERATED += $(O)/gen/broker/state.pb-c.h
CONTROL_SRC := broker/domains.c $(addprefix broker/,account.c statefile.c login.c as_link.c \
	session.c registration.c presence.c request.c keepalive.c feeler.c notify.c revocation.c writer.c pins.c pins_file.c pins_server.c \
	policy.c policy_line.c handshake.c direction.c \
	peer.c peer_keys.c peer_control.c peer_ask.c peers.c early.c shake.c path.c path_probe.c path_health.c \
	relayed.c pmtu.c relay.c relay_seen.c relay_told.c punch.c punch_ends.c punch_save.c \
	gate.c gate_way.c gatelist.c \
	peer_route.c resolve.c exit.c portmap.c asking.c posterlink.c poster_kind.c postlink.c memberlink.c poster_child.c brokerconf.c groups.c \
	groupname.c groupmember.c groupword.c groupplace.c worker.c worker_names.c) \
	$(O)/gen/broker/state.pb-c.c
WORKER_SRC := $(addprefix broker/,worker_main.c hostenv.c handover.c wake.c control.c \
	control_account.c control_exit.c control_ping.c control_verify.c control_allow.c control_status.c control_netcheck.c control_push.c \
	isolate.c grouplink.c)
CONTROL_PKGS := gnutls nettle libsodium libargon2 libevent libprotobuf-c sqlite3 \
	inih jansson libmnl libseccomp
# Strangers' XML and libraries that block: a program of its own, without keys.
PORTMAP_SRC := $(addprefix broker/,portmap_main.c portmap_try.c portmap_upnp.c pcp.c)
$(O)/bin/ntm-portmap: LIBS += -lnatpmp
$(eval $(call program,ntm-portmap,$(PORTMAP_SRC),,miniupnpc libseccomp))
$(eval $(call static-library,nodecontrol,$(CONTROL_SRC)))
$(eval $(call program,ntm-worker,$(WORKER_SRC),nodecontrol datapath brokerengine \
	common ntmcrypto,$(CONTROL_PKGS)))
