# SPDX-License-Identifier: MIT
# ntm-member: the node's process that holds groups' keys; its parts so far.
$(eval $(call static-library,member,$(wildcard broker/member/*.c)))
