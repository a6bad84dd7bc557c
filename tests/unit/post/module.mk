# SPDX-License-Identifier: MIT
POST_TESTS := manifest payload
$(foreach t,$(POST_TESTS),$(eval $(call unit-test,unit-post-$(t),\
	tests/unit/post/test_$(t).c tests/unit/post/fixture.c,\
	item common ntmcrypto,libprotobuf-c $(CRYPTO_PKGS))))
$(foreach t,post hostile lasting clock room room_direct direct direct_later order many removal receipt apart,$(eval $(call unit-test,unit-post-$(t),\
	tests/unit/post/test_$(t).c tests/unit/post/ends.c tests/unit/post/fixture.c \
	$(if $(filter direct order,$(t)),tests/unit/post/disk.c) \
	$(if $(filter room room_direct,$(t)),tests/unit/post/small_disk.c) \
	$(if $(filter direct direct_later room_direct,$(t)),tests/unit/post/direct_site.c) \
	tests/unit/common/pki.c,post item nodecontrol datapath brokerengine common \
	ntmcrypto,$(CONTROL_PKGS) libcurl libmicrohttpd)))
$(eval $(call unit-test,unit-post-isolate,tests/unit/post/test_isolate.c \
	tests/unit/post/fixture.c,post common,libseccomp))
$(eval $(call unit-test,unit-post-poststore_upgrade,\
	tests/unit/post/test_poststore_upgrade.c tests/unit/common/oldstore.c,\
	post common ntmcrypto,$(CONTROL_PKGS)))
