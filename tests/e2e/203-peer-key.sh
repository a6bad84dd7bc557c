#!/bin/bash
# SPDX-License-Identifier: MIT
# 203-peer-key - a peer whose key has changed is refused, both ways, with a sentence that
# says what to do; `ntm forget` or `ntm verify` lets the new key in
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py
ntm_start server-a a "$serve" tcp :: 7000
wait_for 5 'ntm_listens a tcp 7000'
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "the two know each other"
old=$(ntm_peer a "$B" fingerprint)

# b's disk is lost; whoever has the account gets the name again, with another key.
renew()
{
	lab_as_user b ntm down
	wait_for 5 '[ -z "$(ntm_keeper b)" ]'
	rm -r "$(state_dir b)"
	ntm_up b
	refused "the name belongs to the old key" "choose another with --device" \
		try_login b "$NTM_PASSWORD" alice desk
	lab_as_user server ntm-server device delete "$B"
	ntm_login b alice desk
	ntm_wait_online b
}
renew
ntm_start server-b b "$serve" tcp :: 7000
wait_for 5 'ntm_listens b tcp 7000'

refused "the new key is refused" "the key differs from the one known before" \
	lab_as_user a ntm ping "$B"
refused "and it says what to do" "ntm verify" lab_as_user a ntm ping "$B"
ask_error "to a program" "gai -4" 5000 a tcp 6 "$B" 7000
ask_error "it does not get in either" "gai -4" 5000 b tcp 6 "$A" 7000
assert_eq "$(ntm_peer a "$B" state)" refused "ntm peers shows it"
assert_contains "$(ntm_peer a "$B" why)" "differs" "and why"

lab_as_user a ntm forget "$B" >"$LAB/out"
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "after ntm forget it is a new acquaintance"
assert_ne "$(ntm_peer a "$B" fingerprint)" "$old" "with another key"
ntm_ask a tcp 6 "$B" 7000 >"$LAB/out"
ntm_ask b tcp 6 "$A" 7000 >"$LAB/out"
ok "programs connect both ways"

lab_stop server-b
renew
refused "refused again" "the key differs" lab_as_user a ntm ping "$B"
code=$(lab_as_user b ntm verify --json "$A" | json code)
assert_eq "$(lab_as_user a ntm verify --json "$B" | json code)" "$code" \
	"both people see one code while a refuses"
refused "b's person alone does not open it" "the key differs" \
	lab_as_user b ntm ping "$A"
lab_as_user a ntm verify -y "$B" >"$LAB/out"
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "after ntm verify the new key is the peer's"
assert_eq "$(ntm_peer a "$B" verified)" True "and verified"
assert_eq "$(lab_as_user b ntm verify --json "$A" | json code)" "$code" \
	"both sides show one code"
