#!/bin/bash
# SPDX-License-Identifier: MIT
# 196-away-waits - what keeps an item from going on is said to whom it concerns, and it goes
# on when that is over: an account's quota, a disk that becomes full in the middle, a
# sender whose key has changed; a login anew in the middle of either way breaks nothing,
# and nothing is overwritten unasked
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_account server bob
dir=$(server_dir server)
server_disk cs 260m
server_set server "server.roles=as, dc, rs, ns, cs" cs.quota=50M
items_ready server
ntm_node a laptop.alice
ntm_node b desk.bob
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
lab_as_user b ntm allow "$A" >"$LAB/out"

# file NAME MIB
file()
{
	head -c $(($2 << 20)) /dev/urandom >"$(lab_home a)/$1"
	lab_give "$(lab_home a)/$1"
}
# on_disk: bytes of the upload at the Cache Server, seen where its disk is
on_disk()
{
	lab_root server du -sm "$dir/cs/up" | cut -f 1
}
items_prekey b
lab_as_user b ntm down

# --- quota
file first 30
file second 31
lab_as_user a ntm send "$(lab_home a)/first" "$B" >"$LAB/out" 2>&1
lab_start second user a ntm send "$(lab_home a)/second" "$B"
wait_for 20 '[[ $(items_newest a outbox .text) == *"space at the Cache Server is used up"* ]]' \
	'lab_as_user a ntm outbox'
ok "the outbox says: $(items_newest a outbox .text)"
assert_eq "$(items_newest a outbox .state)" sending "it waits for room"
wait_for 5 'grep -q "not yet: .* used up; cancel what is not needed (it is tried again)" \
	"$(lab_log second)"' 'cat "$(lab_log second)"'
ok "so does ntm send, which waits"
lab_as_user a ntm cancel 1 >"$LAB/out"
lab_join second
assert_contains "$(cat "$(lab_log second)")" "item 2 is sent" \
	"with room again it goes on by itself"
lab_as_user a ntm cancel 2 >"$LAB/out"

# --- a disk that becomes full in the middle
server_set server cs.quota=10G
file third 120
lab_as_user a ntm send --background "$(lab_home a)/third" "$B" >"$LAB/out"
wait_for 20 '[ "$(on_disk)" -ge 2 ]'
post=$(lab_pids a ntm-post)
kill -STOP "$post"
assert_between "$(on_disk)" 2 119 "MiB of 120 are there when the disk becomes full"
lab_root server dd if=/dev/zero of="$dir/cs/filler" bs=64k 2>"$LAB/out" || :
ntm_login a alice laptop
kill -CONT "$post"
wait_for 40 '[[ $(items_newest a outbox .text) == *"Cache Server'"'"'s disk is full"* ]]' \
	'lab_as_user a ntm outbox; lab_root server df "$dir/cs"'
ok "the outbox says: $(items_newest a outbox .text)"
assert_eq "$(items_newest a outbox .state)" sending "it waits for room"
have=$(on_disk)
lab_root server rm "$dir/cs/filler"
wait_for 60 '[ "$(items_newest a outbox .state)" = waiting ]' 'lab_as_user a ntm outbox'
ok "with room again it goes on, from $have MiB"
ntm_up b
wait_for 30 '[ -n "$(find "$(state_dir b)/post" -name third -size +1M)" ]'
post=$(lab_pids b ntm-post)
kill -STOP "$post"
assert_between "$(find "$(state_dir b)/post" -name third -printf '%s')" 1000000 120000000 \
	"bytes are here when b logs in anew"
ntm_login b bob desk
kill -CONT "$post"
wait_for 40 '[ "$(items_newest b inbox .state)" = here ]' 'lab_as_user b ntm inbox'
echo mine >"$(lab_home b)/third"
lab_give "$(lab_home b)/third"
assert_fails "what exists is not overwritten unasked" \
	lab_as_user b ntm receive --to="$(lab_home b)"
assert_eq "$(cat "$(lab_home b)/third")" mine "it is as it was"
lab_as_user b ntm receive --rename --to="$(lab_home b)" >"$LAB/out"
cmp "$(lab_home a)/third" "$(lab_home b)/third (2)"
ok "beside it is what was sent"

# --- the sender's key has changed
wait_for 30 '[ "$(items_newest a outbox .state)" = done ]' 'lab_as_user a ntm outbox'
lab_as_user a ntm down
wait_for 5 '[ -z "$(ntm_keeper a)" ]'
rm -r "$(state_dir a)"
lab_as_user server ntm-server device delete "$A" >"$LAB/out"
ntm_up a
ntm_login a alice laptop
ntm_wait_online a
echo "it is me" | lab_as_user a ntm send "$B" >"$LAB/out"
wait_for 30 '[ "$(items_newest b inbox .state)" = held ]' \
	"lab_as_user b ntm inbox; tail -n 20 $(state_dir b)/broker.log"
assert_eq "$(items_newest b inbox .error)" PIN "an item under another key is held"
assert_contains "$(items_newest b inbox .text)" "ntm forget $A" \
	"and says what to do: $(items_newest b inbox .text)"
refused "asking for it is not enough" "differs from the one known before" \
	lab_as_user b ntm receive "$(items_newest b inbox .id)"
assert_eq "$(items_newest b inbox .state)" held "it is held still"
lab_as_user b ntm forget "$A" >"$LAB/out"
wait_for 20 '[ "$(items_newest b inbox .state)" = here ]' 'lab_as_user b ntm inbox'
assert_eq "$(lab_as_user b ntm receive)" "it is me" "after ntm forget it comes"
