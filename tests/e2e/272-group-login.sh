#!/bin/bash
# SPDX-License-Identifier: MIT
# 272-group-login - who logged in before the domain had a GMS founds a group as soon as it
# has one: ntm-member has the login renewed
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
