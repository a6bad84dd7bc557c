#!/bin/bash
# SPDX-License-Identifier: MIT
# handover-grid - time without service over moves of every kind, beside the papers'
#                 figures; beacons every 10 ms both ways, a TCP stream beside them,
#                 20 ms between any two hosts
#
#   handover-grid.sh [CASE]	one case of tests/lab/moves.sh; else all
#   BENCH_MOVES=N		moves of the common kinds (100); a fifth of the rare ones
. "$(dirname "$0")/bench.sh"
. "$LAB_SRC/tests/lab/grid.sh"
. "$LAB_SRC/tests/lab/moves.sh"

MOVES_COMMON=${BENCH_MOVES:-100}
MOVES_RARE=$(((MOVES_COMMON + 4) / 5))
declare -A COUNT=([v4-v6]=$((2 * MOVES_COMMON)) [open-nat]=$((2 * MOVES_COMMON))
	[dual]=$((2 * MOVES_RARE)) [both]=$MOVES_RARE [both-nat]=$MOVES_RARE
	[nat-lost]=$MOVES_RARE [relay-killed]=$MOVES_RARE
	[dc-killed]=$MOVES_RARE [sleep-60]=1)
# What nobody tells us of; the rest is an address that changes.
declare -A TARGET=([nat-lost]=2000 [relay-killed]=2000 [sleep-60]=2000)

cases="v4-v4 v4-v6 dual open-nat nat-nat make-first break-500 both both-nat nat-lost
	relay-killed dc-killed sleep-60"
[ $# = 0 ] || cases=$1
for case in $cases; do
	[ -n "${MOVES[$case]-}" ] || not_ok "no such case: $case; there are" $cases
done

moves_lab
note "papers, phones of 2013, both ends in different families, by a relay: from the new"
note "  address on IPv4 to IPv6 317.6 and 2126.3 ms, back 513.6 and 569.4 ms; with the"
note "  network's own part 2178.9, 2476.2, 623.3 and 7754.2 ms"
for case in $cases; do
	moves_run "$case" "${COUNT[$case]:-$MOVES_COMMON}"
	for kind in $(moves_kinds "$case"); do
		note "$kind: $(moves_value "$case" "$kind" moves) moves," \
			"p50 $(moves_value "$case" "$kind" service_p50_ms) ms," \
			"p99 $(moves_value "$case" "$kind" service_p99_ms) ms," \
			"max $(moves_value "$case" "$kind" service_max_ms) ms"
		figure "handover-grid.$kind.p99" \
			"$(moves_value "$case" "$kind" service_p99_ms)" ms "<=" \
			"${TARGET[$case]:-300}"
	done
done
figure handover-grid.tcp-streams-broken $MOVES_BROKEN "" "<=" 0
ok "all moves measured"
