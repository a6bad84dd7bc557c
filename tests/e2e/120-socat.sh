#!/bin/bash
# SPDX-License-Identifier: MIT
# 120-socat - socat's listeners and clients, TCP and UDP, forking or not
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
say='SYSTEM:echo $SOCAT_PEERADDR; cat'

# peer KIND PORT SERVER-ADDRESS CLIENT-ADDRESS: prints what the server saw
peer()
{
	local kind=$1 port=$2 server=$3 client=$4
	ntm_start "socat-$port" b socat "$server" "$say"
	wait_for 5 "ntm_listens b $kind $port"
	echo hello >"$LAB/in"
	ntm_carried a 6 6 ntm_run a socat -t 0.5 - "$client" <"$LAB/in"
	assert_eq "$(sed -n 2p "$LAB/out")" hello "$server: the echo"
}

port=7000
for family in 4 6; do
	wanted=${NTM_VIP[a.$family]}
	# socat writes IPv6 addresses in full, in brackets.
	[ $family = 4 ] || wanted=$(/usr/bin/python3 -c 'import ipaddress, sys
print("[%s]" % ipaddress.ip_address(sys.argv[1]).exploded)' "$wanted")
	for server in TCP$family-LISTEN:%,reuseaddr \
		TCP$family-LISTEN:%,reuseaddr,fork \
		UDP$family-LISTEN:%,fork UDP$family-RECVFROM:%,fork; do
		port=$((port + 1))
		client=${server%%[-,]*}
		kind=${client%[46]}
		peer ${kind,,} $port "${server/\%/$port}" "$client:$B:$port"
		assert_eq "$(sed -n 1p "$LAB/out")" "$wanted" \
			"${server%%:*}${server#*%}: the source"
	done
done
