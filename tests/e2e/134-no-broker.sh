#!/bin/bash
# SPDX-License-Identifier: MIT
# 134-no-broker - without a broker a program under the library runs as on the host
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_installed
lab_net n
for host in a b; do
	lab_host $host
done
lab_link a n 10.0.0.1/24 2001:db8::1/64
lab_link b n 10.0.0.2/24 2001:db8::2/64
lab_names a "10.0.0.2 b.example"
shim=LD_PRELOAD=libntm.so
serve=$LAB_SRC/tests/lab/peername.py

lab_start tcp user b env $shim "$serve" tcp :: 7000
lab_start udp user b env $shim "$serve" udp :: 7000
wait_for 5 "grep -q ready '$(lab_log tcp)' && grep -q ready '$(lab_log udp)'"
grep -q libntm.so "/proc/${LAB_PID[tcp]}/maps"
ok "the library is in the program"
for kind in tcp udp; do
	assert_eq "$(lab_as_user a env $shim "$serve" ask $kind 4 b.example 7000 |
		sed -n '1s/ .*//p')" 10.0.0.1 "$kind by name"
	assert_eq "$(lab_as_user a env $shim "$serve" ask $kind 6 2001:db8::2 \
		7000 | sed -n '1s/ .*//p')" 2001:db8::1 "$kind by address"
done
same()
{
	assert_eq "$(lab_as_user a env $shim "$@" 2>&1 || echo "status $?")" \
		"$(lab_as_user a "$@" 2>&1 || echo "status $?")" "as on the host: $*"
}
same "$serve" ask tcp 4 no-such-name 7000
same "$serve" ask tcp 4 10.0.0.2 7009
same "$serve" ask tcp 4 198.18.0.5 7000
same "$serve" ask udp 6 2001:db8:9::9 7000
same getent ahosts b.example

# A hundred connections take no longer for want of a broker.
loop='import socket, sys
for _ in range(100):
    socket.create_connection(("10.0.0.2", 7000)).recv(100)'
start=$(lab_now)
lab_as_user a env $shim /usr/bin/python3 -c "$loop"
assert_between "$(lab_ms_since "$start")" 0 $((2000 * LAB_SLOW)) \
	"100 connections, ms"

# Whoever has the lock and serves nobody is ending: it is waited for. (Such a one is
# played, for a second.)
lab_as_user a sh -c 'd=$XDG_RUNTIME_DIR/ntm; mkdir -pm 700 "$d"
	flock "$d/lock" sleep 1 & while flock -n "$d/lock" true; do :; done
	ntm up' >"$LAB/log/up" 2>&1 || not_ok "one that ends is called running"
assert_contains "$(lab_as_user a ntm-broker 2>&1 || :)" "already running" \
	"one that serves is not waited for"
lab_as_user a ntm down
