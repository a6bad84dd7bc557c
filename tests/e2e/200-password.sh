#!/bin/bash
# SPDX-License-Identifier: MIT
# 200-password - a wrong password is refused; guessing is slowed down, for each account
# and for each source, and the right password works after the pause
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b c
for name in alice bob; do
	ntm_account server $name
done
for host in a b c; do
	ntm_up $host
done

# error HOST PASSWORD ACCOUNT: the name of the error
error()
{
	try_login "$1" "$2" "$3" "$1" --json | json error || :
}

refused "a wrong password" "wrong account or password" try_login a guess alice a
refused "an unknown account" "wrong account or password" \
	try_login a guess nobody a
refused "a name that is none" "lower-case letters, digits and hyphens" \
	try_login a guess 'al ice' a
assert_eq "$(error a guess alice)" PASSWORD "scripts see which error"
# Three of an account and of a source are free; then each makes a longer pause.
guess()
{
	try_login a guess alice a >"$LAB/guess" 2>&1 ||
		grep -q 'too many attempts; try again in [4-8] s' "$LAB/guess"
}
wait_for 10 guess "cat '$LAB/guess'"
ok "guessing is slowed down: $(<"$LAB/guess")"
assert_eq "$(error a guess alice)" RATE "scripts see that error too"
refused "the account, from elsewhere, with the right password" \
	"too many attempts; try again in" try_login b "$NTM_PASSWORD" alice b
refused "another account, from the same source" \
	"too many attempts; try again in" try_login a "$NTM_PASSWORD" bob a
try_login c "$NTM_PASSWORD" bob c >"$(lab_log login-c)" 2>&1
ok "another account from elsewhere is not concerned"
wait_for 20 'try_login b "$NTM_PASSWORD" alice b' "error b '$NTM_PASSWORD' alice"
ok "after the pause the right password works"
ntm_wait_online b
assert_eq "$(server_status server roles.as.logins)" 2 "two logins, no more, were let in"
