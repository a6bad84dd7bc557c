#!/bin/bash
# SPDX-License-Identifier: MIT
# 269-group-clock - devices of a group, in a domain that is a minute old, whose wall clocks are
# twenty minutes behind or ahead, or two hours ahead: invited straight and by the Cache Server
# they join, and all hear each other. Who is three hours behind, and who wants to reach it, is
# told whose clock is wrong.
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

OFF=$((20 * 60))

# late HOST SECONDS [COMMAND...]: its node again, with that clock (login asks for a good one);
# COMMAND while it is down
late()
{
	lab_as_user "$1" ntm down >"$LAB/out"
	"${@:3}"
	with_clock "$2"
	lab_as_user "$1" "${CLOCK[@]}" ntm up >"$(lab_log "up-$1")" 2>&1
	ntm_wait_online "$1"
}

groups_nodes a=laptop.alice b=desk.alice c=phone.alice d=tablet.alice
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
invited_d()
{
	group a invite band "${NTM_NAME[d]}" >"$LAB/out" 2>&1 || not_ok "$(cat "$LAB/out")"
	wait_for 20 "lab_as_user a ntm outbox --json | jq -e '.items[] | select(.state == \"waiting\")'" \
		"lab_as_user a ntm outbox --json"
}
late d -$OFF invited_d
group_invited 30 d band
group d accept band >"$LAB/out" 2>&1 || not_ok "$(cat "$LAB/out")"
late b $OFF
group_joins b band a "${NTM_NAME[b]}"
group_in 40 d band 3
group a rights band "${NTM_NAME[d]}" --may-invite >"$LAB/out" || not_ok "$(cat "$LAB/out")"
group_in 20 d band 3
group_joins c band d "${NTM_NAME[c]}"
for h in a b c d; do group_in 40 $h band 4; done
ok "who is behind, or ahead, is invited, invites, and is in"
late c $((6 * OFF))
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
for h in a b c d; do group_in 40 $h band 4; done
ok "devices whose clocks are off have the group's next key"

G=band.group.$NTM_DOMAIN
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
for h in a b c d; do group_hears $h "$V4"; done
for from in a b c d; do
	declare -A before=()
	for h in a b c d; do before[$h]=$(group_heard $h); done
	group_speaks $from "$G"
	for h in a b c d; do
		[ $h = $from ] || wait_for 20 "[ \$(group_heard $h) -gt $((before[$h] + 50)) ]" \
			"lab_as_user $h ntm status --json | jq .groups"
	done
	lab_stop speaks
	ok "what $from says the others hear"
done
for h in a b c d; do
	assert_eq "$(lab_as_user $h ntm status --json | jq '.groups[0].old')" 0 "$h: no packet too old"
done

# three hours: more than certificates begin before they are made
late d -$((9 * OFF))
wait_for 10 "[[ \$(ntm_get d warnings) == *\"s behind the server's; set it\"* ]]" \
	"ntm_get d warnings"
ok "it warns: $(ntm_get d warnings)"
wrong=$(refused "who is hours behind" "this machine's clock is " \
	lab_as_user d ntm ping -c 1 "${NTM_NAME[a]}")
echo "$wrong"
assert_contains "$wrong" " s behind the server's; set the time and try again" "and says which way"
refused "who wants to reach it" "the other device's clock is wrong" \
	lab_as_user a ntm ping -c 1 "${NTM_NAME[d]}"
late d 0
lab_as_user a ntm ping -c 1 "${NTM_NAME[d]}" >"$LAB/out" 2>&1 || not_ok "$(cat "$LAB/out")"
ok "once the time is set they meet"
