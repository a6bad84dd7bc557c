# SPDX-License-Identifier: MIT
$(eval $(call fuzz-target,dns,tests/fuzz/fuzz_dns.c servers/dns/zone.c \
	common/addr.c common/addr_message.c common/err.c $(O)/gen/common/ntm.pb-c.c $(CRYPTO_SRC),\
	libprotobuf-c ldns $(CRYPTO_PKGS)))
$(eval $(call fuzz-target,rs,tests/fuzz/fuzz_rs.c \
	$(addprefix servers/rs/,forward.c punch.c placepunch.c fanout.c groups.c probe.c \
	outbox.c paths.c quota.c locals.c thread.c) servers/keyhash.c common/addr.c common/addr_message.c common/err.c \
	$(FUZZ_DATAGRAM),$(FUZZ_DATAGRAM_PKGS)))
# Whatever nodes and hosts send, libslirp behind it.
$(eval $(call fuzz-target,exit,tests/fuzz/fuzz_exit.c servers/exit/filter.c \
	servers/exit/routes.c \
	$(EXITNET_SRC) $(addprefix broker/datapath/,inner.c checksum.c icmp.c) \
	common/addr.c common/addr_message.c common/err.c common/log.c common/netdump.c $(O)/gen/common/ntm.pb-c.c,\
	libprotobuf-c slirp libmnl))
$(eval $(call fuzz-target,finder,tests/fuzz/fuzz_finder.c \
	$(addprefix servers/resolver/,answer.c records.c) common/addr.c common/addr_message.c \
	common/err.c common/fqdn.c $(O)/gen/common/ntm.pb-c.c $(CRYPTO_SRC),\
	libprotobuf-c $(CRYPTO_PKGS)))
# HTTPS of Cache Server and box, libmicrohttpd played; what other domains' boxes ask.
$(eval $(call fuzz-target,http,tests/fuzz/fuzz_http.c tests/fuzz/played_mhd.c \
	servers/http_request.c servers/http_answer.c servers/http_fields.c servers/http_batch.c \
	$(addprefix servers/box/,api.c api_prekeys.c api_waiting.c api_servers.c) \
	servers/box/inbound.c common/addr.c common/addr_message.c common/err.c common/log.c \
	$(FUZZ_DATAGRAM),jansson gnutls $(FUZZ_DATAGRAM_PKGS)))
$(eval $(call fuzz-target,cs,tests/fuzz/fuzz_cs.c tests/fuzz/played_mhd.c \
	servers/http_request.c servers/http_answer.c servers/http_fields.c servers/http_batch.c \
	$(addprefix servers/cs/,requests.c keys.c listing.c ending.c transfers.c) servers/cs/items_names.c \
	common/addr.c common/addr_message.c common/err.c common/log.c \
	$(FUZZ_DATAGRAM),jansson gnutls $(FUZZ_DATAGRAM_PKGS)))
# What the AS says to Cache Servers, boxes and GMSs.
$(eval $(call fuzz-target,tokens,tests/fuzz/fuzz_tokens.c servers/tokens.c \
	servers/gms/asfeed.c common/addr.c common/addr_message.c common/err.c common/log.c \
	$(FUZZ_DATAGRAM),$(FUZZ_DATAGRAM_PKGS)))
# What devices say to a GMS; its store is real.
$(eval $(call fuzz-target,gms,tests/fuzz/fuzz_gms.c \
	$(addprefix servers/gms/,callers.c entries.c pace.c people.c follow.c defined.c ledger.c \
	ledger_end.c ledger_load.c ledger_people.c ledger_plans.c) $(addprefix common/,store.c file.c addr.c \
	err.c log.c grouprules.c) $(FUZZ_DATAGRAM),sqlite3 jansson $(FUZZ_DATAGRAM_PKGS)))
