#!/bin/bash
# SPDX-License-Identifier: MIT
# group-relay - one packet to 50 members by a relay, against sendmmsg() of the same
# datagrams
. "$(dirname "$0")/bench.sh"

SMALL=180	# 120 bytes inside, header, tag and hop
LARGE=1400

bench_versions
for round in $(seq "$BENCH_ROUNDS"); do
	for size in $SMALL $LARGE; do
		"$BENCH_TOOLS/relay_fanout" 2 $size >>"$LAB/fanout.$size"
	done
done
for size in $SMALL $LARGE; do
	for column in 1 2 3; do
		awk "{ print \$$column }" "$LAB/fanout.$size" \
			>"$LAB/fanout.$size.$column"
	done
	note "50 members, $size bytes: $(median "$LAB/fanout.$size.2")" \
		"datagrams/s arrived, by sendmmsg() $(median "$LAB/fanout.$size.1")"
	figure group.relay-fanout-$size "$(median "$LAB/fanout.$size.3")" x ">=" 0.8
done
ok "a relay's copies to a group measured"
