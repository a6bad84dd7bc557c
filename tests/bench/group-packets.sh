#!/bin/bash
# SPDX-License-Identifier: MIT
# group-packets - a group of two against the tunnel between them: the bare data path;
# and one packet to 50 members, against sendmmsg() of the same datagrams
. "$(dirname "$0")/bench.sh"

SMALL=92	# 120 bytes with IPv4 and UDP headers
LARGE=1300

bench_pair
lab_start end-a root a "$BENCH_TOOLS/dp_pair" a 10.9.0.1 10.9.0.2 group
lab_start end-b root b "$BENCH_TOOLS/dp_pair" b 10.9.0.2 10.9.0.1 group
for end in a b; do
	wait_for 5 "grep -q ready $(lab_log end-$end)"
done

# inside HOST COMMAND...: in the namespace behind that end's TUN
inside()
{
	local pid=${LAB_PID[end-$1]}
	shift
	nsenter --target "$pid" --net "$@"
}

# pps TO SIZE: packets per second that arrived
pps()
{
	local log=$LAB/sink group=
	[ "$1" != 239.192.0.1 ] || group=$1
	inside b "$BENCH_TOOLS/udp" sink 7000 $group >"$log" &
	wait_for 5 "inside b ss -lun | grep -q :7000"
	inside a "$BENCH_TOOLS/udp" flood "$1" 7000 2 "$2" >/dev/null
	pkill -TERM -P $! -x udp 2>/dev/null || kill -TERM $!
	wait $! || :
	awk 'END { printf "%.0f\n", $3 ? $1 / $3 : 0 }' "$log"
}

for round in $(seq "$BENCH_ROUNDS"); do
	for size in $SMALL $LARGE; do
		pps 198.18.0.2 $size >>"$LAB/tunnel.$size"
		pps 239.192.0.1 $size >>"$LAB/group.$size"
	done
done
for size in $SMALL $LARGE; do
	figure group.packets-$size "$(median "$LAB/group.$size")" packets/s ">=" 0
	note "the tunnel: $(median "$LAB/tunnel.$size") packets/s"
	figure group.of-tunnel-$size "$(ratio "$(median "$LAB/group.$size")" \
		"$(median "$LAB/tunnel.$size")")" x ">=" 0.5
done
bench_fanout group.fanout group_fanout $SMALL $LARGE
ok "packets to a group measured"
