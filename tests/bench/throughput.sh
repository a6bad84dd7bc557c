#!/bin/bash
# SPDX-License-Identifier: MIT
# throughput - one TCP stream through the tunnel, beside bare veth and the peers
. "$(dirname "$0")/bench.sh"

bench_pair
bench_wireguard
bench_openvpn
bench_ntm
bench_versions

lab_start iperf-host root b iperf3 -s
lab_start iperf-ntm user b ntm-run iperf3 -s -p 5301
wait_for 5 "lab_root b ss -ltn | grep -q :5201"
wait_for 5 "lab_root b ss -ltn | grep -q :5301"

# gbit KIND: Gbit/s that the receiver counted in three seconds
gbit()
{
	case $1 in
	veth)	lab_root a iperf3 -J -t 3 -c 10.9.0.2 ;;
	wg)	lab_root a iperf3 -J -t 3 -c 10.77.0.2 ;;
	ovpn)	lab_root a iperf3 -J -t 3 -c 10.78.0.2 ;;
	ntm)	lab_as_user a ntm-run iperf3 -J -t 3 -p 5301 -c "$NTM_B" ;;
	esac | python3 -c 'import json, sys
print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}

for round in $(seq "$BENCH_ROUNDS"); do
	for kind in veth wg ovpn ntm; do
		gbit $kind >>"$LAB/value.$kind"
	done
done
ntm=$(median "$LAB/value.ntm")
note "Gbit/s: veth $(median "$LAB/value.veth"), wireguard-go $(median "$LAB/value.wg")," \
	"openvpn $(median "$LAB/value.ovpn"), ntm $ntm"
figure throughput.of-veth "$(ratio "$ntm" "$(median "$LAB/value.veth")")" x ">=" 0.33
figure throughput.of-wireguard-go "$(ratio "$ntm" "$(median "$LAB/value.wg")")" x ">=" 10
figure throughput.of-openvpn "$(ratio "$ntm" "$(median "$LAB/value.ovpn")")" x ">=" 8
ok "throughput measured"
