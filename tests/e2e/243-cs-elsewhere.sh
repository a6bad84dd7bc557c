#!/bin/bash
# SPDX-License-Identifier: MIT
# 243-cs-elsewhere - Cache Servers on machines of their own: enrolled, renewed by
# themselves, chosen among, left when they are down, emptied, removed
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

# Two Cache Servers whose certificates are 200 days old
ntm_installed
ntm_star server c d a b
lab_stop server-server
rm -r "$(server_dir server)"
with_clock -$((200 * DAY_S))
lab_as_user server "${CLOCK[@]}" ntm-server init --domain "$NTM_DOMAIN" \
	--listen 10.1.0.2 >"$(lab_log server-init-server)"
declare -A FP
i=2
for host in c d; do
	file=$(lab_home server)/enrol-$host
	lab_as_user server "${CLOCK[@]}" ntm-server cs enrol "$file" >"$LAB/enrol-$host"
	FP[$host]=$(sed -n 's/.*cs remove \([0-9a-f]\{64\}\)$/\1/p' "$LAB/enrol-$host")
	lab_as_user "$host" ntm-server init --cs "$file" --listen "10.$i.0.2" \
		>"$(lab_log "init-$host")"
	i=$((i + 1))
done
ntm_server_start server
NTM_JOIN[$NTM_DOMAIN]=$(lab_as_user server ntm-server join-string)

cs_start()
{
	lab_start "cs-$1" user "$1" ntm-server run
	wait_for 10 "[ \"\$(server_status $1 roles.cs.box)\" = true ]" \
		"tail $(lab_log "cs-$1")"
}
cs()
{
	lab_as_user "$1" ntm-server cs "${@:2}"
}
for host in c d; do
	cs_start $host
	wait_for 10 "[ \"\$(server_status $host roles.cs.certificate_days)\" -ge 364 ]" \
		"tail $(lab_log "cs-$host")"
	ok "$host has renewed its certificate by its channel to the AS"
	wait_for 10 "[ \"\$(server_status $host roles.cs.as_link)\" = true ]"
done

# listed FIELD: of those that take items, as the box knows, one a line
listed()
{
	cs server list --json | jq -r ".servers[] | $1"
}
cs server drain >"$LAB/out"
assert_contains "$(cat "$LAB/out")" "It takes no new items" "draining is explained"
wait_for 10 '[ "$(listed "select(.draining) | .name")" = "cs.$NTM_DOMAIN" ]' 'cs server list'
wait_for 10 '[ "$(listed .name | wc -l)" = 3 ]' 'cs server list'
ok "the box knows three, one of which drains"

ntm_account server alice
ntm_account server bob
ntm_node a laptop.alice
ntm_node b desk.bob
lab_as_user b ntm allow "alice.$NTM_DOMAIN" 22 >"$LAB/out"
items_prekey b
lab_as_user b ntm down

# holds HOST: items that wait there
holds()
{
	server_status "$1" roles.cs.complete
}
send()
{
	echo "$1" | lab_as_user a ntm send "${NTM_NAME[b]}" >"$LAB/out" 2>&1 ||
		not_ok "not sent: $(cat "$LAB/out")"
}
send one
first=c second=d
[ "$(holds c)" = 1 ] || first=d second=c
assert_eq "$(holds $first) $(holds $second) $(holds server)" "1 0 0" \
	"one of those that do not drain was chosen"
cs $first status --json >"$LAB/out"
assert_eq "$(jq -r '.accounts[0].name' "$LAB/out")" alice "and says whose it is"

# It is down: the next items go to the other one, though the box still offers both
lab_stop "cs-$first" KILL
for n in two three four; do
	within 10 "item $n is sent while one of two Cache Servers is down" send $n
done
assert_eq "$(holds $second)" 3 "all of them at the other one"
ok "the outbox: $(lab_as_user a ntm outbox | tail -n 1)"

# It is back: all four are fetched
cs_start $first
ntm_up b
ntm_wait_online b
wait_for 40 '[ "$(lab_as_user b ntm inbox --json | jq "[.items[] | select(.state == \"here\")] | length")" = 4 ]' \
	"lab_as_user b ntm inbox; tail -n 30 $(state_dir b)/broker.log"
wait_for 10 '[ "$(holds c) $(holds d)" = "0 0" ]' 'cs c status; cs d status'
ok "four items of two Cache Servers are fetched and gone there"
assert_eq "$(lab_as_user b ntm receive | sort | xargs)" "four one three two" "what they said"

# A Cache Server with something on it is removed
lab_as_user b ntm down
cs $second drain >"$LAB/out"
wait_for 10 '[ "$(listed "select(.draining) | .name" | wc -l)" = 2 ]'
send five
assert_eq "$(holds $first)" 1 "the only one that takes items has it"
wait_for 40 '[ "$(listed "select(.items > 0) | .fingerprint")" = "${FP[$first]}" ]'
cs server remove "${FP[$first]}" >"$LAB/out"
assert_contains "$(cat "$LAB/out")" "1 items (" "who removes it hears what is on it"
wait_for 10 '[ "$(server_status $first roles.cs.as_link)" = false ]'
wait_for 10 '! listed .name | grep -q "${FP[$first]:0:16}"'
ok "it is told no tokens, and is offered to nobody"
ntm_up b
wait_for 20 '[ "$(lab_as_user b ntm inbox --json | jq -r ".items[-1].state")" = here ]' \
	"lab_as_user b ntm inbox"
assert_eq "$(lab_as_user b ntm receive)" five "while it runs, what is there is fetched"
