# SPDX-License-Identifier: MIT
POST_TESTS := manifest payload
$(foreach t,$(POST_TESTS),$(eval $(call unit-test,unit-post-$(t),\
	tests/unit/post/test_$(t).c tests/unit/post/fixture.c,\
	post common ntmcrypto,libprotobuf-c $(CRYPTO_PKGS))))
