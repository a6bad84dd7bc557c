# SPDX-License-Identifier: MIT
$(eval $(call fuzz-target,manifest,tests/fuzz/fuzz_manifest.c broker/post/manifest.c \
	$(O)/gen/broker/post/item.pb-c.c,libprotobuf-c))
# What devices say to port 4507, libmicrohttpd and what is behind the requests played.
$(eval $(call fuzz-target,door,tests/fuzz/fuzz_door.c broker/post/door_request.c \
	broker/post/door_begin.c broker/post/door_batch.c \
	broker/post/values.c common/err.c $(FUZZ_DATAGRAM),jansson \
	$(FUZZ_DATAGRAM_PKGS)))
