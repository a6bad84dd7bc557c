# SPDX-License-Identifier: MIT
# ntm-post: the node's process that sends and receives items.
$(O)/gen/broker/post/%.pb-c.c $(O)/gen/broker/post/%.pb-c.h: broker/post/%.proto
	@mkdir -p $(O)/gen
	@echo "  PROTO   $<"
	@protoc-c --c_out=$(O)/gen $<
GENERATED += $(O)/gen/broker/post/item.pb-c.h
POST_SRC := $(addprefix broker/post/,manifest.c pack.c pack_read.c unpack.c) \
	$(O)/gen/broker/post/item.pb-c.c
$(eval $(call static-library,post,$(POST_SRC)))
