# SPDX-License-Identifier: MIT
# The keeper, small on purpose: of all libraries only libmnl; and the worker's side
# of engine and shims.
KEEPER_SRC := $(addprefix broker/,main.c keeper.c keeper_requests.c keeper_store.c watchdog.c outer.c mapper.c poster.c poster_kind.c \
	engine_netns.c inside.c pool.c netdev.c)
$(eval $(call program,ntm-broker,$(KEEPER_SRC) $(SHIMPROTO_SRC) \
	common/log.c common/err.c common/file.c common/unixsock.c common/fdmsg.c,,libmnl))

BROKERENGINE_SRC := $(addprefix broker/,keeper_link.c groupsay.c shimserver.c \
	listener.c doorbell.c udpmap.c udpflow.c udpmove.c page.c sockdiag.c \
	announced.c) \
	$(filter preload/%,$(SHIMPROTO_SRC))
$(eval $(call static-library,brokerengine,$(BROKERENGINE_SRC)))
