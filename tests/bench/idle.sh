#!/bin/bash
# SPDX-License-Identifier: MIT
# idle - what a node sends that is registered and does nothing, an hour
#
# Each node is given the time to find its interval; then its interface is watched for
# WINDOW_S seconds, all nodes in the same ones, and what leaves it (IP packets of any
# kind, by any process; no ARP, no neighbour discovery) is scaled to an hour.
. "$(dirname "$0")/bench.sh"

WINDOW_S=${WINDOW_S:-300}
FIND_S=600	# 30 + 45 + 68 + 101 + 135 s of silence, and what is between them

ntm_installed
lab_router net
lab_net srv
lab_link net srv 192.0.2.254/24 -
lab_host server
lab_link server srv 192.0.2.1/24 - 5
ntm_server server ntm.example
lab_stop server-server
sed -i '/^\[push\]/,/^\[/s/^#unifiedpush = .*/unifiedpush = yes/' \
	"$(lab_home server)/.local/share/ntm-server/ntm-server.conf"
ntm_server_start server
ntm_account server alice
N=0

# behind HOST KIND [OPTION]: a node in a network of its own; its keep-alive is by UDP,
# but for the one named ns
behind()
{
	local host=$1 i way=udp
	N=$((N + 1)) i=$N
	lab_net "o$i"
	lab_link net "o$i" 203.0.$i.254/24 -
	lab_host "$host"
	if [ "$2" = open ]; then
		lab_link "$host" "o$i" 203.0.$i.2/24 - 5
	else
		lab_router "r$i"
		lab_uplink "r$i" "o$i" 203.0.$i.1/24 -
		lab_net "i$i"
		lab_link "r$i" "i$i" 192.168.1.1/24 -
		lab_nat "r$i" "o$i" "${@:2}"
		lab_link "$host" "i$i" 192.168.1.2/24 - 5
	fi
	if [ "$host" = ns150 ]; then
		# drops a TCP connection after 150 s of silence
		lab_root "r$i" sh -c "cd /proc/sys/net/netfilter
			echo 150 >nf_conntrack_tcp_timeout_established
			echo 0 >nf_conntrack_tcp_loose"
		way=ns
	fi
	lab_as_user "$host" mkdir -p .config/ntm
	printf '[network]\nkeepalive = %s\n' $way \
		>"$(lab_home "$host")/.config/ntm/broker.conf"
	lab_give "$(lab_home "$host")/.config/ntm/broker.conf"
	ntm_node "$host" "$host.alice"
	lab_root "$host" nft -f - <<-END
	table inet idle {
		counter sent { }
		chain out {
			type filter hook postrouting priority 300;
			oifname != "lo" counter name sent
		}
	}
	END
}

behind open open
behind nat180 port-restricted timeout=180
behind nat50 port-restricted timeout=50
behind nat31 port-restricted timeout=31
behind ns150 port-restricted timeout=120
behind push port-restricted timeout=120
NODES=(open nat180 nat50 nat31)
lab_as_user push ntm push unifiedpush https://push.example/push >/dev/null
# two that have spoken with each other, directly and through the relay
behind d1 port-restricted timeout=180
behind d2 port-restricted timeout=180
behind s1 symmetric timeout=180
behind s2 symmetric timeout=180

start=$(lab_now)
measured()
{
	[ "$(ntm_get "$1" keepalive.state)" = measured ]
}
for host in "${NODES[@]}" d1 d2 s1 s2; do
	wait_for $FIND_S "measured $host"
done
wait_for 10 '[ "$(ntm_get push keepalive.by)" = push ]'
wait_for $FIND_S '[ "$(ntm_get ns150 keepalive.by) $(ntm_get ns150 keepalive.dead_s)" = "ns 240" ]'
note "intervals found after $(($(lab_ms_since "$start") / 1000)) s at most"
lab_as_user d1 ntm ping -c 3 d2.alice.ntm.example >/dev/null
lab_as_user s1 ntm ping -c 3 s2.alice.ntm.example >/dev/null
wait_for 20 '[ "$(ntm_peer d1 d2.alice.ntm.example path)" = direct ]'
wait_for 20 '[ "$(ntm_peer s1 s2.alice.ntm.example path)" = relay ]'

# sent HOST: packets and bytes
sent()
{
	lab_root "$1" nft list counter inet idle sent |
		awk '/packets/ { print $2, $4 }'
}
declare -A BEFORE
for host in "${NODES[@]}" ns150 push d1 s1; do
	BEFORE[$host]=$(sent $host)
done
start=$(lab_now)
wait_for $((WINDOW_S + 10)) "[ \$(lab_ms_since $start) -ge ${WINDOW_S}000 ]"
note "watched for $WINDOW_S s, scaled to an hour; bytes are of IP packets"
for host in "${NODES[@]}" ns150 push d1 s1; do
	after=$(sent $host)
	read -r p b < <(awk -v a="${BEFORE[$host]} $after" -v s="$WINDOW_S" 'BEGIN {
		split(a, v); printf "%.0f %.0f\n", (v[3] - v[1]) * 3600 / s,
			(v[4] - v[2]) * 3600 / s }')
	case $host in
	d1)	note "a direct tunnel that has been idle for less than 10 min:" \
			"$p packets, $b bytes an hour"
		continue ;;
	ns150)	note "by an NS, whose connection the NAT drops after 150 s of" \
			"silence: heard of every $(ntm_get ns150 keepalive.interval_s) s," \
			"$p packets, $b bytes an hour"
		continue ;;
	push)	figure idle-push "$p" "/h" "<=" 0
		continue ;;
	s1)	note "the same, through a relay: $p packets, $b bytes an hour"
		continue ;;
	esac
	note "$host: every $(ntm_get $host keepalive.interval_s) s, $b bytes an hour"
	figure "idle-udp-$host" "$p" "/h" "<=" 185
done
ok "idle nodes measured"
