#!/bin/bash
# SPDX-License-Identifier: MIT
# 205-clock - a clock that is ten minutes off: login says by how much and which way; a
# device that has logged in works on, and warns
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

# A domain that is a day old.
ntm_star server a b
lab_stop server-server
rm -r "$(server_dir server)"
with_clock -$DAY_S
lab_as_user server "${CLOCK[@]}" ntm-server init --domain "$NTM_DOMAIN" \
	--listen 10.1.0.2 >"$(lab_log server-init-server)"
ntm_server_start server
NTM_JOIN[$NTM_DOMAIN]=$(lab_as_user server ntm-server join-string)
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
serve=$LAB_SRC/tests/lab/peername.py

down()
{
	lab_as_user "$1" ntm down
	wait_for 5 "[ -z \"\$(ntm_keeper $1)\" ]"
}

lab_host c
ntm__link c other 10.200.0.9/24 2001:db8:200::9/64 5
for off in +600 -600; do
	with_clock $off
	way="ahead of"
	[ "$off" = +600 ] || way=behind
	lab_as_user c "${CLOCK[@]}" ntm up >"$(lab_log up-c)" 2>&1
	refused "login at ${off}s" "this machine's clock is " \
		try_login c "$NTM_PASSWORD" alice phone
	wrong=$(try_login c "$NTM_PASSWORD" alice phone 2>&1 || :)
	assert_contains "$wrong" " s $way the server's; set the time" "which way"
	assert_between "$(sed 's/.*clock is \([0-9]*\) s.*/\1/' <<<"$wrong")" \
		590 610 "by how much"
	down c

	down b
	lab_as_user b "${CLOCK[@]}" ntm up >"$(lab_log up-b)" 2>&1
	ntm_wait_online b
	wait_for 5 "[[ \$(ntm_get b warnings) == *\" s $way the server's; set it\"* ]]" \
		"ntm_get b warnings"
	ok "a device with a login warns: $(ntm_get b warnings)"
	lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
	lab_as_user b ntm ping -c 1 "$A" >"$LAB/out"
	ok "and works, both ways"
done

# The clock is right again; what b said while it was wrong does not lock it out.
down b
ntm_up b
ntm_wait_online b
assert_eq "$(ntm_get b warnings)" "[]" "no warning with the right time"
ntm_start server b "$serve" tcp :: 7000
wait_for 5 'ntm_listens b tcp 7000'
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ntm_ask a tcp 6 "$B" 7000 >"$LAB/out"
ok "peers meet after the clock was set"
