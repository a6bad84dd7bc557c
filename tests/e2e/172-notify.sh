#!/bin/bash
# SPDX-License-Identifier: MIT
# 172-notify - nodes that keep a TCP connection with a Notification Server instead of
# a UDP mapping are reached long after the mapping is gone; NS and DC restart
# waits
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/nats.sh"

nats_server ns.keepalive=10s
nats_open a
# b wants an NS; c finds out that UDP is not for it; d's NAT drops TCP after 30 s
nats_behind b 1 ns port-restricted timeout=20
nats_behind c 2 auto port-restricted timeout=28
nats_behind d 3 ns port-restricted timeout=20
lab_root r3 sh -c 'echo 30 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
	echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose'
nats_serve b c d
wait_for 10 'nats_by b ns' 'lab_as_user b ntm status --json'
ok "b is told by the NS: $(lab_as_user b ntm status | grep keep-alive)"
wait_for 90 'nats_by c ns' 'lab_as_user c ntm status --json'
ok "c changes to it by itself, as its NAT forgets after 28 s"
assert_contains "$(lab_as_user b ntm netcheck)" "Notification Server 192.0.2.1:4505" \
	"netcheck says so"
assert_eq "$(server_status server roles.ns.nodes)" 3 "the NS has three nodes"

# datagrams HOST: that left it
datagrams()
{
	lab_root "$1" nft list counter inet idle sent | awk '/packets/ { print $2 }'
}
for host in b c d; do
	lab_root $host nft -f - <<-END
	table inet idle {
		counter sent { }
		chain out {
			type filter hook output priority 0;
			meta l4proto udp counter name sent
		}
	}
	END
done
reach()
{
	assert_between "$(nats_reach a "$1")" 0 $((3000 * LAB_SLOW)) \
		"$1 is reached $2: ms"
}
idle=$(lab_now)
wait_for 50 "[ \$(lab_ms_since $idle) -ge 42000 ]"
assert_eq "$(datagrams b) $(datagrams c)" "0 0" \
	"datagrams that b and c sent in 42 s: their UDP mappings are dead"
reach b "when its mapping has been dead for long"
reach c "the same"
# 10 s worked, 20 s worked, 40 s did not: the NAT had dropped the connection
wait_for 90 '[ "$(ntm_get d keepalive.dead_s)" = 40 ]' 'lab_as_user d ntm status --json'
wait_for 20 'nats_by d ns'
assert_between "$(ntm_get d keepalive.interval_s)" 10 20 \
	"a NAT that drops TCP after 30 s of silence: s"
reach d "with the interval that its NAT bears"

# Everything forgets, and is back.
for host in a b c d; do
	lab_as_user $host ntm forget a.alice.ntm.example >/dev/null 2>&1 || :
done
ns=$(server_role server ns)
kill -KILL "$ns"
wait_for 10 '[ "$(server_role server ns)" != '"$ns"' ]'
wait_for 30 'nats_by b ns && nats_by c ns' 'lab_as_user b ntm status --json'
wait_for 5 '[ "$(server_status server roles.ns.nodes)" = 3 ]'
ok "the NS was killed: its nodes are back"
dc=$(server_role server dc)
kill -KILL "$dc"
wait_for 10 '[ "$(server_role server dc)" != '"$dc"' ]'
wait_for 30 '[ "$(server_status server roles.dc.online)" -ge 3 ]' \
	'lab_as_user server ntm-server status'
ok "the DC was killed: the NS made its nodes register, without a keep-alive"
