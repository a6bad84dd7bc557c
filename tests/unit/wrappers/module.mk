# SPDX-License-Identifier: MIT
$(eval $(call unit-test,test_program,tests/unit/wrappers/test_program.c wrappers/program.c,,))
