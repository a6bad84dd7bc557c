# SPDX-License-Identifier: MIT
$(eval $(call unit-test,test_program,tests/unit/wrappers/test_program.c wrappers/program.c,,))
$(eval $(call unit-test,unit-wrappers-client,tests/unit/wrappers/test_client.c \
	wrappers/client.c wrappers/child.c,common,jansson))
$(eval $(call unit-test,unit-wrappers-place,tests/unit/wrappers/test_place.c \
	tests/unit/post/fixture.c $(addprefix wrappers/,place.c place_mode.c placed.c child.c),\
	common,jansson))
$(eval $(call unit-test,unit-wrappers-inbox_rows,tests/unit/wrappers/test_inbox_rows.c \
	wrappers/inbox_rows.c,common,jansson))
$(eval $(call unit-test,unit-wrappers-ntmclient,tests/unit/wrappers/test_ntmclient.c \
	$(addprefix wrappers/,ntmclient.c client.c child.c place.c place_mode.c placed.c),common,jansson))
$(eval $(call unit-test,unit-wrappers-child,tests/unit/wrappers/test_child.c \
	wrappers/child.c,,))
