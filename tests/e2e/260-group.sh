#!/bin/bash
# SPDX-License-Identifier: MIT
# 260-group - two devices: founded, invited while both are online, accepted, in; both show
# one code
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
groups_server server
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
B=${NTM_NAME[b]}

assert_contains "$(group a list)" "in no group" "at first there is none"
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out"; group a status)"
group_in 5 a band 1
group_joins b band a "$B"
group_in 30 b band 2
group_in 10 a band 2
assert_eq "$(group a verify band | head -n 1)" "$(group b verify band | head -n 1)" \
	"both show the same code"
assert_eq "$(group a export band test 32)" "$(group b export band test 32)" "and export one key"
