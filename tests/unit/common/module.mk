# SPDX-License-Identifier: MIT
COMMON_TESTS := acceptor addr buffer conf datagram err file fqdn frame jsonread jsontext log loop out packet plain store \
	timerheap tls unixsock channel channel_limits vectors
$(foreach t,$(COMMON_TESTS),$(eval $(call unit-test,unit-common-$(t),\
	tests/unit/common/test_$(t).c tests/unit/common/pki.c \
	$(if $(findstring channel,$(t)),tests/unit/common/channel_fixture.c) \
	tests/vectors/sample.c $(addprefix tests/vectors/,vectors.c items.c groups.c),\
	common ntmcrypto,$(COMMON_PKGS) $(CRYPTO_PKGS))))
