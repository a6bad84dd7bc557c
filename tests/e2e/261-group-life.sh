#!/bin/bash
# SPDX-License-Identifier: MIT
# 261-group-life - five devices in three networks and two domains, one of them off
# throughout the forming; removed, left, joined again (renewed by time: 268)
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

ntm_installed
ntm_star root sa sb a b c
lab_host d
lab_link d n4 10.4.0.3/24 2001:db8:4::3/64 5
lab_host e
lab_link e n5 10.5.0.3/24 2001:db8:5::3/64 5
groups_across
declare -n N=NTM_NAME

# d is off until all others are in; b's inviter is off when it accepts
lab_as_user d ntm down
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group_in 10 a band 1
group a invite band "${N[b]}" "${N[c]}" "${N[d]}" >"$LAB/out" 2>&1 ||
	not_ok "not invited: $(cat "$LAB/out")"
group_invited 30 b band
group_invited 30 c band
# by the Cache Server: whom one needs is off each time
lab_as_user a ntm down
group b accept band >"$LAB/out" || not_ok "b does not accept: $(cat "$LAB/out")"
wait_for 30 "lab_as_user b ntm outbox --json | jq -e '.items[-1].state == \"waiting\"'" \
	"lab_as_user b ntm outbox"
lab_as_user b ntm down
ntm_up a
ntm_wait_online a
wait_for 40 '[ "$(group_get a band .members)" = 2 ]' \
	"group a status band; group a list; tail -n 30 $(state_dir a)/broker.log"
ok "who accepted while the inviter was off is added, and is off"
for i in 1 2; do
	group a rekey band >"$LAB/out" 2>&1 || not_ok "no new key: $(cat "$LAB/out")"
done
ok "before it has ever been there the key is made anew, twice"
ntm_up b
ntm_wait_online b
group_in 40 b band 2
# straight, through the tunnel, and of another domain
group c accept band >"$LAB/out" || not_ok "c does not accept: $(cat "$LAB/out")"
group_in 40 c band 3
# the one that was off
ntm_up d
ntm_wait_online d
group_invited 40 d band
group d accept band >"$LAB/out" || not_ok "d does not accept: $(cat "$LAB/out")"
group_in 40 d band 4
for h in a b c; do group_in 20 $h band 4; done
code=$(group a verify band | head -n 1)
for h in b c d; do
	assert_eq "$(group $h verify band | head -n 1)" "$code" "$h shows the code of a"
done

# the fifth, while one is off; status says who has not confirmed
lab_as_user c ntm down
group_joins e band a "${N[e]}"
group_in 40 e band 4 5
assert_contains "$(group a status band)" "4 of 5 members" "status says who has the key"
assert_contains "$(group a members band)" "has not confirmed" "and members who has not"

# removed; the one that was off learns of all of it at once
key=$(group b export band t 16)
group a remove band "${N[d]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
wait_for 20 'assert_contains "$(group d list)" "in no group" x >/dev/null' "group d list"
ok "who is removed knows nothing of it any more"
group_in 20 b band 3 4
assert_ne "$(group b export band t 16)" "$key" "the others have another key"
ntm_up c
ntm_wait_online c
for h in a b c e; do group_in 40 $h band 4; done
refused "who has no right removes nobody" "has not the right" \
	group c remove band "${N[b]}"
refused "nor invites anybody" "may not invite" group c invite band "${N[d]}"

# left; and one comes again
group b leave band -y >"$LAB/out" 2>&1 || not_ok "b does not leave: $(cat "$LAB/out")"
for h in a c e; do group_in 30 $h band 3; done
assert_contains "$(group b list)" "in no group" "who left has nothing"
group_joins d band a "${N[d]}"
for h in a c d e; do group_in 40 $h band 4; done
assert_eq "$(group a log band --json | jq -r '[.entries[].kind] | .[0:5] | join(" ")')" \
	"create add refresh refresh add" "the log says what happened"

# all processes end, and go on
for h in a c d e; do lab_as_user $h ntm down; done
for h in a c d e; do ntm_up $h; done
for h in a c d e; do group_in 60 $h band 4; done
ok "and goes on after all were off"
