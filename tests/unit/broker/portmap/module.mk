# SPDX-License-Identifier: MIT
$(eval $(call unit-test,unit-broker-pcp,tests/unit/broker/portmap/test_pcp.c broker/pcp.c))
UNIT_TESTS += tests/unit/broker/portmap/test_routers.py
tests/unit/broker/portmap/test_routers.py: $(O)/bin/ntm-portmap
