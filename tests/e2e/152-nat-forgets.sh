#!/bin/bash
# SPDX-License-Identifier: MIT
# 152-nat-forgets - NATs lose their mappings and tell nobody: connections live on
# waits
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

GRID_WIRE=(5)
ntm_installed
grid_lab

# begin KIND_A KIND_B WAY [listener]: connections from a and, unless b only listens,
# from b; the tunnel has its way
begin()
{
	grid_site a "$1"
	grid_site b "$2"
	grid_meet "$1" 4 "$2" 4
	ntm_start serve-a a "$LAB_SRC/tests/lab/natcell.py" serve 7000
	wait_for 5 'ntm_listens a tcp 7000'
	TALKERS=()
	talk a "${NTM_NAME[b]}"
	wait_for 10 "grid_settled $3" 'cat "$LAB"/log/watch-*'
	[ -n "${4-}" ] || talk b "${NTM_NAME[a]}"
	echoes 40
}

# talk HOST NAME
talk()
{
	TALKERS+=("$1")
	ntm_start "call-$1" "$1" "$LAB_SRC/tests/lab/natcell.py" call "$2" 7000 \
		"$GRID_STOP"
	wait_for 10 "grep -q first= \$(lab_log call-$1)"
}

# echoes N [SECONDS]: so many packets go to b and come back
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
	local host
	touch "$GRID_STOP"
	for host in "${TALKERS[@]}"; do
		lab_join call-$host
		ok "$1: the connections of $host live on:" \
			"$(tail -n 1 "$(lab_log call-$host)")"
	done
	lab_stop serve-a
	grid_part
}

begin port port direct
for router in a-port b-port a-port; do
	lab_nat_forget $router
	echoes 60
done
wait_for 40 'grid_settled direct' 'cat "$LAB"/log/watch-*'
finish "one NAT, then the other"

begin symm symm relay
for router in a-symm b-symm; do
	lab_nat_forget $router
	echoes 60
done
finish "behind symmetric NATs, through the relay"

begin port symm relay
lab_nat_forgetful b-symm 4
echoes 300 60
lab_stop forgetful-b-symm
finish "a NAT that forgets every 4 s"

# Who has nothing to say does not know that nobody reaches it any more: it is found
# at its next sign of life, at most 20 s later.
begin port port direct listener
lab_nat_forget b-port
echoes 60 40
finish "behind the NAT that forgets is a listener"
