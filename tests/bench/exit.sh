#!/bin/bash
# SPDX-License-Identifier: MIT
# exit - one TCP stream to a host without NTMobile, beside slirp4netns; and ten moves
#
# a is the node, server the exit, b the general host. slirp4netns stands at a itself: its
# stream has no tunnel to pass and no second machine. Both ways, in turns.
. "$(dirname "$0")/bench.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

SECONDS_EACH=${SECONDS_EACH:-3}

bench_pair
lab_host server
lab_link server lan 10.9.0.3/24 fd00:9::3/64
ntm_server server ntm.example
ntm_account server alice
lab_as_user server ntm-server account exit alice on
lab_as_user server ntm-server exit enrol >/dev/null
server_set server "roles=as, dc, rs, exit" allow=10.9.0.0/24
ntm_up a
try_login a "$NTM_PASSWORD" alice a --exit=yes >"$LAB/log/login-a"
ntm_wait_online a
wait_for 20 '[ "$(exit_status online)" = true ]'

# the network of a process that does nothing but hold it, until the bench ends
lab_start slirp-net root a unshare --net sleep 1000
inside=
slirp_net()
{
	inside=$(pgrep -f '^sleep 1000$' | head -n 1)
	[ -n "$inside" ] &&
		[ "$(readlink /proc/"$inside"/ns/net)" != \
			"$(lab_root a readlink /proc/self/ns/net)" ]
}
wait_for 5 slirp_net
lab_start slirp root a slirp4netns --configure "$inside" tap0
wait_for 5 'nsenter --target $inside --net ip -br addr show dev tap0 2>/dev/null |
	grep -q 10.0.2.100'
bench_versions
note "slirp4netns $(dpkg-query -W -f '${Version}' slirp4netns), MTU" \
	"$(nsenter --target $inside --net ip link show dev tap0 |
		sed -n 's/.*mtu \([0-9]*\).*/\1/p')"

lab_start iperf-host root b iperf3 -s
wait_for 5 "lab_root b ss -ltn | grep -q :5201"

# gbit KIND [-R]: Gbit/s that the receiver counted
gbit()
{
	local kind=$1
	shift
	case $kind in
	veth)	lab_root a iperf3 -J -t "$SECONDS_EACH" -c 10.9.0.2 "$@" ;;
	slirp)	nsenter --target $inside --net iperf3 -J -t "$SECONDS_EACH" \
			-c 10.9.0.2 "$@" ;;
	ntm)	lab_as_user a ntm-run --exit=relay iperf3 -J -t "$SECONDS_EACH" \
			-c 10.9.0.2 "$@" ;;
	esac | tee "$LAB/log/iperf-$kind" | python3 -c 'import json, sys
print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}

for round in $(seq "$BENCH_ROUNDS"); do
	for kind in veth slirp ntm; do
		gbit $kind >>"$LAB/up.$kind"
		gbit $kind -R >>"$LAB/down.$kind"
	done
done
for way in up down; do
	note "$way, Gbit/s: veth $(median "$LAB/$way.veth"), slirp4netns" \
		"$(median "$LAB/$way.slirp"), ntm $(median "$LAB/$way.ntm")"
	figure exit.$way-of-slirp4netns "$(ratio "$(median "$LAB/$way.ntm")" \
		"$(median "$LAB/$way.slirp")")" x ">=" 1
done
assert_eq "$(exit_status forbidden)" 0 "packets that the exit refused"
ok "throughput to a general host measured"

# A download from a plain nginx, while the node gets ten other addresses
EXIT_HOST=b
exit_nginx 4m
head -c 80000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
size()
{
	stat -c %s "$got" 2>/dev/null || echo 0
}
more()
{
	[ "$(size)" -gt "$1" ]
}
lab_start get user a ntm-run --exit=relay curl -sS -o got -w '%{num_connects}' \
	http://10.9.0.2/big
wait_for 10 'more 1000000'
moves=0
for i in $(seq 10); do
	case $((i % 3)) in
	0)	lab_move a lan 10.9.0.$((10 + i))/24 fd00:9::1$i/64 ;;
	1)	lab_move a lan 10.9.0.$((10 + i))/24 - ;;
	2)	lab_move a lan - fd00:9::1$i/64 ;;
	esac
	start=$(size)
	wait_for 15 "more $((start + 300000))" 'lab_as_user a ntm peers'
	lab_ms_since "$LAB_MOVED" >>"$LAB/gaps"
	lab_running get && moves=$((moves + 1))
done
lab_join get
cmp "$got" "$LAB/www/big"
assert_eq "$(cat "$(lab_log get)")" 1 "connections that the download took"
note "until 300 kB more had come after a move, ms:" \
	"$(sort -n "$LAB/gaps" | xargs)"
figure exit.moves-survived $moves moves ">=" 10
ok "a download of 80 MB is whole after ten moves"
