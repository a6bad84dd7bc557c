#!/bin/bash
# SPDX-License-Identifier: MIT
# 131-worker-killed - kill -9 of either side's worker under a TCP stream loses nothing
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 8m
head -c 24000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
ntm_start udp b "$LAB_SRC/tests/lab/peername.py" udp :: 7000
wait_for 5 'ntm_listens b udp 7000'

ntm_start get a curl -sS -o got -w '%{num_connects}' \
	"http://$B:8000/big"

# killed HOST: its worker dies; another one comes; data flows
killed()
{
	local host=$1 worker keeper size start
	worker=$(ntm_worker "$host")
	keeper=$(ntm_keeper "$host")
	kill -KILL "$worker"
	start=$(lab_now)
	wait_for 5 "[ -n \"\$(ntm_worker $host)\" ] &&
		[ \"\$(ntm_worker $host)\" != $worker ]"
	size=$(stat -c %s "$got")
	# What was on its way is no proof.
	wait_for 10 "[ \$(stat -c %s '$got') -gt $((size + 500000)) ]" \
		"lab_as_user $host ntm peers"
	echo "# $host's worker killed: 0.5 MB more $(lab_ms_since "$start") ms later"
	assert_eq "$(ntm_keeper "$host")" "$keeper" "$host's keeper lives on"
}

wait_for 15 "[ \$(stat -c %s '$got') -gt 2000000 ]"
killed a
killed b
kill -KILL "$(ntm_worker a)" "$(ntm_worker b)"
lab_join get
cmp "$got" "$LAB/www/big"
ok "the download is whole, after both were killed at once as well"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
ntm_wait_online a
ntm_wait_online b

# The servers of b were there before; new clients come.
echo "after all" >"$LAB/www/small"
for family in 4 6; do
	assert_eq "$(ntm_run a curl -sS -$family "http://$B:8000/small")" \
		"after all" "a listener outlives the worker, IPv$family"
	assert_eq "$(ntm_ask a udp $family "$B" 7000 | sed -n '1s/ .*//p')" \
		"${NTM_VIP[a.$family]}" "so does a UDP server"
done
assert_eq "$(ntm_get a vip6)" "${NTM_VIP[a.6]}" "the address is what it was"
