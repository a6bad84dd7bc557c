#!/bin/bash
# SPDX-License-Identifier: MIT
# 240-cs - a Cache Server is what docs/exchange.yaml says: every request and answer of a
# node's, from keys to confirmation, and what is answered to others
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a
ntm_account server alice
wait_for 5 'lab_listens server tcp 4507'
ntm_node a laptop.alice
session=$(state_dir a)/session
wait_for 10 '[ "$(server_status server roles.cs.as_link)" = true ]' \
	'lab_as_user server ntm-server status'
[ -s "$session" ] || not_ok "there is no session"

exchange()
{
	lab_as_user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" "$1" \
		"$session" "$(server_dir server)" 10.1.0.2 "${@:2}"
}
exchange conform
exchange truncated
# 5 of the item, and 25 of its sealed key
assert_eq "$(server_status server roles.cs.bytes)" 30 "bytes that the account has there"
assert_contains "$(lab_as_user server ntm-server status)" "cs: as_link=yes" \
	"status says what it does"

# withdrawn while it runs: at once. The node forgets its session then; a thief does not.
cp "$session" "$LAB/session"
lab_give "$LAB/session"
session=$LAB/session
lab_as_user server ntm-server account disable alice
wait_for 5 '! exchange conform >"$LAB/out" 2>&1 && grep -q "401 instead" "$LAB/out"' \
	'cat "$LAB/out"'
ok "a disabled account's token is refused within 5 s"
