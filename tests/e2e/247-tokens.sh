#!/bin/bash
# SPDX-License-Identifier: MIT
# 247-tokens - what the AS tells Cache Server and box of nodes' tokens: a new login at once,
# a withdrawal within 5 s, all of it after a restart of either side; a renewal breaks no
# upload; an expired token is refused with a sentence
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_server a b
ntm_node a laptop.alice
ntm_node b desk.bob
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
fed()
{
	[ "$(server_status server roles.cs.as_link)" = true ] &&
		[ "$(server_status server roles.box.as_link)" = true ]
}
wait_for 10 fed 'lab_as_user server ntm-server status'

# exchange SCENARIO SESSION [ARGUMENT...]
exchange()
{
	lab_as_user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" "$1" "$2" \
		"$(server_dir server)" 10.1.0.2 "${@:3}"
}
# says SESSION cs|box: status and text of a request with that token
says()
{
	exchange says "$1" "$2" 2>&1
}
# kept HOST NAME: a copy of its session, as a thief has it
kept()
{
	cp "$(state_dir "$1")/session" "$LAB/$2"
	lab_give "$LAB/$2"
}
# withdrawn SESSION TEXT: refused by both, within 5 s of now
withdrawn()
{
	local start server
	start=$(lab_now)
	for server in cs box; do
		wait_for 5 "[[ \$(says '$1' $server) == 401* ]]" \
			"says '$1' $server"
	done
	ok "$2: refused by both after $(lab_ms_since "$start") ms"
}
kept a first
kept b other
assert_eq "$(says "$LAB/first" cs)" "200" "a token is good at the Cache Server"
assert_eq "$(says "$LAB/first" box)" "200" "and at the box"

# --- a renewal, in the middle of an upload
lab_start upload user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" slowly \
	"$LAB/first" "$(server_dir server)" 10.1.0.2 "$LAB/renewed"
wait_for 10 'grep -q begun "$(lab_log upload)"' 'cat "$(lab_log upload)"'
ntm_login a alice laptop
kept a second
cmp -s "$LAB/first" "$LAB/second" && not_ok "the session is the same"
assert_eq "$(says "$LAB/second" cs)" "200" "the new token is good when the login is done"
assert_eq "$(says "$LAB/second" box)" "200" "at the box, too"
touch "$LAB/renewed"
lab_join upload
assert_contains "$(cat "$(lab_log upload)")" "ok - whole" \
	"an upload under the old token becomes whole"
assert_eq "$(says "$LAB/first" cs)" "200" "which stays good until it expires"

# --- the AS is killed: what it said holds, and it says all again
kill -STOP "$(server_role server as)"
assert_eq "$(says "$LAB/second" cs)" "200" "served while the AS does not answer"
kill -KILL "$(server_role server as)"
assert_eq "$(says "$LAB/second" box)" "200" "and while it is dead"
wait_for 15 fed 'lab_as_user server ntm-server status'
lab_as_user server ntm-server device revoke "$A" >"$LAB/out"
withdrawn "$LAB/second" "a device is revoked, at an AS that began anew"
withdrawn "$LAB/first" "its older token"
assert_eq "$(says "$LAB/other" cs)" "200" "others are none of it"

# --- Cache Server and box are killed, and do not hear of a withdrawal
for role in cs box; do
	kill -KILL "$(server_role server $role)"
done
lab_as_user server ntm-server account disable bob
wait_for 15 fed 'lab_as_user server ntm-server status'
withdrawn "$LAB/other" "an account that was disabled while they were dead"
lab_as_user server ntm-server account enable bob
ntm_login b bob desk
kept b third
wait_for 5 '[ "$(says "$LAB/third" cs)" = 200 ] && [ "$(says "$LAB/third" box)" = 200 ]'
ok "enabled and logged in again it is served"

# --- expired
with_clock $((2 * DAY_S))
lab_as_user b ntm down
lab_stop server-server
lab_start server-server user server "${CLOCK[@]}" ntm-server run
wait_for 10 "ntm__server_listens server"
wait_for 15 fed 'lab_as_user server ntm-server status'
wait_for 5 '[[ $(says "$LAB/third" cs) == 401* ]]' 'says "$LAB/third" cs'
assert_contains "$(says "$LAB/third" cs)" "expired; log in" \
	"an expired token: $(says "$LAB/third" cs)"
assert_contains "$(says "$LAB/third" box)" "401 not a token of this node, or one that has expired; log in" \
	"at the box: $(says "$LAB/third" box)"
