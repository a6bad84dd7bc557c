#!/bin/bash
# SPDX-License-Identifier: MIT
# 273-group-straight - members confirm an epoch to each other: with the server gone, `status`
# still says how many have its key; nobody is connected for it
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.bob c=tv.bob
for host in b c; do
	lab_as_user $host ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
done
group a create band >"$LAB/out"
group a invite band bob >"$LAB/out"
for host in b c; do
	group_invited 30 $host band
	group $host accept band >"$LAB/out"
done
group_in 30 a band 3

# of_group HOST KEY: in `ntm status`
of_group()
{
	lab_as_user "$1" ntm status --json | jq -r ".groups[0].$2"
}
# a's word makes tunnels to both, as no confirmation does
ntm_start listens c socat -u \
	"UDP4-RECV:5000,ip-add-membership=band.group.$NTM_DOMAIN:lo" \
	"OPEN:$(lab_home c)/heard,creat,append"
wait_for 10 "ntm_inside c ss -Hlnu sport = :5000 | grep -q ."
speak()
{
	echo hello | ntm_run a socat -u - "UDP4-DATAGRAM:band.group.$NTM_DOMAIN:5000"
}
# who has just come in hears nothing of the epoch before, which is sent under for 1 s more
wait_for 10 "speak; grep -q hello $(lab_home c)/heard" "lab_as_user a ntm status --json"

# listed HOST KEY: `list` asks nobody, as `status` would ask the server
listed()
{
	group "$1" list --json | jq -r ".groups[0].$2"
}
group a rekey >"$LAB/out"
epoch=$(listed a epoch)
for host in b c; do
	wait_for 10 "[ \$(listed $host epoch) = $epoch ]" "group $host list"
done
before=$(of_group a rx_packets)
lab_stop server-server KILL
wait_for 10 "[ \"\$(listed a connected)\" = false ]" "group a list"
group_in 10 a band 3
assert_eq "$(listed a epoch)" "$epoch" "all three, of the epoch without a server"
assert_eq "$(of_group a rx_packets)" "$before" "programs hear nothing of it"
