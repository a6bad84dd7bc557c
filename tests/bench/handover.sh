#!/bin/bash
# SPDX-License-Identifier: MIT
# handover - time without service over 100 moves, beacons every 10 ms both ways,
#            20 ms between any two hosts
. "$(dirname "$0")/bench.sh"

MOVES=${BENCH_MOVES:-100}

bench_far_pair
bench_ntm

lab_start serve user b ntm-run --listen=virtual "$BENCH_TOOLS/beacon" serve 7003 "$BENCH_OUT/b.log"
wait_for 5 "ntm_listens b udp 7003"
lab_start send user a ntm-run "$BENCH_TOOLS/beacon" send "$NTM_B" 7003 "$BENCH_OUT/a.log"
wait_for 10 '[ "$(wc -l <"$BENCH_OUT/a.log")" -gt 20 ]'

for move in $(seq "$MOVES"); do
	n=$((move % 2 + 1))
	lost=$(lab_now)
	lab_move a "cafe$n" "10.2$n.0.$((move % 200 + 10))/24" \
		"2001:db8:2$n::$((move % 200 + 10))/64"
	echo "$lost $LAB_MOVED" >>"$LAB/moves"
	lines=$(wc -l <"$BENCH_OUT/a.log")
	wait_for 10 '[ "$(wc -l <"$BENCH_OUT/a.log")" -gt '$((lines + 100))' ]'
	remote=$(ntm_peer b "a.alice.$NTM_DOMAIN" remote)
	[[ $remote == "10.2$n.0.$((move % 200 + 10)):"* ||
		$remote == "[2001:db8:2$n::"* ]] ||
		not_ok "after move $move b still sends to $remote"
done
lab_stop send TERM
lab_stop serve TERM
result=$("$(dirname "$0")/gaps" "$LAB/moves" "$BENCH_OUT/a.log" "$BENCH_OUT/b.log")
note "$result"
value()
{
	python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' \
		"$result" "$1"
}
figure handover.p50 "$(value service_p50_ms)" ms "<=" 50
figure handover.p99 "$(value service_p99_ms)" ms "<=" 150
ok "$MOVES moves measured"
