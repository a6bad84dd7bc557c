#!/bin/bash
# SPDX-License-Identifier: MIT
# datapath - what the data path can do alone: no broker, no shim, fixed keys
. "$(dirname "$0")/bench.sh"

SMALL=92				# 120 bytes with IPv4 and UDP headers
MIXED=92,1200,400,92,700,92,1300,250	# no run of equal sizes

bench_pair
lab_start end-a root a "$BENCH_TOOLS/dp_pair" a 10.9.0.1 10.9.0.2
lab_start end-b root b "$BENCH_TOOLS/dp_pair" b 10.9.0.2 10.9.0.1
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

lab_start iperf-veth root b iperf3 -s
nsenter --target "${LAB_PID[end-b]}" --net iperf3 -s -p 5301 >/dev/null &
wait_for 5 "lab_root b ss -ltn | grep -q :5201"
wait_for 5 "nsenter --target ${LAB_PID[end-b]} --net ss -ltn | grep -q :5301"

gbit()
{
	case $1 in
	veth)	lab_root a iperf3 -J -t 3 -c 10.9.0.2 ;;
	ntm)	inside a iperf3 -J -t 3 -p 5301 -c 198.18.0.2 ;;
	ntm6)	inside a iperf3 -J -t 3 -p 5301 -c fd6e::b ;;
	esac | python3 -c 'import json, sys
print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}

# pps KIND SIZES: packets per second that arrived
pps()
{
	local sink log=$LAB/sink run to

	case $1 in
	veth)	run=lab_root to=10.9.0.2 ;;
	ntm)	run=inside to=198.18.0.2 ;;
	esac
	$run b "$BENCH_TOOLS/udp" sink 7000 >"$log" &
	wait_for 5 "$run b ss -lun | grep -q :7000"
	$run a "$BENCH_TOOLS/udp" flood $to 7000 2 "$2" >/dev/null
	pkill -TERM -P $! -x udp 2>/dev/null || kill -TERM $!
	wait $! || :
	awk 'END { printf "%.0f\n", $3 ? $1 / $3 : 0 }' "$log"
}

for round in $(seq "$BENCH_ROUNDS"); do
	for kind in veth ntm ntm6; do
		gbit $kind >>"$LAB/tcp.$kind"
	done
	for kind in veth ntm; do
		pps $kind $SMALL >>"$LAB/small.$kind"
		pps $kind $MIXED >>"$LAB/mixed.$kind"
	done
done
for kind in veth ntm ntm6; do
	note "$kind: TCP Gbit/s $(tail -n +2 "$LAB/tcp.$kind" | tr '\n' ' ')"
done
note "packets/s: small veth $(median "$LAB/small.veth")," \
	"ntm $(median "$LAB/small.ntm"); mixed veth $(median "$LAB/mixed.veth")," \
	"ntm $(median "$LAB/mixed.ntm")"
figure datapath.tcp "$(median "$LAB/tcp.ntm")" Gbit/s ">=" 8
figure datapath.tcp-of-veth "$(ratio "$(median "$LAB/tcp.ntm")" "$(median "$LAB/tcp.veth")")" x ">=" 0.33
figure datapath.tcp-ipv6 "$(median "$LAB/tcp.ntm6")" Gbit/s ">=" 8
figure datapath.small "$(median "$LAB/small.ntm")" "packets/s" ">=" 310000
figure datapath.small-of-veth "$(ratio "$(median "$LAB/small.ntm")" "$(median "$LAB/small.veth")")" x ">=" 0.8
figure datapath.mixed "$(median "$LAB/mixed.ntm")" "packets/s" ">=" 100000
ok "data path measured"
