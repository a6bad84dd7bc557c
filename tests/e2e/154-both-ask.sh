#!/bin/bash
# SPDX-License-Identifier: MIT
# 154-both-ask - behind NATs two nodes ask for each other at the same moment, again
#                and again: both get through, and stay
# waits
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ROUNDS=8
GRID_WIRE=(5)
ntm_installed
grid_lab
for kind in port:direct symm:relay; do
	way=${kind#*:} kind=${kind%:*}
	grid_site a $kind
	grid_site b $kind
	for ((round = 1; round <= ROUNDS; round++)); do
		grid_meet $kind 4 $kind 4
		ntm_start serve-a a "$LAB_SRC/tests/lab/natcell.py" serve 7000
		wait_for 5 'ntm_listens a tcp 7000'
		for host in a:b b:a; do
			ntm_start call-${host%:*} ${host%:*} \
				"$LAB_SRC/tests/lab/natcell.py" call \
				"${NTM_NAME[${host#*:}]}" 7000 "$GRID_STOP"
		done
		for host in a b; do
			wait_for 6 "grep -q first= $(lab_log call-$host)" \
				'cat "$LAB"/log/watch-*'
		done
		wait_for 6 "grid_settled $way" 'cat "$LAB"/log/watch-*'
		touch "$GRID_STOP"
		lab_join call-a
		lab_join call-b
		lab_stop serve-a
		grid_part
	done
	ok "$ROUNDS times both ask at once, $kind: $way"
done
