#!/bin/bash
# SPDX-License-Identifier: MIT
# 130-handover - downloads over virtual IPv4 and IPv6 live through three moves
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 5m
head -c 24000000 /dev/urandom >"$LAB/www/big"

for family in 4 6; do
	ntm_start get$family a curl -sS -$family -o got$family \
		-w '%{num_connects}' "http://$B:8000/big?$family"
done

# have BYTES: both downloads have as much
have()
{
	local family
	for family in 4 6; do
		[ "$(stat -c %s "$(lab_home a)/got$family")" -ge "$1" ] ||
			return 1
	done
}

# moved NET ADDRESS4|- ADDRESS6|-: lose the addresses, be without for as long as
# it takes the broker to notice, get others; then the peer must see them.
moved()
{
	local start
	lab_lose a
	wait_for 5 "[ \"\$(ntm_peer a $B state)\" != direct ]"
	lab_gain a "$1" "$2" "$3"
	start=$(stat -c %s "$(lab_home a)/got4")
	wait_for 10 "have_more $start" "lab_as_user a ntm peers"
	echo "# moved to $2 $3: data flows $(lab_ms_since "$LAB_MOVED") ms later"
	wait_for 5 "seen_at '${2%/*}' '${3%/*}'" "lab_as_user b ntm peers"
	ok "the peer sees us at $2 $3"
}

have_more()
{
	[ "$(stat -c %s "$(lab_home a)/got4")" -gt "$1" ]
}

seen_at()
{
	local remote
	remote=$(ntm_peer b "$A" remote)
	[[ $remote == *"$1"* || $remote == *"$2"* ]]
}

wait_for 15 'have 4000000'
moved other 10.200.0.2/24 2001:db8:200::2/64
wait_for 15 'have 9000000'
moved n2 - 2001:db8:2::22/64
wait_for 15 'have 14000000'
moved other 10.200.0.3/24 -
for family in 4 6; do
	lab_join get$family
	cmp "$(lab_home a)/got$family" "$LAB/www/big"
	ok "the download over virtual IPv$family is whole"
	assert_eq "$(cat "$(lab_log get$family)")" 1 "on one connection"
	wait_for 2 "grep -qF 'big?$family' '$(lab_log web)'"
	assert_eq "$(grep -cF "big?$family" "$(lab_log web)")" 1 "and one request"
	ntm_web_source "big?$family" a $family
done
