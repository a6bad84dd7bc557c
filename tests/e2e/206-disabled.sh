#!/bin/bash
# SPDX-License-Identifier: MIT
# 206-disabled - an account that is disabled loses its tunnels within 5 s, in the middle
# of a transfer, and gets them back when it is enabled; so does a revoked device, for good
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
for name in alice bob; do
	ntm_account server $name
done
ntm_node a laptop.alice
ntm_node b desk.bob
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
lab_as_user b ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
ntm_slow_web b 8000 2m
head -c 40000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got

start_get()
{
	rm -f "$got"
	ntm_start get a curl -sS -o got --max-time 60 "http://$B:8000/big"
	wait_for 10 "[ \$(stat -c %s '$got') -gt 1000000 ]"
}

# ended HOST: nothing passes any more, and the device knows why
ended()
{
	local size
	wait_for 5 "[ \"\$(ntm_get $1 state)\" = logged-out ]" \
		"lab_as_user $1 ntm status"
	wait_for 5 "! lab_as_user b ntm peers | grep -q direct" \
		"lab_as_user b ntm peers"
	size=$(stat -c %s "$got")
	# Two round trips later what was on its way has arrived.
	lab_as_user server ping -q -c 3 -i 0.1 10.2.0.2 >"$LAB/out"
	size=$(stat -c %s "$got")
	lab_as_user server ping -q -c 5 -i 0.1 10.2.0.2 >"$LAB/out"
	assert_eq "$(stat -c %s "$got")" "$size" "the transfer has stopped"
	assert_contains "$(ntm_get $1 warnings)" "disabled" "$1 says why"
}

start_get
start=$(lab_now)
lab_as_user server ntm-server account disable alice
ended a
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) "withdrawn, ms"
lab_stop get
refused "it cannot log in" "disabled; ask its administrator" \
	try_login a "$NTM_PASSWORD" alice laptop
refused "and who does not know the password does not learn it" \
	"wrong account or password" try_login a guess alice laptop
ask_error "its peers do not find it" "gai -" 5000 b tcp 6 "$A" 7000

lab_as_user server ntm-server account enable alice
try_login a "$NTM_PASSWORD" alice laptop >"$(lab_log login-a)"
ntm_wait_online a
start_get
ok "enabled, it logs in and connects again"

start=$(lab_now)
lab_as_user server ntm-server device revoke "$A"
ended a
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) "revoked, ms"
lab_stop get
if try_login a "$NTM_PASSWORD" alice laptop >"$LAB/out" 2>&1; then
	not_ok "a revoked device came back"
fi
ok "a revoked device does not come back: $(tail -n 1 "$LAB/out")"
assert_eq "$(ntm_get b state)" online "the peer is untouched"
