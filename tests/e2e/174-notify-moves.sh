#!/bin/bash
# SPDX-License-Identifier: MIT
# 174-notify-moves - an NS on a machine of its own keeps a node that moves between
# networks; the NS dies and is back; the node is revoked
# waits
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/nats.sh"

nats_server "server.roles=as, dc, rs"
lab_host n
lab_link n srv 192.0.2.2/24 - 5
file=$(lab_home server)/notifier
lab_as_user server ntm-server ns enrol "$file" >"$LAB/log/enrol"
assert_eq "$(stat -c %a "$file")" 600 "what makes an NS is for its owner alone"
refused "it makes no relay" "for a Notification Server" \
	lab_as_user n ntm-server init --relay "$file" --listen 192.0.2.2
lab_as_user n ntm-server init --ns "$file" --listen 192.0.2.2 >"$LAB/log/init"
lab_start notifier user n ntm-server run
wait_for 10 '[ "$(server_status n roles.ns.links_up)" = 1 ]'
assert_contains "$(lab_as_user n ntm-server ns status)" "links_up" \
	"the NS elsewhere has its link to the DC, and says so"

nats_open a
nats_behind b 1 ns port-restricted timeout=8
nats_site 2 symmetric timeout=8
nats_serve b
wait_for 10 'nats_by b ns' 'lab_as_user b ntm status'
assert_contains "$(lab_as_user b ntm netcheck)" "192.0.2.2:4505" \
	"b was told of that one"

# reach WHEN: b, whose mapping in UDP its NAT has forgotten
reach()
{
	local idle
	nats_forget a b
	idle=$(lab_now)
	wait_for 15 "[ \$(lab_ms_since $idle) -ge 11000 ]"
	assert_between "$(nats_reach a b)" 0 $((3000 * LAB_SLOW)) \
		"b is reached $1: ms"
}
reach "where it began"
registered()
{
	server_status n roles.ns.registered
}
# move NET ADDRESS: and how long it is without its connection
move()
{
	local before start
	before=$(registered)
	start=$(lab_now)
	lab_move b "$1" "$2/24" -
	wait_for 10 "[ \$(registered) -gt $before ]" 'lab_as_user b ntm status'
	assert_between "$(lab_ms_since "$start")" 0 $((2500 * LAB_SLOW)) \
		"b has moved to $1: its NS has it there, ms"
	wait_for 5 'nats_by b ns'
	assert_eq "$(server_status n roles.ns.nodes)" 1 "once"
	reach "in $1"
}
move i2 192.168.1.3
move i1 192.168.1.4

lab_stop notifier KILL
wait_for 5 'nats_by b udp' 'lab_as_user b ntm status'
nats_forget a b
assert_between "$(nats_reach a b)" 0 $((3000 * LAB_SLOW)) \
	"the NS was killed: b has registered by UDP, and is reached: ms"
lab_start notifier user n ntm-server run
wait_for 20 'nats_by b ns' 'lab_as_user b ntm status'
reach "by its NS, which is back"

lab_as_user server ntm-server device revoke "${NTM_NAME[b]}" >"$LAB/log/revoke"
wait_for 10 '[ "$(server_status n roles.ns.nodes)" = 0 ]' \
	'lab_as_user n ntm-server ns status'
wait_for 10 '[ "$(server_status n roles.ns.dropped)" -ge 1 ]'
ok "b was revoked: its connection has ended, and it may not come again"
