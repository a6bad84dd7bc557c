#!/bin/bash
# SPDX-License-Identifier: MIT
# 132-tcp-wildcard - a wildcard listener is reachable on its virtual address, where
# it was before, and under ntm-run --listen only where it was told
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py

# from_peer FAMILY PORT / from_outside FAMILY PORT / from_itself FAMILY PORT
from_peer()
{
	ntm_ask a tcp "$1" "$B" "$2"
}
from_outside()
{
	local real=10.3.0.2
	[ "$1" = 4 ] || real=2001:db8:3::2
	lab_ask server tcp "$1" "$real" "$2"
}
from_itself()
{
	local loopback=127.0.0.1
	[ "$1" = 4 ] || loopback=::1
	lab_ask b tcp "$1" $loopback "$2"
}

# reached WHO FAMILY PORT ADDRESS TEXT: WHO is answered, seen with ADDRESS
reached()
{
	local answer
	answer=$("from_$1" "$2" "$3")
	assert_eq "$(sed -n 1p <<<"$answer")" "$(sed -n 2p <<<"$answer")" \
		"$5, IPv$2: the server sees the client's own address and port"
	assert_eq "$(sed -n '1s/ .*//p' <<<"$answer")" "$4" "and that is right"
}

start()
{
	local name=$1
	shift
	ntm_start "$name" b "$@"
	wait_for 5 "grep -q ready '$(lab_log "$name")'"
}

start both "$serve" tcp :: 7000
start four "$serve" tcp 0.0.0.0 7001
start six "$serve" tcp :: 7002 v6only
outside4=10.1.0.2 outside6=2001:db8:1::2 itself4=127.0.0.1 itself6=::1
for try in 4:7000 6:7000 4:7001 6:7002; do
	family=${try%:*} port=${try#*:}
	reached peer "$family" "$port" "${NTM_VIP[a.$family]}" "port $port, a peer"
	name=outside$family
	reached outside "$family" "$port" "${!name}" "port $port, an outsider"
	name=itself$family
	reached itself "$family" "$port" "${!name}" "port $port, its own host"
done
for try in 6:7001 4:7002; do
	assert_fails "port ${try#*:} does not answer the other family, IPv${try%:*}" \
		from_peer "${try%:*}" "${try#*:}"
done

start virtual --listen=virtual "$serve" tcp :: 7003
start real --listen=real "$serve" tcp :: 7004
for family in 4 6; do
	name=outside$family
	reached peer $family 7003 "${NTM_VIP[a.$family]}" "--listen=virtual, a peer"
	assert_fails "--listen=virtual: an outsider is refused, IPv$family" \
		from_outside $family 7003
	reached outside $family 7004 "${!name}" "--listen=real, an outsider"
	assert_fails "--listen=real: a peer is refused, IPv$family" \
		from_peer $family 7004
done

# Who ends is no longer reachable, and somebody else may have the port.
lab_stop four
assert_fails "after the server's end a peer is refused" from_peer 4 7001
start again "$serve" tcp 0.0.0.0 7001
reached peer 4 7001 "${NTM_VIP[a.4]}" "the next server on that port"
