#!/bin/bash
# SPDX-License-Identifier: MIT
# 271-group-rights - rights and rules change by command, by who may; an invitation of who is
# not allowed anything; an account is removed with all its devices; what cannot be is said
# in a sentence
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.bob c=tv.bob
lab_as_user c ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
A=${NTM_NAME[a]} B=${NTM_NAME[b]} C=${NTM_NAME[c]}

# may HOST NAME: what it may, as HOST knows
may()
{
	group "$1" members band --json |
		jq -r ".members[] | select(.name == \"$2\") | .rights | join(\" \")"
}
# comes_to_may HOST NAME RIGHTS
comes_to_may()
{
	wait_for 10 "[ \"\$(may $1 $2)\" = '$3' ]" "group $1 members band"
	ok "$1 knows that $2 may: '$3'"
}

refused "before there is any" "in no group" group a status
refused "a name with blanks" "a group's name is" group a create "the band"
group a create band >"$LAB/out"
refused "twice" "in a group of that name already" group a create band
refused "of no such group" "in no such group" group a status bond
group a invite band bob >"$LAB/out"

# an inviter who may send nothing unasked: what came is fetched when it is wanted
wait_for 30 "group b list | grep -q 'ntm-group accept $A. fetches it'" "group b list"
assert_contains "$(group b accept "$A")" "the invitation of $A is fetched" \
	"and nobody need be allowed anything for it"
for host in b c; do
	group_invited 30 $host band
	group $host accept band >"$LAB/out"
done
group_in 30 a band 3
group_in 30 b band 3
group_in 30 c band 3

refused "who is no administrator" "has not the right" group b rights band "$C" --admin
refused "nor his rules" "has not the right" group b policy band renew=600
group a rights band "$B" --may-invite --may-remove >"$LAB/out"
comes_to_may b "$B" "invite remove"
assert_contains "$(group b log band | tail -n 1)" "$B, who may invite, remove" "the log says so"
refused "of an account with two" "name one of them" group a rights band bob
refused "of nobody" "is no member" group a rights band carol
refused "the last one" "nobody would be left who administers" group a rights band "$A"
group a rights band "$B" --admin >"$LAB/out"
comes_to_may a "$B" "invite remove admin"
group b rights band "$A" >"$LAB/out"
comes_to_may a "$A" ""
refused "who has given it away" "has not the right" group a policy band renew=600

head -c 16384 /dev/zero | tr '\0' '\001' >"$(lab_home a)/noise"
refused "nothing but control characters" "fit no message; send a file" \
	lab_as_user a sh -c 'ntm-group send band <noise'
head -c 8000 "$(lab_home a)/noise" | group a send band >"$LAB/out"
wait_for 20 "[ \"\$(group b history --json | jq -r '.text | length')\" = 8000 ]" "group b history"
ok "half as many do"

# the only group need not be named
group b policy renew=600 auth=sign >"$LAB/out"
wait_for 10 "group c policy | grep -qx renew=600 && group c policy | grep -qx auth=sign" \
	"group c policy"
ok "the rules have changed"
refused "no such rule" "is no rule" group b policy band renewal=600
refused "a value beyond" "keep is 0 to 30 s" group b policy band keep=31
refused "who is silent for some minutes only" "evict 900 s to a year" \
	group b policy band evict=899
refused "itself" "nobody removes itself" group b remove band bob
group b rights band "$A" --admin >"$LAB/out"
comes_to_may a "$A" "invite remove admin"
group a remove band bob >"$LAB/out"
group_in 20 a band 1
for host in b c; do
	wait_for 20 "! group $host status band >/dev/null 2>&1" "group $host list"
done
ok "an account is removed with all its devices"
