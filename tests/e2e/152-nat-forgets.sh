#!/bin/bash
# SPDX-License-Identifier: MIT
# 152-nat-forgets - NATs lose their mappings and tell nobody: connections live on
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

GRID_WIRE=(5)
ntm_installed
grid_lab

# begin KIND_A KIND_B WAY: echoes on two connections, the tunnel has its way
begin()
{
	grid_site a "$1"
	grid_site b "$2"
	grid_meet "$1" 4 "$2" 4
	ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call \
		"${NTM_NAME[b]}" 7000 "$GRID_STOP"
	wait_for 10 "grid_settled $3" 'cat "$LAB"/log/watch-*'
	wait_for 10 'grep -q first= "$(lab_log call)"'
	echoes 20
}

# echoes N: so many packets go to b and come back
echoes()
{
	local tx rx
	tx=$(ntm_get a totals.tx_packets)
	rx=$(ntm_get a totals.rx_packets)
	wait_for "${2:-20}" "[ \$(ntm_get a totals.tx_packets) -gt $((tx + $1)) ] &&
		[ \$(ntm_get a totals.rx_packets) -gt $((rx + $1)) ]" \
		'cat "$LAB"/log/watch-*'
}

finish()
{
	touch "$GRID_STOP"
	lab_join call
	ok "$1: both connections live on: $(tail -n 1 "$(lab_log call)")"
	echo "# a: $(sed 's/^[0-9]* //' "$(lab_log watch-a)" | xargs)"
	echo "# b: $(sed 's/^[0-9]* //' "$(lab_log watch-b)" | xargs)"
	grid_part
}

begin port port direct
for router in a-port b-port; do
	lab_nat_forget $router
	echoes 50
done
wait_for 10 'grid_settled direct' 'cat "$LAB"/log/watch-*'
finish "one NAT, then the other"

begin symm symm relay
lab_nat_forget a-symm
echoes 50
lab_nat_forget b-symm
echoes 50
finish "behind symmetric NATs, through the relay"

begin port symm relay
lab_nat_forgetful a-port 4
echoes 150 60
lab_stop forgetful-a-port
finish "a NAT that forgets every 4 s"
