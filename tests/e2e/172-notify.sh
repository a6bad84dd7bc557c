#!/bin/bash
# SPDX-License-Identifier: MIT
# 172-notify - nodes that keep a TCP connection with a Notification Server instead of
# a UDP mapping are reached long after the mapping is gone; NS and DC restart
# limit: 300
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
lab_stop server-server
sed -i '/^\[ns\]/,/^\[/s/^#keepalive = .*/keepalive = 10s/' \
	"$(server_dir server)/ntm-server.conf"
ntm_server_start server
ntm_account server alice
lab_net open
lab_link net open 198.51.100.254/24 -
lab_host a
lab_link a open 198.51.100.2/24 - 5
ntm_node a a.alice

# behind HOST NUMBER MODE OPTION...
behind()
{
	local host=$1 i=$2 conf
	lab_net "o$i"
	lab_link net "o$i" 203.0.$i.254/24 -
	lab_router "r$i"
	lab_uplink "r$i" "o$i" 203.0.$i.1/24 -
	lab_net "i$i"
	lab_link "r$i" "i$i" 192.168.1.1/24 -
	lab_nat "r$i" "o$i" port-restricted "${@:4}"
	lab_host "$host"
	lab_link "$host" "i$i" 192.168.1.2/24 - 5
	conf=$(lab_home "$host")/.config/ntm
	lab_as_user "$host" mkdir -p "$conf"
	printf '[network]\nkeepalive = %s\nportmap = off\n' "$3" >"$conf/broker.conf"
	lab_give "$conf/broker.conf"
	ntm_node "$host" "$host.alice"
}
# b wants an NS; c finds out that UDP is not for it; d's NAT drops TCP after 30 s
behind b 1 ns timeout=20
behind c 2 auto timeout=28
behind d 3 ns timeout=20
lab_root r3 sh -c 'echo 30 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
	echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose'
for host in b c d; do
	ntm_start serve-$host $host "$LAB_SRC/tests/lab/natcell.py" serve 7000
	wait_for 5 "ntm_listens $host tcp 7000"
done
by()
{
	[ "$(ntm_get "$1" keepalive.by)" = ns ]
}
wait_for 10 'by b' 'lab_as_user b ntm status --json'
ok "b is told by the NS: $(lab_as_user b ntm status | grep keep-alive)"
wait_for 90 'by c' 'lab_as_user c ntm status --json'
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
# reach HOST
touch "$LAB/stop"
reach()
{
	local start
	start=$(lab_now)
	ntm_run a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[$1]}" 7000 \
		"$LAB/stop" >"$LAB/log/reach-$1"
	assert_between "$(lab_ms_since "$start")" 0 $((3000 * LAB_SLOW)) \
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
wait_for 20 'by d'
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
wait_for 30 'by b && by c' 'lab_as_user b ntm status --json'
wait_for 5 '[ "$(server_status server roles.ns.nodes)" = 3 ]'
ok "the NS was killed: its nodes are back"
dc=$(server_role server dc)
kill -KILL "$dc"
wait_for 10 '[ "$(server_role server dc)" != '"$dc"' ]'
wait_for 30 '[ "$(server_status server roles.dc.online)" -ge 3 ]' \
	'lab_as_user server ntm-server status'
ok "the DC was killed: the NS made its nodes register, without a keep-alive"
