#!/bin/bash
# SPDX-License-Identifier: MIT
# 141-both-move - a download lives on when its server moves, and when both ends do
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 4m
head -c 24000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
ntm_start get a curl -sS -o got -w '%{num_connects}' "http://$B:8000/big"

# flows TEXT: data arrives, since the last move
flows()
{
	local size
	size=$(stat -c %s "$got")
	wait_for 15 "[ \$(stat -c %s '$got') -gt $((size + 100000)) ]" \
		"lab_as_user a ntm peers; lab_as_user b ntm peers"
	ok "$1: data flows $(lab_ms_since "$LAB_MOVED") ms later"
}

# lost: both have noticed that they are nowhere, where they are
lost()
{
	local host peer
	for host; do
		peer=$B
		[ "$host" = a ] || peer=$A
		wait_for 5 "[ \"\$(ntm_peer $host $peer state)\" != direct ]"
	done
}

wait_for 15 "[ \$(stat -c %s '$got') -gt 2000000 ]"
lab_lose b
lost b
lab_gain b other 10.200.0.3/24 2001:db8:200::3/64
flows "the server moved"

wait_for 15 "[ \$(stat -c %s '$got') -gt 8000000 ]"
lab_lose a
lab_lose b
lost a b
lab_gain a other 10.200.0.2/24 2001:db8:200::2/64
lab_gain b n3 10.3.0.33/24 2001:db8:3::33/64
flows "both moved at once"

wait_for 15 "[ \$(stat -c %s '$got') -gt 14000000 ]"
lab_lose a
lab_lose b
lost a b
lab_gain b other - 2001:db8:200::4/64
lab_gain a n2 - 2001:db8:2::44/64
flows "both moved at once, to networks with IPv6 only"

lab_join get
cmp "$got" "$LAB/www/big"
ok "the download is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
