#!/bin/bash
# SPDX-License-Identifier: MIT
# 257-away-moves - who moves to another network while bytes go to the Cache Server, or come
# from there, goes on in seconds from where it was; no connection of before is waited for
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

SIZE=$((600 << 20))
items_pair
lab_as_user b ntm down
openssl enc -aes-128-ctr -pass "pass:$RANDOM" -nosalt -pbkdf2 -in /dev/zero 2>"$LAB/out" |
	head -c $SIZE >"$(lab_home a)/big" || :
lab_give "$(lab_home a)/big"

# uploaded, fetched: bytes so far, where they are written
uploaded()
{
	lab_as_user server du -sb "$(server_dir server)/cs/up" | cut -f 1
}
fetched()
{
	lab_as_user b du -sb "$(state_dir b)/post" | cut -f 1
}
# goes_on COUNT HOST NUMBER: HOST moves when a tenth is there; more comes, and soon
goes_on()
{
	local moved at
	wait_for 30 "[ \$($1) -gt $((SIZE / 10)) ]" "tail $(state_dir "$2")/broker.log"
	lab_lose "$2"
	at=$($1)
	assert_between "$at" $((SIZE / 10)) $((SIZE * 8 / 10)) "$2 moves in the middle: bytes"
	lab_gain "$2" other "10.200.0.$3/24" "2001:db8:200::$3/64"
	moved=$(lab_now)
	wait_for 60 "[ \$($1) -gt $((at + 10000000)) ]" \
		"tail -n 30 $(state_dir "$2")/broker.log"
	assert_between "$(lab_ms_since "$moved")" 0 $((6000 * LAB_SLOW)) \
		"$2 goes on after the move: ms"
}

lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
goes_on uploaded a 3
items_await a outbox .state waiting -1 60
read -r items bytes <<<"$(items_stored server)"
assert_eq "$items" 1 "items that the Cache Server has had"
assert_between "$bytes" $SIZE $((SIZE + SIZE / 50)) "bytes at the Cache Server"

lab_as_user a ntm down
ntm_up b
goes_on fetched b 4
items_await b inbox .state here -1 60
items_receive b
cmp "$(lab_home a)/big" "$(lab_home b)/got/big"
ok "it is what was sent"
