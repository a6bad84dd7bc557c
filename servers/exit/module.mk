# SPDX-License-Identifier: MIT
# The exit: a program of its own. It runs the node's control plane and data path, whose
# names are also the servers'; and libslirp, which no other program needs.
EXITNET_SRC := $(addprefix servers/exit/,seam.c stack.c echo.c fragments.c recover.c share.c \
	net.c net_nodes.c net_packet.c net_send.c)
EXITNET_PKGS := slirp
$(eval $(call static-library,exitnet,$(EXITNET_SRC)))
EXIT_SRC := $(addprefix servers/exit/,main.c options.c net_child.c clients.c load.c isolate.c \
	seams.c usage.c) \
	broker/handover.c broker/hostenv.c broker/isolate.c
EXIT_PKGS := $(CONTROL_PKGS) slirp
$(eval $(call program,ntm-exit,$(EXIT_SRC),servers exitnet nodecontrol datapath \
	common ntmcrypto,$(EXIT_PKGS)))
