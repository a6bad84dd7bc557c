#!/bin/bash
# SPDX-License-Identifier: MIT
# 170-keepalive - nodes behind NATs that forget soon, later, or even what is in use:
# each finds its interval, and is reached whenever somebody asks for it
# limit: 420
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
lab_router net
lab_net srv
lab_link net srv 192.0.2.254/24 -
lab_host server
lab_link server srv 192.0.2.1/24 - 5
ntm_server server ntm.example
ntm_account server alice
lab_net open
lab_link net open 198.51.100.254/24 -
lab_host a
lab_link a open 198.51.100.2/24 - 5

# behind HOST NUMBER [OPTION]: a host behind a NAT of its own
behind()
{
	local host=$1 i=$2
	lab_net "o$i"
	lab_link net "o$i" 203.0.$i.254/24 -
	lab_router "r$i"
	lab_uplink "r$i" "o$i" 203.0.$i.1/24 -
	lab_net "i$i"
	lab_link "r$i" "i$i" 192.168.1.1/24 -
	lab_nat "r$i" "o$i" port-restricted "${@:3}"
	lab_host "$host"
	lab_link "$host" "i$i" 192.168.1.2/24 - 5
	lab_as_user "$host" mkdir -p .config/ntm
	printf '[network]\nkeepalive = udp\n' \
		>"$(lab_home "$host")/.config/ntm/broker.conf"
	lab_give "$(lab_home "$host")/.config/ntm/broker.conf"
	ntm_node "$host" "$host.alice"
}

behind soon 1 timeout=28
behind later 2 timeout=50
behind cut 3
lab_nat_forgetful r3 50
ntm_node a a.alice
for host in soon later cut; do
	ntm_start serve-$host $host "$LAB_SRC/tests/lab/natcell.py" serve 7000
	wait_for 5 "ntm_listens $host tcp 7000"
done

# reach HOST: the first contact with it, and how long it took
reach()
{
	local start
	start=$(lab_now)
	touch "$LAB/stop"
	ntm_run a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[$1]}" 7000 \
		"$LAB/stop" >"$LAB/log/reach-$1"
	lab_ms_since "$start"
}

found()
{
	[ "$(ntm_get "$1" keepalive.state)" = measured ]
}

wait_for 120 'found soon' 'lab_as_user soon ntm status'
assert_between "$(ntm_get soon keepalive.interval_s)" 15 20 \
	"a NAT that forgets after 28 s: an interval below, s"
wait_for 240 'found later' 'lab_as_user later ntm status'
assert_eq "$(ntm_get later keepalive.interval_s)" 40 \
	"a NAT that forgets after 50 s: 40 s"
assert_eq "$(ntm_get later keepalive.alive_s) $(ntm_get later keepalive.dead_s)" \
	"45 67" "what it has measured"
assert_contains "$(lab_as_user later ntm netcheck)" \
	"keeps a silent mapping 45 to 67 s" "netcheck says so"
assert_contains "$(lab_as_user later ntm status)" "udp, every 40 s" \
	"and status, how often it speaks"
wait_for 150 '[ "$(ntm_get cut keepalive.interval_s)" = 10 ]' \
	'lab_as_user cut ntm status'
ok "a NAT whose mappings die every 50 s, in use or not: 10 s, the least"
assert_contains "$(lab_as_user cut ntm netcheck)" "mappings die in use" \
	"netcheck says so"

# nobody has spoken with them yet: they have been idle for minutes
assert_eq "$(server_status server roles.dc.online)" 4 \
	"the DC counts by each one's own interval: all are online"
for host in soon later; do
	assert_between "$(reach $host)" 0 $((2000 * LAB_SLOW)) \
		"$host is reached at the first attempt: ms"
done
# Its mapping may have died a moment ago, until its next keep-alive.
start=$(lab_now)
until reach cut >"$LAB/log/reach" 2>&1; do
	[ "$(lab_ms_since "$start")" -lt $((15000 * LAB_SLOW)) ] ||
		not_ok "cut is not reached"
done
assert_between "$(lab_ms_since "$start")" 0 $((15000 * LAB_SLOW)) \
	"cut is reached, at its next keep-alive at the latest: ms"
