#!/bin/bash
# SPDX-License-Identifier: MIT
# 276-group-relay-domains - a relay replicates the packets of a group with a member of
# another domain, whose words go there once as well; an epoch changes, and it is removed
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star root sa sb a b c
domains_root root one.example=sa two.example=sb
domains_server sa one.example
domains_server sb two.example
server_set sa gms.relay_from=3
groups_server sa
domains_node a laptop.alice one.example
domains_node b desk.alice one.example
domains_node c desk.bob two.example
domains_peer sa one.example sb two.example
for h in a b; do domains_allow $h two.example; done
domains_allow c one.example
for h in a b c; do items_prekey $h; done
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
for h in b c; do
	group_joins $h band a "${NTM_NAME[$h]}"
	group_in 40 $h band "$([ $h = b ] && echo 2 || echo 3)"
done
G=band.group.one.example
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')

# of_band HOST KEY: of the group in `ntm status`
of_band()
{
	lab_as_user "$1" ntm status --json | jq -r ".groups[0].$2"
}
# by_relay HOST OTHER...: what HOST says goes once to the relay, and all others hear it
by_relay()
{
	local from=$1 h relayed straight
	shift
	for h in "$from" "$@"; do
		wait_for 30 "[ \$(of_band $h relay) = true ]" \
			"lab_as_user $h ntm status --json; lab_as_user sa ntm-server relay status; tail -n 20 $(state_dir $h)/broker.log"
	done
	relayed=$(of_band "$from" tx_relayed)
	group_speaks "$from" "$G"
	for h; do
		was[$h]=$(group_heard $h)
		wait_for 20 "[ \$(group_heard $h) -gt $((was[$h] + 50)) ]" \
			"lab_as_user $from ntm status --json; lab_as_user $h ntm status --json"
	done
	straight=$(of_band "$from" tx_datagrams)
	wait_for 20 "[ \$(of_band $from tx_relayed) -gt $((relayed + 100)) ]" \
		"lab_as_user $from ntm status --json"
	assert_eq "$(of_band "$from" tx_datagrams)" "$straight" \
		"$from sends to the relay once, to nobody straight; $* hear it"
	lab_stop speaks
}
declare -A was=()
for h in a b c; do group_hears $h "$V4"; done
by_relay a b c
by_relay c a b

# another key, and the one of the other domain goes
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
for h in a b c; do group_in 20 $h band 3; done
by_relay c a b
group_speaks a "$G"
group a remove band "${NTM_NAME[c]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 b band 2
before=$(group_heard c) from=$(group_heard b)
wait_for 20 "[ \$(group_heard b) -gt $((from + 100)) ]"
assert_eq "$(group_heard c)" "$before" "who was removed hears nothing more"
