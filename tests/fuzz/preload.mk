# SPDX-License-Identifier: MIT
$(foreach t,request answer,$(eval $(call fuzz-target,shim_$(t),\
	tests/fuzz/fuzz_shim_$(t).c preload/shimproto.c)))
