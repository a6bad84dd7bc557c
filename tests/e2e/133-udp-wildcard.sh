#!/bin/bash
# SPDX-License-Identifier: MIT
# 133-udp-wildcard - one UDP socket on the wildcard serves peers and the host's network
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py

start()
{
	local name=$1
	shift
	ntm_start "$name" b "$@"
	wait_for 5 "grep -q ready '$(lab_log "$name")'"
}

# seen FAMILY WANTED-SOURCE TEXT ASKER...: address and port are the client's own
seen()
{
	local family=$1 wanted=$2 text=$3 answer
	shift 3
	answer=$("$@")
	assert_eq "$(sed -n 1p <<<"$answer")" "$(sed -n 2p <<<"$answer")" \
		"$text, IPv$family: the server sees the client's address and port"
	assert_eq "$(sed -n '1s/ .*//p' <<<"$answer")" "$wanted" "as it should"
}

start both "$serve" udp :: 7000
start four "$serve" udp 0.0.0.0 7001
start six "$serve" udp :: 7002 v6only
for try in 4:7000 6:7000 4:7001 6:7002; do
	family=${try%:*} port=${try#*:}
	real=10.3.0.2 outside=10.1.0.2 loopback=127.0.0.1
	[ "$family" = 4 ] || real=2001:db8:3::2 outside=2001:db8:1::2 loopback=::1
	seen $family "${NTM_VIP[a.$family]}" "port $port, a peer" \
		ntm_ask a udp $family "$B" $port
	seen $family $outside "port $port, an outsider" \
		lab_ask server udp $family $real $port
	seen $family $loopback "port $port, its own host" \
		lab_ask b udp $family $loopback $port
done

# Many clients of both networks at once, each asking again and again.
cat >"$LAB/many.py" <<'END'
import socket, sys
family = socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6
addr = socket.getaddrinfo(sys.argv[2], 7000, family, socket.SOCK_DGRAM)[0][4]
all = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(40)]
for s in all:
    s.settimeout(5)
    s.connect(addr)
for _ in range(5):
    for s in all:
        s.send(b"?")
    for s in all:
        mine = "%s %d" % s.getsockname()[:2]
        got = s.recv(100).decode()
        assert got == mine, (got, mine)
print("right")
END
for family in 4 6; do
	real=10.3.0.2
	[ $family = 4 ] || real=2001:db8:3::2
	ntm_start peers$family a /usr/bin/python3 "$LAB/many.py" $family "$B"
	lab_start others$family user server /usr/bin/python3 "$LAB/many.py" \
		$family $real
done
for who in peers4 peers6 others4 others6; do
	lab_join $who
	assert_eq "$(cat "$(lab_log $who)")" right \
		"$who: 40 clients, 5 rounds, each answer went where it belongs"
done
