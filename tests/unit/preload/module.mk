# SPDX-License-Identifier: MIT
$(foreach t,shimproto page rundir,$(eval $(call unit-test,unit-preload-$(t),\
	tests/unit/preload/test_$(t).c,shimproto)))
