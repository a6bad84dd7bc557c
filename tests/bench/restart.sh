#!/bin/bash
# SPDX-License-Identifier: MIT
# restart - kill -9 of the worker under a TCP stream, 20 ms round trip, 40 times:
#           the longest silence at the receiver, and nothing lost
. "$(dirname "$0")/bench.sh"

KILLS=${BENCH_KILLS:-40}

bench_far_pair
bench_ntm

# A paced stream, so that the gap is the tunnel's and not a full buffer's: 8 kB each
# millisecond, numbered, checked by the receiver.
lab_start sink user b ntm-run --listen=virtual "$BENCH_TOOLS/stream" sink 7004 "$BENCH_OUT/arrivals"
wait_for 5 "ntm_listens b tcp 7004"
lab_start source user a ntm-run "$BENCH_TOOLS/stream" source "$NTM_B" 7004
wait_for 10 '[ -s "$BENCH_OUT/arrivals" ]'

for kill in $(seq "$KILLS"); do
	old=$(ntm_worker a)
	at=$(lab_now)
	kill -KILL "$old"
	echo "$at $at" >>"$LAB/kills"
	wait_for 5 "[ -n \"\$(ntm_worker a)\" ] && [ \"\$(ntm_worker a)\" != $old ]"
	lines=$(wc -l <"$BENCH_OUT/arrivals")
	wait_for 10 '[ "$(wc -l <"$BENCH_OUT/arrivals")" -gt '$((lines + 300))' ]'
done
lab_stop source TERM
wait_for 10 "! kill -0 ${LAB_PID[sink]} 2>/dev/null"
assert_contains "$(cat "$(lab_log sink)")" "complete" "nothing was lost or changed"
result=$("$(dirname "$0")/gaps" "$LAB/kills" "$BENCH_OUT/arrivals")
note "$result"
value()
{
	python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' \
		"$result" "$1"
}
figure restart.max "$(value service_max_ms)" ms "<=" 100
figure restart.p50 "$(value service_p50_ms)" ms "<=" 100
ok "$KILLS restarts measured"
