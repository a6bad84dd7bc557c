#!/bin/bash
# SPDX-License-Identifier: MIT
# udp-pps - small and mixed UDP packets that arrive, per second
. "$(dirname "$0")/bench.sh"

bench_pair
bench_wireguard
bench_openvpn
bench_ntm
bench_versions

SMALL=92				# 120 bytes with IPv4 and UDP headers
MIXED=92,1200,400,92,700,92,1300,250	# no run of equal sizes

# pps KIND SIZES: packets per second that arrived
pps()
{
	local to log

	case $1 in
	veth)	to=10.9.0.2 ;;
	wg)	to=10.77.0.2 ;;
	ovpn)	to=10.78.0.2 ;;
	ntm)	to=$NTM_B ;;
	esac
	if [ "$1" = ntm ]; then
		# The namespace socket itself: the mapping has its own figure.
		lab_start sink user b ntm-run --listen=virtual "$BENCH_TOOLS/udp" sink 7000
		wait_for 5 "ntm_listens b udp 7000"
		lab_as_user a ntm-run "$BENCH_TOOLS/udp" flood "$to" 7000 2 "$2" >/dev/null
	else
		lab_start sink root b "$BENCH_TOOLS/udp" sink 7000
		wait_for 5 "lab_root b ss -lun | grep -q :7000"
		lab_root a "$BENCH_TOOLS/udp" flood "$to" 7000 2 "$2" >/dev/null
	fi
	lab_stop sink TERM
	log=$(lab_log sink)
	awk 'END { printf "%.0f\n", $3 ? $1 / $3 : 0 }' "$log"
}

for round in $(seq "$BENCH_ROUNDS"); do
	for kind in veth wg ovpn ntm; do
		pps $kind $SMALL >>"$LAB/small.$kind"
		pps $kind $MIXED >>"$LAB/mixed.$kind"
	done
done
best()
{
	printf '%s\n' "$(median "$LAB/$1.wg")" "$(median "$LAB/$1.ovpn")" |
		sort -g | tail -1
}
for size in small mixed; do
	note "$size packets/s: veth $(median "$LAB/$size.veth")," \
		"wireguard-go $(median "$LAB/$size.wg")," \
		"openvpn $(median "$LAB/$size.ovpn"), ntm $(median "$LAB/$size.ntm")"
done
figure udp-pps.of-veth "$(ratio "$(median "$LAB/small.ntm")" "$(median "$LAB/small.veth")")" x ">=" 0.8
figure udp-pps.of-best-peer "$(ratio "$(median "$LAB/small.ntm")" "$(best small)")" x ">=" 5
figure udp-pps.mixed-of-best-peer "$(ratio "$(median "$LAB/mixed.ntm")" "$(best mixed)")" x ">=" 2
ok "packets measured"
