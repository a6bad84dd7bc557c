#!/bin/bash
# SPDX-License-Identifier: MIT
# 270-group-defined - an administrator defines a group: somebody else founds it, with the
# members, rights and rules that were defined; declined, withdrawn; kept over a restart
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.bob c=tv.bob
for host in b c; do
	lab_as_user $host ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
done
A=${NTM_NAME[a]} B=${NTM_NAME[b]} C=${NTM_NAME[c]}
gms()
{
	lab_as_user server ntm-server gms "$@"
}
# defined FILTER: of what is defined
defined()
{
	gms list --json | jq -r ".defined[] | $1"
}

# --- what cannot be defined -----------------------------------------------------------

refused "no name" "a group's name is" gms define Band alice
refused "a founder elsewhere" "the founder is an account or a device of this domain" \
	gms define band x.example.net
refused "no rights" "is no member" gms define band alice bob:all
refused "no rule" "is no rule, or has no such value" gms define band alice renew=never
refused "too few words" "wrong arguments" gms define band
refused "nobody waits for it" "no group of that name waits" gms undefine band

# --- and what can -----------------------------------------------------------------------

assert_eq "$(gms define band alice "$B:invite,remove" "$C" renew=600 auth=sign)" \
	"band is defined; alice.$NTM_DOMAIN founds it with \`ntm-group accept band\`" \
	"an administrator, who is no member, defines a group"
refused "twice" "is defined already" gms define band alice
assert_contains "$(gms list)" "band: defined, with 2 names to invite; waits for alice" \
	"it waits"
! group b list | grep -q band || not_ok "a member hears of it before it is founded"
refused "who is not asked" "no such invitation" group b accept band
kill -KILL "$(server_role server gms)"
wait_for 20 "group a list | grep -q 'asks you to found it, with 2 to invite'" \
	"group a list; tail $(state_dir a)/broker.log"
ok "the founder is asked, though the server was killed meanwhile"

out=$(group a accept band) || not_ok "cannot be founded: $out"
assert_contains "$out" "group band is founded" "its founder founds it"
assert_contains "$out" "$B is invited" "and the members are invited"
for host in b c; do
	group_invited 30 $host band
	group $host accept band >"$LAB/out"
done
group_in 40 b band 3
group_in 40 c band 3
rights()
{
	group a members band --json | jq -c ".members[] | select(.name == \"$1\") | .rights"
}
assert_eq "$(rights "$B")" '["invite","remove"]' "with the rights that were defined"
assert_eq "$(rights "$C")" '[]' "each his own"
assert_eq "$(group_get a band '"\(.policy.renew) \(.policy.auth)"')" "600 sign" \
	"and the rules"
assert_eq "$(group a log band --json | jq -r '.entries[0] | "\(.kind) \(.author)"')" \
	"create $A" "the founder has signed the first entry, no server"
wait_for 5 "[ \"\$(defined '.state + .founder')\" = founded$A ]" "gms list"
ok "which is told to the administrator"
! group a list | grep -q "asks you" || not_ok "the founder is asked again"

# --- declined, withdrawn ----------------------------------------------------------------

gms define chess "$A" >"$LAB/out"
wait_for 10 "group a list | grep -q chess" "group a list"
group a decline chess >"$LAB/out"
wait_for 5 "gms list | grep -q 'chess: defined, with 0 names to invite; declined by $A'" "gms list"
gms define go "$A" >"$LAB/out"
gms undefine go >"$LAB/out"
wait_for 10 "! group a list | grep -q go" "group a list"
refused "withdrawn" "no such invitation" group a accept go
