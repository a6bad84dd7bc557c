#!/bin/bash
# SPDX-License-Identifier: MIT
# 263-group-words - a group that people have formed, and programs in it: socat by the
# group's name, an unbroken stream while keys change, nothing for who was removed; and
# @GROUP lets members connect in, as long as they are, and nobody of another group of that name
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.alice c=phone.bob	# c: nobody has allowed it anything
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
# the items of an invitation need no more than that they are asked for
lab_as_user c ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
group_joins b band a "${NTM_NAME[b]}"
group_joins c band a "${NTM_NAME[c]}"
for h in a b c; do group_in 40 $h band 3; done
G=band.group.$NTM_DOMAIN
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
[[ $V4 =~ ^239\.19[2345]\. ]] || not_ok "$G is '$V4': $(lab_as_user a ntm status --json)"
ok "the group's name has an address"

group_hears b "$V4"
group_hears c "$V4"
group_speaks a "$G"
for h in b c; do
	wait_for 20 "[ \$(group_heard $h) -gt 50 ]" \
		"cat $(lab_log hears-$h) $(lab_log speaks) | tail; lab_as_user a ntm peers"
	ok "$h hears the stream"
done

# keys change, twice by members: nobody waits longer than 200 ms
from=$(group_heard b)
for _ in 1 2; do
	group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
	for h in a b c; do group_in 20 $h band 3; done
done
for h in b c; do
	ms=$(group_gap $h "$from")
	[ "$ms" -lt 200 ] || not_ok "$h waited $ms ms while keys changed"
	ok "$h: at most $ms ms between packets while keys changed"
done

# members connect in, nobody else
ntm_web b 8000
echo inside >"$LAB/www/x"
# c is of another account, and no rule names it
assert_fails "no rule lets c in" ntm_run c curl -sf -m 5 "http://${NTM_NAME[b]}:8000/x"
lab_as_user b ntm allow @band 8000 >"$LAB/out" 2>&1 || not_ok "@band: $(cat "$LAB/out")"
assert_eq "$(ntm_run c curl -sf -m 20 "http://${NTM_NAME[b]}:8000/x")" inside \
	"a member connects in by @band"

# removed: not one packet more
group a remove band "${NTM_NAME[c]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 b band 2
before=$(tail -n 1 "$(lab_log hears-c)" | awk '{print $2}')
from=$(group_heard b)
wait_for 20 "[ \$(group_heard b) -gt $((from + 100)) ]"
assert_eq "$(tail -n 1 "$(lab_log hears-c)" | awk '{print $2}')" "$before" \
	"who was removed hears nothing more"
assert_fails "and does not connect in any more" \
	ntm_run c curl -sf -m 5 "http://${NTM_NAME[b]}:8000/x"

# b leaves; whoever founds another band does not inherit the rule
group b leave band >"$LAB/out" 2>&1 || not_ok "b cannot leave: $(cat "$LAB/out")"
wait_for 20 "lab_as_user b ntm allow | grep -q '^@$G 8000  (this device is not in that group now)'" \
	"lab_as_user b ntm allow; group b list"
lab_as_user b ntm allow "phone.bob.$NTM_DOMAIN" 9 >"$LAB/out"	# for its items
group c create band >"$LAB/out" 2>&1 || not_ok "no other band: $(cat "$LAB/out")"
group_joins b band c "${NTM_NAME[b]}"
for h in b c; do group_in 40 $h band 2; done
wait_for 20 "lab_as_user b ntm allow | grep -q '^@$G 8000  (of an earlier group of that name)'" \
	"lab_as_user b ntm allow; group b list"
assert_fails "a member of another band is not let in by the first one's rule" \
	ntm_run c curl -sf -m 5 "http://${NTM_NAME[b]}:8000/x"
lab_as_user b ntm allow @band 8000 >"$LAB/out" 2>&1 || not_ok "@band: $(cat "$LAB/out")"
assert_eq "$(ntm_run c curl -sf -m 20 "http://${NTM_NAME[b]}:8000/x")" inside \
	"once it is said of this one it is"
group b leave band >"$LAB/out" 2>&1 || not_ok "b cannot leave: $(cat "$LAB/out")"
wait_for 20 "lab_as_user b ntm allow | grep -q 'not in that group'" "lab_as_user b ntm allow"
lab_as_user b ntm allow -r @band >"$LAB/out" 2>&1 || not_ok "not taken back: $(cat "$LAB/out")"
assert_fails "-r @band finds the rule when the group has gone" grep -q @band "$LAB/out"
