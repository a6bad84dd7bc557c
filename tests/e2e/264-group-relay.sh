#!/bin/bash
# SPDX-License-Identifier: MIT
# 264-group-relay - a group whose packets a relay replicates: sent once, heard by all,
# while keys change; nothing for who was removed
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b c
server_set server gms.relay_from=2
groups_server server
ntm_account server alice
for h in a b c; do ntm_node $h $h.alice; done
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
for h in b c; do group_joins $h band a "${NTM_NAME[$h]}"; done
for h in a b c; do group_in 40 $h band 3; done
G=band.group.$NTM_DOMAIN
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')

# of_band HOST KEY: of the group in `ntm status`
of_band()
{
	lab_as_user "$1" ntm status --json | jq -r ".groups[0].$2"
}

# of_relay KEY
of_relay()
{
	lab_as_user server ntm-server relay status --json |
		jq -r ".. | objects | select(has(\"groups_max\")) | .$1"
}

for h in a b c; do
	wait_for 20 "[ \$(of_band $h relay) = true ]" \
		"lab_as_user $h ntm status --json; lab_as_user server ntm-server relay status; lab_as_user server ntm-server gms status"
done
ok "all have a place at the relay"

group_hears b "$V4"
group_hears c "$V4"
group_speaks a "$G"
for h in b c; do
	wait_for 20 "[ \$(group_heard $h) -gt 50 ]" \
		"lab_as_user a ntm status --json; lab_as_user server ntm-server relay status"
	ok "$h hears the stream"
done

# to the relay once, to nobody straight
wait_for 20 "[ \$(of_relay group_members) -ge 3 ]" "lab_as_user server ntm-server relay status --json"
relayed=$(of_band a tx_relayed) straight=$(of_band a tx_datagrams)
wait_for 20 "[ \$(of_band a tx_relayed) -gt $((relayed + 50)) ]" "lab_as_user a ntm status --json"
assert_eq "$(of_band a tx_datagrams)" "$straight" "sent to nobody but the relay"
assert_between "$(of_relay group_copies)" 100 1000000 "copies of the relay"

# another key: nobody waits longer than 200 ms
from=$(group_heard b)
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
for h in a b c; do group_in 20 $h band 3; done
wait_for 20 "[ \$(group_heard b) -gt $((from + 150)) ]"
for h in b c; do
	ms=$(group_gap $h "$from")
	assert_between "$ms" 0 200 "$h, ms between packets while the key changed"
done

# removed: not one packet more, and no place
group a remove band "${NTM_NAME[c]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 b band 2
before=$(tail -n 1 "$(lab_log hears-c)" | awk '{print $2}')
from=$(group_heard b)
wait_for 20 "[ \$(group_heard b) -gt $((from + 100)) ]"
assert_eq "$(tail -n 1 "$(lab_log hears-c)" | awk '{print $2}')" "$before" \
	"who was removed hears nothing more"
wait_for 20 "[ \$(of_band a relay) = true ]" "lab_as_user a ntm status --json"
ok "the others have places again"
