# SPDX-License-Identifier: MIT
FUZZ_DATAGRAM := common/datagram.c common/limits.c common/packet.c \
	common/fqdn.c $(O)/gen/common/ntm.pb-c.c $(CRYPTO_SRC)
FUZZ_DATAGRAM_PKGS := libprotobuf-c $(CRYPTO_PKGS)
$(eval $(call fuzz-target,signal,tests/fuzz/fuzz_signal.c $(FUZZ_DATAGRAM),\
	$(FUZZ_DATAGRAM_PKGS)))
$(eval $(call fuzz-target,packet,tests/fuzz/fuzz_packet.c $(FUZZ_DATAGRAM),\
	$(FUZZ_DATAGRAM_PKGS)))
$(eval $(call fuzz-target,conf,tests/fuzz/fuzz_conf.c common/conf.c \
	common/err.c,inih))
$(eval $(call fuzz-target,gateframe,tests/fuzz/fuzz_gateframe.c \
	common/gateframe.c,))
$(eval $(call fuzz-target,tlshello,tests/fuzz/fuzz_tlshello.c \
	common/tlshello.c,))
$(eval $(call fuzz-target,frame,tests/fuzz/fuzz_frame.c common/frame.c \
	$(FUZZ_DATAGRAM),$(FUZZ_DATAGRAM_PKGS)))
$(eval $(call fuzz-target,jsonread,tests/fuzz/fuzz_jsonread.c common/jsonread.c,\
	jansson))
