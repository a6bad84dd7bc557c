# SPDX-License-Identifier: MIT
$(eval $(call unit-test,test_program,tests/unit/wrappers/test_program.c wrappers/program.c,,))
$(eval $(call unit-test,unit-wrappers-client,tests/unit/wrappers/test_client.c \
	wrappers/client.c,common,jansson))
