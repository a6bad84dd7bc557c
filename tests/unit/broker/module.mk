# SPDX-License-Identifier: MIT
-include $(sort $(wildcard tests/unit/broker/*/module.mk))
