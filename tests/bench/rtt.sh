#!/bin/bash
# SPDX-License-Identifier: MIT
# rtt - round trip that the tunnel adds to bare veth, beside what OpenVPN adds
. "$(dirname "$0")/bench.sh"

bench_pair
bench_wireguard
bench_openvpn
bench_ntm
bench_versions

lab_start echo-host root b "$BENCH_TOOLS/udp" echo 7001
lab_start echo-ntm user b ntm-run --listen=virtual "$BENCH_TOOLS/udp" echo 7002
wait_for 5 "lab_root b ss -lun | grep -q :7001"
wait_for 5 "ntm_listens b udp 7002"

# rtt KIND: microseconds at p50, a packet each millisecond
rtt()
{
	case $1 in
	veth)	lab_root a "$BENCH_TOOLS/udp" rtt 10.9.0.2 7001 2000 1000 ;;
	wg)	lab_root a "$BENCH_TOOLS/udp" rtt 10.77.0.2 7001 2000 1000 ;;
	ovpn)	lab_root a "$BENCH_TOOLS/udp" rtt 10.78.0.2 7001 2000 1000 ;;
	ntm)	lab_as_user a ntm-run "$BENCH_TOOLS/udp" rtt "$NTM_B" 7002 2000 1000 ;;
	esac | cut -d' ' -f1
}

for round in $(seq "$BENCH_ROUNDS"); do
	for kind in veth wg ovpn ntm; do
		rtt $kind >>"$LAB/value.$kind"
	done
done
veth=$(median "$LAB/value.veth")
added()
{
	awk -v a="$(median "$LAB/value.$1")" -v b="$veth" 'BEGIN { print a - b }'
}
note "microseconds: veth $veth, wireguard-go +$(added wg)," \
	"openvpn +$(added ovpn), ntm +$(added ntm)"
figure rtt.added-of-openvpn "$(ratio "$(added ntm)" "$(added ovpn)")" x "<=" 0.5
ok "round trips measured"
