# SPDX-License-Identifier: MIT
$(eval $(call fuzz-target,manifest,tests/fuzz/fuzz_manifest.c broker/post/manifest.c \
	$(O)/gen/broker/post/item.pb-c.c,libprotobuf-c))
