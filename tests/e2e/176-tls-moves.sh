#!/bin/bash
# SPDX-License-Identifier: MIT
# 176-tls-moves - a download goes on into a network that passes no UDP, and out of it
# limit: 120
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

GRID_WIRE=(5)
ntm_installed
grid_lab
grid_site a block
grid_site b port
grid_meet open 4 port 4
ntm_slow_web b 8000 300k
head -c 6000000 /dev/urandom >"$LAB/www/big"

# carried YES|NO: does a speak with the DC through a gate?
carried()
{
	local gate
	gate=$(ntm_get a gate)
	[ "$1" = yes ] && [ -n "$gate" ] || { [ "$1" = no ] && [ -z "$gate" ]; }
}
got()
{
	stat -c %s "$(lab_home a)/got" 2>/dev/null || echo 0
}
# grows BYTES MS: so many more come, and within how long
grows()
{
	local was start
	was=$(got) start=$(lab_now)
	wait_for 10 "[ \$(got) -gt $((was + $1)) ]" \
		'lab_as_user a ntm status; lab_as_user a ntm peers'
	assert_between "$(lab_ms_since "$start")" 0 $(($2 * LAB_SLOW)) \
		"$3: ms until $1 bytes more"
}

ntm_start get a curl -sS -o got -w '%{num_connects}' \
	"http://${NTM_NAME[b]}:8000/big"
wait_for 10 '[ $(got) -gt 300000 ]'
carried no
ok "by UDP at first"

grid_plug a block 4
grows 200000 6000 "into a network that passes no UDP"
wait_for 5 'carried yes'
ok "by TLS there"
lab_as_user a ntm netcheck >"$LAB/log/netcheck"
grep -q 'UDP is blocked here: relayed by TLS on 443' "$LAB/log/netcheck"
grep -q 'UDP over IPv4 does not reach the DC' "$LAB/log/netcheck"
ok "netcheck says so"
assert_eq "$(ntm_run a curl -sS "http://${NTM_NAME[b]}:8000/big" -r 0-9 |
	head -c 10 | cmp -n 10 - "$LAB/www/big" && echo same)" same \
	"another connection, made there"

grid_plug a open 4
grows 200000 4000 "out of it again"
wait_for 10 'carried no'
ok "by UDP again"

# the same network begins to pass nothing, and UDP passes again, without a move
lab_root net nft -f - <<-END
	table inet wall {
		chain through {
			type filter hook forward priority filter;
			iifname "$(lab_dev net pa)" meta l4proto udp drop
			oifname "$(lab_dev net pa)" meta l4proto udp drop
		}
	}
END
start=$(lab_now)
wait_for 20 'carried yes' 'lab_as_user a ntm status'
assert_between "$(lab_ms_since "$start")" 0 $((9000 * LAB_SLOW)) \
	"UDP blocked where it had passed: ms until all goes by TLS"
grows 200000 6000 "and the download goes on"
lab_root net nft delete table inet wall
wait_for 30 'carried no'
grows 200000 6000 "UDP passes again"
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "the download is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
