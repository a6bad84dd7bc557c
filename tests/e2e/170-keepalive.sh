#!/bin/bash
# SPDX-License-Identifier: MIT
# 170-keepalive - nodes behind NATs that forget soon, later, or even what is in use:
# each finds its interval, and is reached whenever somebody asks for it
# waits
# limit: 420
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/nats.sh"

nats_server
nats_behind soon 1 udp port-restricted timeout=28
nats_behind later 2 udp port-restricted timeout=50
nats_behind cut 3 udp port-restricted
lab_nat_forgetful r3 50
nats_open a
nats_serve soon later cut

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
	assert_between "$(nats_reach a $host)" 0 $((2000 * LAB_SLOW)) \
		"$host is reached at the first attempt: ms"
done
# Its mapping may have died a moment ago, until its next keep-alive.
start=$(lab_now)
until nats_reach a cut >"$LAB/log/reach" 2>&1; do
	[ "$(lab_ms_since "$start")" -lt $((15000 * LAB_SLOW)) ] ||
		not_ok "cut is not reached"
done
assert_between "$(lab_ms_since "$start")" 0 $((15000 * LAB_SLOW)) \
	"cut is reached, at its next keep-alive at the latest: ms"
