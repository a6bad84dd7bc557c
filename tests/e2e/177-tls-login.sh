#!/bin/bash
# SPDX-License-Identifier: MIT
# 177-tls-login - a node logs in, and talks, where nothing but 443/tcp is let out
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_net
ntm_server server ntm.example
ntm_account server alice
ntm_node b desk.alice

lab_root net nft -f - <<-END
	table inet wall {
		counter tried { }
		chain through {
			type filter hook forward priority filter;
			iifname "$(lab_dev net pa)" meta l4proto udp \
				counter name tried drop
			oifname "$(lab_dev net pa)" meta l4proto udp drop
			iifname "$(lab_dev net pa)" tcp dport != 443 drop
		}
	}
END
start=$(lab_now)
ntm_node a laptop.alice
ntm_wait_online a
assert_between "$(lab_ms_since "$start")" 0 $((12000 * LAB_SLOW)) \
	"logged in and online through 443/tcp alone: ms"
assert_eq "$(ntm_get a gate)" 192.0.2.1:443 \
	"by the relay's gate"
ntm_web b 8000
echo hello >"$LAB/www/hello"
assert_eq "$(ntm_run a curl -sS "http://${NTM_NAME[b]}:8000/hello")" hello \
	"a peer is reached by name"
[ "$(lab_root net nft list counter inet wall tried |
	sed -n 's/.*packets \([0-9]*\).*/\1/p')" -gt 0 ]
ok "UDP was tried, and none passed"

# The same after a restart: what is known of gates is kept.
lab_as_user a ntm down >"$LAB/log/down-a"
start=$(lab_now)
ntm_up a
ntm_wait_online a
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"and online again after a restart: ms"
assert_eq "$(ntm_run a curl -sS "http://${NTM_NAME[b]}:8000/hello")" hello \
	"the peer, too"
