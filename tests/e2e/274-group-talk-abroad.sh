#!/bin/bash
# SPDX-License-Identifier: MIT
# 274-group-talk-abroad - members of two domains talk: straight, to who is away, what was
# read; in one order
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star root sa sb a c
domains_root root one.example=sa two.example=sb
domains_server sa one.example
domains_server sb two.example
groups_server sa
domains_node a laptop.alice one.example
domains_node c desk.bob two.example
domains_peer sa one.example sb two.example
domains_allow a two.example
domains_allow c one.example
A=${NTM_NAME[a]} C=${NTM_NAME[c]}

# has HOST TEXT
has()
{
	group "$1" history band --json | jq -r .text | grep -qxF "$2"
}
group a create band >"$LAB/out"
group_joins c band a "$C"
group_in 40 c band 2
group_in 20 a band 2

echo "from one domain" | group a send band >"$LAB/out"
wait_for 20 "has c 'from one domain'" "group c history band"
echo "to the other" | group c send band >"$LAB/out"
wait_for 20 "has a 'to the other'" "group a history band"
assert_contains "$(group c chat --once)" "$A: from one domain" "who is abroad sees who said it"
wait_for 20 "group a history band | grep -q 'from one domain .*read by 1 of 1'" \
	"group a history band"
ok "and that it was read is told across"
lab_as_user c ntm down >"$LAB/out"
echo "while you were away" | group a send band >"$LAB/out"
ntm_up c
ntm_wait_online c
wait_for 40 "has c 'while you were away'" "group c history band; lab_as_user c ntm inbox"
assert_eq "$(group a history band --json | jq -r .text)" \
	"$(group c history band --json | jq -r .text)" "one order in both"
