#!/bin/bash
# SPDX-License-Identifier: MIT
# 267-group-secrecy-gms - a GMS with its real key that shows two members two logs, keeps a
# removal from one, adds members whom nobody has invited, or is an old backup: each fails,
# and members name what they saw
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
NTM_UNDERLAY=4
ntm_star server evil a b c
groups_server server
ntm_account server alice
declare -A NODE=([a]=laptop [b]=desk [c]=phone)
for h in a b c; do
	ntm_node $h ${NODE[$h]}.alice
	items_prekey $h
done
declare -n N=NTM_NAME
DIR=$(server_dir server)
EVIL=$(server_dir evil)

# saw HOST GROUP TEXT: has it named that, to people, programs and the journal?
saw()
{
	[[ $(group "$1" status "$2") == *"noticed "*"$3"* ]] &&
		group "$1" status "$2" --json |
		jq -e --arg t "$3" '.saw[] | select(.text | contains($t))' >"$LAB/saw" &&
		grep -q "member: $2: .*$3" "$(state_dir "$1")/broker.log"
}
# names SECONDS HOST GROUP TEXT
names()
{
	wait_for "$1" "saw $2 $3 '$4'" \
		"group $2 status $3; tail -n 20 $(state_dir "$2")/broker.log"
	ok "$2 names it, in $3: $4"
}
# in_state SECONDS HOST GROUP STATE
in_state()
{
	wait_for "$1" "[ \"\$(group_get $2 $3 .state)\" = $4 ]" "group $2 status $3"
}

# a device may make ten entries in ten seconds
form()
{
	local founder=$1 other=$2 g
	shift 2
	for g; do
		group $founder create $g >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
		group_joins $other $g $founder "${N[$other]}"
	done
	for g; do
		group_in 40 $other $g 2
	done
}
form a b fork held old
form b a server member index
for g in fork held; do group_joins c $g a "${N[c]}"; done
for g in fork held; do
	for h in a b c; do group_in 40 $h $g 3; done
done

# --- the GMS, a second time: with the same key, and its log as it is now
lab_as_user evil mkdir -p .local/share
cp -a "$DIR" "$EVIL"
rm -f "$EVIL"/*.sock
sed -i -e 's/10\.1\.0\.2/10.2.0.2/g' -e 's/^roles *=.*/roles = as, gms/' \
	"$EVIL/ntm-server.conf"
lab_root evil sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
evil_up()
{
	lab_start evil user evil ntm-server run
	wait_for 20 "grep -q 'gms: the channel to the AS is open' $(lab_log evil)" \
		"cat $(lab_log evil)"
}
evil_up
# b comes to that one from now on
lab_root net nft -f - <<-END
	table ip evil {
		chain to {
			type nat hook prerouting priority dstnat;
			ip saddr 10.4.0.2 ip daddr 10.1.0.2 tcp dport 4509 dnat to 10.2.0.2
		}
	}
END
lab_as_user b ntm down
ntm_up b
ntm_wait_online b
for g in fork held; do in_state 40 b $g joined; done

# --- two logs: c is removed here, and not there
lab_as_user a ntm allow @fork 8000 >"$LAB/out" 2>&1 || not_ok "@fork: $(cat "$LAB/out")"
group b rekey fork >"$LAB/out" 2>&1 || not_ok "b: $(cat "$LAB/out")"
group a remove fork "${N[c]}" >"$LAB/out" 2>&1 || not_ok "a: $(cat "$LAB/out")"
assert_ne "$(group a verify fork | head -n 1)" "$(group b verify fork | head -n 1)" \
	"two logs show two codes to compare"
assert_eq "$(group_get a fork .confirmed) $(group_get b fork .confirmed)" "1 1" \
	"neither has the other's confirmation"
names 40 b fork "of another past than ours: the log was forked"
names 40 a fork "of another past than ours: the log was forked"
in_state 10 a fork forked
in_state 10 b fork forked
# has_keys HOST GROUP: of its worker: packets are sent, and opened
has_keys()
{
	lab_as_user "$1" ntm status --json |
		jq --arg g "$2" '[.groups[] | select(.name == $g)] | length'
}
assert_eq "$(has_keys a fork) $(has_keys b fork)" "0 0" "and both send nothing any more"
allow_says()
{
	assert_contains "$(lab_as_user a ntm allow)" "(this device has no key of that group now" "$1"
}
allow_says "and the rule for it says that nobody comes in by it"
# what was seen outlives the programs that saw it
for h in a b; do
	lab_as_user $h ntm down >"$LAB/out"
	ntm_up $h
	ntm_wait_online $h
	wait_for 30 "[ \"\$(has_keys $h held)\" = 1 ]" "group $h list; lab_as_user $h ntm status --json"
	in_state 5 $h fork forked
	assert_eq "$(has_keys $h fork)" 0 "$h was started anew: it is forked, and sends nothing"
	assert_contains "$(group $h status fork)" "the log was forked" "and $h says why"
done
allow_says "the rule says so still"

group b leave fork -y >"$LAB/out" 2>&1 || not_ok "b cannot leave: $(cat "$LAB/out")"
wait_for 10 '! group b list | grep -q fork' "group b list"
ok "a group whose server lies can be left"

# --- an epoch is kept from b, whose seals are made anew: whichever of a and c is to show b
# its own, one is, within 4 s
group a rekey held >"$LAB/out" 2>&1 || not_ok "a: $(cat "$LAB/out")"
names 60 b held "keeps it from us: nothing is sent"
in_state 10 b held frozen
assert_eq "$(has_keys a held) $(has_keys b held)" "1 0" "b sends nothing in it"
for h in a c; do in_state 1 $h held joined; done

# --- members whom nobody has invited
lab_stop evil
for g in server member index; do
	"$LAB_O/tests/e2e/ghostgms" "$EVIL/gms/gms.db" "$EVIL/gms/server.key" \
		"$(group_get a $g .id)" $g || not_ok "no ghost in $g"
done
chown -R --reference="$EVIL/ntm-server.conf" "$EVIL/gms"
evil_up
for g in server member index; do
	names 60 b $g "an entry was sent that does not apply"
	assert_eq "$(group_get b $g .members)" 2 "there is no third member in $g"
	in_state 1 b $g behind
done
lab_stop evil

# --- none of them comes back
wait_for 20 "! group b list --json | jq -e '.groups[] | select(.name == \"server\" and .connected)'"
refused "nobody leaves unheard" "with --here" group b leave server -y
group b leave server -y --here >"$LAB/out" 2>&1 || not_ok "b cannot leave: $(cat "$LAB/out")"
wait_for 10 '! group b list --json | jq -e ".groups[] | select(.name == \"server\")"' "group b list"
ok "but here it is left"

# --- an old backup
group a rekey old >"$LAB/out" 2>&1 || not_ok "a: $(cat "$LAB/out")"
group_in 20 a old 1 2
epoch=$(group_get a old .epoch)
lab_stop server-server
rm -rf "$DIR/gms"
cp -a "$EVIL/gms" "$DIR/gms"
ntm_server_start server
names 60 a old "restored from a backup"
wait_for 60 "[ \"\$(group_get a old .state)\" = joined ] &&
	[ \$(group_get a old .epoch) -ge $epoch ]" "group a status old"
ok "a has given it what it lacked, and goes on"
