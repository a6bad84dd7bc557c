#!/bin/bash
# SPDX-License-Identifier: MIT
# 272-group-login - who logged in before the domain had a GMS founds a group as soon as it
# has one: ntm-member has the login renewed. And a DC that was restarted knows it soon
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
NTM_ROLES="as, dc, rs, ns, cs"
ntm_star server a
ntm_account server alice
ntm_node a laptop.alice

refused "no GMS" "this domain has no server for groups" group a create band
lab_stop server-server
lab_as_user server sed -i 's/^roles = .*/roles = as, dc, rs, ns, cs, gms/' \
	"$(server_dir server)/ntm-server.conf"
ntm_server_start server
groups_server server
wait_for 40 "group a create band >'$LAB/out' 2>&1" "cat $LAB/out"
assert_contains "$(cat "$LAB/out")" "group band is founded" "with one, without another login"
lab_stop server-server
refused "the server is away" "the group is founded when it does" group a create chess
assert_contains "$(group a list)" "chess  no key yet" "which is to be seen"

# a server that was restarted does not know where nodes are: who sees that its GMS has gone
# does not wait for the next Keep Alive, which is 25 s away
registered()
{
	grep -c 'session: registered with' "$(state_dir a)/broker.log"
}
ntm_server_start server
group_in 40 a chess 1
was=$(registered)
lab_stop server-server
ntm_server_start server
within 12 "the DC knows it again" wait_for 15 '[ "$(registered)" -gt '"$was"' ]' \
	"tail -n 20 $(state_dir a)/broker.log"
