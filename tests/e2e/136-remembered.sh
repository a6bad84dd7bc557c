#!/bin/bash
# SPDX-License-Identifier: MIT
# 136-remembered - a remembered virtual address needs no look-up; an unknown one is
# an error at once; names have the errors that programs know
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py
ntm_start server b "$serve" tcp :: 7000
wait_for 5 'ntm_listens b tcp 7000'

# error TEXT WANTED MAX_MS ASK...: how an attempt fails, and how soon
error()
{
	local text=$1 wanted=$2 most=$3 start got
	shift 3
	start=$(lab_now)
	got=$(ntm_ask a "$@" 2>&1) && not_ok "$text: answered '$got'"
	assert_between "$(lab_ms_since "$start")" 0 $((most * LAB_SLOW)) \
		"$text: ms"
	assert_contains "$got" "$wanted" "$text: $wanted"
}

# Nobody has been looked up yet.
error "an address nobody told us" EHOSTUNREACH 5500 tcp 6 "${NTM_VIP[b.6]}" 7000
error "an address of nobody" EHOSTUNREACH 5500 tcp 4 198.19.77.77 7000
error "a name of nobody" "gai -2" 1000 tcp 6 "nobody.alice.$NTM_DOMAIN" 7000
error "a port of nobody" ECONNREFUSED 1000 tcp 6 "$B" 7009

for family in 4 6; do
	assert_eq "$(ntm_ask a tcp $family "${NTM_VIP[b.$family]}" 7000 |
		sed -n '1s/ .*//p')" "${NTM_VIP[a.$family]}" \
		"after a look-up another program connects by address, IPv$family"
done
lab_as_user a ntm down
wait_for 5 '[ -z "$(ntm_keeper a)" ]'
ntm_up a
ntm_wait_online a
for family in 4 6; do
	assert_eq "$(ntm_ask a tcp $family "${NTM_VIP[b.$family]}" 7000 |
		sed -n '1s/ .*//p')" "${NTM_VIP[a.$family]}" \
		"and after a new start of the broker, IPv$family"
done
assert_eq "$(ntm_run a getent hosts "${NTM_VIP[b.6]}" | tr -s ' ' |
	cut -d ' ' -f 2)" "$B" "the address has its name"

# The peer goes away.
lab_as_user b ntm down
wait_for 5 '[ -z "$(ntm_keeper b)" ]'
error "a peer that is offline" "gai -3" 5500 tcp 6 "$B" 7000
error "its remembered address" EHOSTUNREACH 5500 tcp 6 "${NTM_VIP[b.6]}" 7000
