#!/bin/bash
# SPDX-License-Identifier: MIT
# 138-underlay-v6 - inner IPv4 and IPv6 over a network that has IPv6 only
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

NTM_UNDERLAY=6
ntm_pair
ntm_web b 8000
head -c 2000000 /dev/urandom >"$LAB/www/big"
assert_lacks "$(lab_addresses a)" . "no IPv4 in the underlay"

for family in 4 6; do
	ntm_carried a 1000 2000000 ntm_run a curl -sS -$family \
		"http://$B:8000/big?$family"
	cmp "$LAB/out" "$LAB/www/big"
	ok "virtual IPv$family over IPv6: 2 MB are whole"
	ntm_web_source "big?$family" a $family
done
ntm_start udp b "$LAB_SRC/tests/lab/peername.py" udp :: 7000
wait_for 5 'ntm_listens b udp 7000'
for family in 4 6; do
	assert_eq "$(ntm_ask a udp $family "$B" 7000 | sed -n '1s/ .*//p')" \
		"${NTM_VIP[a.$family]}" "UDP over virtual IPv$family"
done
