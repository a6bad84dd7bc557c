# SPDX-License-Identifier: MIT
# The node: keeper (ntm-broker) and worker (ntm-worker).
-include broker/datapath/module.mk broker/engine.mk broker/control.mk \
	broker/post/module.mk broker/member/module.mk
