# SPDX-License-Identifier: MIT
$(eval $(call fuzz-target,dns,tests/fuzz/fuzz_dns.c servers/dns/zone.c \
	common/addr.c common/err.c $(O)/gen/common/ntm.pb-c.c $(CRYPTO_SRC),\
	libprotobuf-c ldns $(CRYPTO_PKGS)))
