#!/bin/bash
# SPDX-License-Identifier: MIT
# 269-group-clock - devices of a group whose wall clocks are twenty minutes and two hours
# ahead: all hear each other, as packets' times are the server's. (Who is behind has no tunnel:
# the certificates of the others are of its future.)
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

OFF=$((20 * 60))

# late HOST SECONDS: its node again, with that clock (login and items ask for a good one)
late()
{
	lab_as_user "$1" ntm down >"$LAB/out"
	with_clock "$2"
	lab_as_user "$1" "${CLOCK[@]}" ntm up >"$(lab_log "up-$1")" 2>&1
	ntm_wait_online "$1"
}

groups_nodes a=laptop.alice b=desk.alice c=phone.alice
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
for h in b c; do group_joins $h band a "${NTM_NAME[$h]}"; done
for h in a b c; do group_in 40 $h band 3; done
late b $OFF
late c $((6 * OFF))
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
for h in a b c; do group_in 40 $h band 3; done
ok "devices whose clocks are off have the group's next key"

G=band.group.$NTM_DOMAIN
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
for h in a b c; do group_hears $h "$V4"; done
for from in a b c; do
	declare -A before=()
	for h in a b c; do before[$h]=$(group_heard $h); done
	group_speaks $from "$G"
	for h in a b c; do
		[ $h = $from ] || wait_for 20 "[ \$(group_heard $h) -gt $((before[$h] + 50)) ]" \
			"lab_as_user $h ntm status --json | jq .groups"
	done
	lab_stop speaks
	ok "what $from says the others hear"
done
for h in a b c; do
	assert_eq "$(lab_as_user $h ntm status --json | jq '.groups[0].old')" 0 "$h: no packet too old"
done
