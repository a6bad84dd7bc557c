#!/bin/bash
# SPDX-License-Identifier: MIT
# 252-box-full - a box whose disk is full takes nothing, says so, and still answers; what
# people send waits with them, and goes on when there is room again; slow clients are cut
# off meanwhile
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_account server bob
dir=$(server_dir server)
server_disk box 4m
ntm_node a laptop.alice
ntm_node b desk.bob
lab_as_user b ntm allow "alice.$NTM_DOMAIN" 22 >"$LAB/out"
for h in a b; do
	items_prekey $h
done
lab_as_user b ntm down
lab_start loris user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" box-loris \
	"$(state_dir a)/session" "$dir" 10.1.0.2

lab_as_user server dd if=/dev/zero of="$dir/box/filler" bs=4k 2>"$LAB/out" || :
echo hello | lab_as_user a ntm send --background "${NTM_NAME[b]}" >"$LAB/out"
wait_for 20 '[ "$(server_status server roles.box.failed)" -ge 1 ]' \
	'lab_as_user a ntm outbox; lab_as_user server ntm-server status'
ok "the box's store failed, and its status counts it"
assert_eq "$(lab_as_user a ntm outbox --json | jq -r '.items[-1].state')" sending \
	"the item waits with its sender"
assert_contains "$(cat "$(lab_log server-server)")" "full" "the log says why"
assert_eq "$(server_status server roles.box.dc_link)" true "the box still runs"
pid=$(server_role server box)

lab_as_user server rm "$dir/box/filler"
wait_for 60 '[ "$(lab_as_user a ntm outbox --json | jq -r ".items[-1].state")" = waiting ]' \
	'lab_as_user a ntm outbox'
ok "it goes on by itself when there is room"
assert_eq "$(server_role server box)" "$pid" "in the same process"
ntm_up b
wait_for 30 '[ "$(lab_as_user b ntm inbox --json | jq -r ".items[-1].state")" = here ]' \
	'lab_as_user b ntm inbox'
assert_eq "$(lab_as_user b ntm receive)" hello "and arrives"
lab_join loris
assert_contains "$(cat "$(lab_log loris)")" "slow ones end" "$(cat "$(lab_log loris)")"
