#!/bin/bash
# SPDX-License-Identifier: MIT
# 204-expired - a login that has run out: peers refuse the certificate; the device's key
# renews it without a password for as long as as.renew_grace says; after that `ntm status`
# says what to do, and logging in again repairs it
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_pair
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "the certificates are good"

# down HOST, up HOST: under another clock
down()
{
	lab_as_user "$1" ntm down
	wait_for 5 "[ -z \"\$(ntm_keeper $1)\" ]"
}
up()
{
	lab_as_user "$1" "${CLOCK[@]}" ntm up >"$(lab_log "up-$1")" 2>&1
}

# b is two days ahead; the server is not, so b's session stays good for the DC.
with_clock $((2 * DAY_S))
down b
up b
ntm_wait_online b
warnings=$(ntm_get b warnings)
assert_contains "$warnings" "the certificate has expired; peers refuse it" \
	"ntm status says it"
refused "b takes a's certificate for one that has run out, and is told why" \
	"this machine's clock is $((2 * DAY_S)) s ahead of the server's" \
	lab_as_user b ntm ping "$A"
ask_error "to a program" "gai -4" 5000 b tcp 6 "$A" 7000

# later SECONDS: everybody was off, and it is so much later than in truth
later()
{
	down a
	down b
	with_clock "$1"
	lab_stop server-server
	lab_start server-server user server "${CLOCK[@]}" ntm-server run
	wait_for 10 "ntm__server_listens server"
}

# Two days later for everybody.
later $((2 * DAY_S))
for host in a b; do
	up $host
	ntm_wait_online $host
	assert_eq "$(ntm_get $host vip6)" "${NTM_VIP[$host.6]}" \
		"$host is online again by its key, with its address"
	assert_eq "$(ntm_get $host warnings)" "[]" "and nothing to warn of"
done
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "they meet again"

# Another five days, at a server that renews for one day only.
server_set server renew_grace=1d
later $((7 * DAY_S))
for host in a b; do
	up $host
	wait_for 10 "[[ \$(ntm_get $host warnings) == *'run \`ntm login\`'* ]]" \
		"lab_as_user $host ntm status --json"
	ok "$host: $(ntm_get $host warnings)"
	assert_ne "$(ntm_get $host state)" online "$host is not online"
done
within 1 "ntm ping" refused "says at once what to do" "run \`ntm login\`" \
	lab_as_user a ntm ping "$B"
ask_error "to a program" "gai -4" 1000 a tcp 6 "$B" 7000
try_login a "$NTM_PASSWORD" alice laptop >"$(lab_log login-a)"
try_login b "$NTM_PASSWORD" alice desk >"$(lab_log login-b)"
for host in a b; do
	ntm_wait_online $host
	assert_eq "$(ntm_get $host vip6)" "${NTM_VIP[$host.6]}" \
		"logged in again $host has its address again"
	assert_eq "$(ntm_get $host warnings)" "[]" "and nothing to warn of"
done
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "they meet again"
