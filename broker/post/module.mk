# SPDX-License-Identifier: MIT
# ntm-post: the node's process that sends and receives items.
$(O)/gen/broker/post/%.pb-c.c $(O)/gen/broker/post/%.pb-c.h: broker/post/%.proto
	@mkdir -p $(O)/gen
	@echo "  PROTO   $<"
	@protoc-c --c_out=$(O)/gen $<
GENERATED += $(O)/gen/broker/post/item.pb-c.h
# what opens and writes items, also for commands that place what came
ITEM_SRC := $(addprefix broker/post/,manifest.c pack.c pack_read.c unpack.c) \
	$(O)/gen/broker/post/item.pb-c.c
$(eval $(call static-library,item,$(ITEM_SRC)))
POST_SRC := $(filter-out broker/post/main.c $(ITEM_SRC),$(wildcard broker/post/*.c))
$(eval $(call static-library,post,$(POST_SRC)))
$(eval $(call program,ntm-post,broker/post/main.c,post item nodecontrol datapath \
	brokerengine common ntmcrypto,$(CONTROL_PKGS) libcurl libmicrohttpd))
