# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# net.sh - the networks of a lab: switches, links, routers, moves, captures
#
# Part of lab.sh.  A network is a namespace with one bridge; a link is a veth pair
# or, with a delay, a pair of TAPs joined by the wire program (tests/lab/wire.c).
# The host's end is called eth0, eth1 ... in the order of its links; the end in
# the network is called HOST.N.

# lab_net NAME: a switch.
lab_net()
{
	local dir=$LAB/hosts/$1
	[ ${#1} -le 10 ] || not_ok "network name longer than 10: $1"
	mkdir -p "$dir"
	touch "/run/netns/$1"
	unshare --net="/run/netns/$1" bash -ec '
		echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
		ip link set dev lo up
		ip link add name switch type bridge stp_state 0 \
			mcast_snooping 0
		ip link set dev switch mtu 65535 up'
}

lab_switch()
{
	lab_net "$@"
}

# lab_link HOST NET ADDR4/LEN|- ADDR6/LEN|- [DELAY_MS [WIRE OPTION...]]
# DELAY_MS is one way; 0 still makes a wire, without it the link is a bare veth.
# The default route goes to the network's router, which must be linked before.
lab_link()
{
	local host=$1 net=$2 a4=$3 a6=$4 n=${LAB_LINKS[$1]} number port dev
	shift 4
	dev=eth$n
	port=$host.$n
	LAB_LINKS[$host]=$((n + 1))
	number=$(<"$LAB/hosts/$host/number")
	if [ $# -gt 0 ]; then
		local delay=$1
		shift
		"$LAB_WIRE" --a "$host:$dev" --b "$net:$port" --background \
			--control "$LAB/wire/$port" --delay-ms "$delay" \
			--seed $((LAB_SEED * 1000 + number * 10 + n)) "$@" \
			</dev/null >"$LAB/log/wire.$port" 2>&1
		ip -n "$host" link set dev "$dev" txqueuelen 10000
		ip -n "$net" link set dev "$port" txqueuelen 10000
	else
		ip -n "$net" link add name "$port" type veth \
			peer name "$dev" netns "$host"
	fi
	ip -n "$host" link set dev "$dev" \
		address "$(printf '02:00:00:00:%02x:%02x' "$number" "$n")"
	# Now and then the kernel takes no notice of the first advertisement after a
	# change of address, and asks again after a second.
	ip -n "$host" ntable change name ndisc_cache dev "$dev" retrans 100
	ip -n "$net" link set dev "$port" master switch
	ip -n "$net" link set dev "$port" up
	ip -n "$host" link set dev "$dev" up
	LAB_PORT_NET[$port]=$net
	lab__address "$host" "$dev" "$n" "$net" "$a4" "$a6"
	if [ -n "${LAB_ROUTER[$host]-}" ]; then
		[ "$a4" = - ] || LAB_GW4[$net]=${a4%/*}
		[ "$a6" = - ] || LAB_GW6[$net]=${a6%/*}
	fi
	wait_for 5 "ip -n $host -br link show dev $dev | grep -q LOWER_UP"
}

# Addresses and default routes of one interface, as one batch: a move is quick.
lab__address()
{
	local host=$1 dev=$2 metric=$((100 + $3)) net=$4 a4=$5 a6=$6
	local gw4=${LAB_GW4[$net]-} gw6=${LAB_GW6[$net]-}
	[ -z "${LAB_ROUTER[$host]-}" ] || gw4='' gw6=''
	{
		[ "$a4" = - ] || echo "addr add $a4 dev $dev"
		[ "$a6" = - ] || echo "addr add $a6 dev $dev nodad"
		[ "$a4" = - ] || [ -z "$gw4" ] ||
			echo "route add default via $gw4 dev $dev metric $metric"
		[ "$a6" = - ] || [ -z "$gw6" ] ||
			echo "route add default via $gw6 dev $dev metric $metric"
	} | ip -n "$host" -batch -
}

# lab_router NAME: a host that forwards between its links and is the gateway of
# every network it is linked to.
lab_router()
{
	lab_host "$1"
	LAB_ROUTER[$1]=1
	lab_root "$1" bash -ec '
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

# lab_dev HOST NET: the name of the host's interface in that network.
lab_dev()
{
	local n
	for ((n = 0; n < LAB_LINKS[$1]; n++)); do
		[ "${LAB_PORT_NET[$1.$n]}" != "$2" ] || { echo "eth$n"; return; }
	done
	not_ok "$1 has no link into $2"
}

# lab_lose HOST [N]: link N (0) loses its addresses and routes.
lab_lose()
{
	local host=$1 dev=eth${2:-0}
	ip -n "$host" -force -batch - 2>/dev/null <<-END || :
	addr flush dev $dev scope global
	route del ::/0 dev $dev
	neigh flush dev $dev
	END
}

# lab_gain HOST NET ADDR4/LEN|- ADDR6/LEN|- [N]: plug link N into NET, with these
# addresses.  LAB_MOVED is then the moment (lab_now) they were usable.
lab_gain()
{
	local host=$1 net=$2 a4=$3 a6=$4 n=${5:-0} port was
	port=$host.$n
	was=${LAB_PORT_NET[$port]}
	if [ "$was" != "$net" ]; then
		ip -n "$was" link set dev "$port" netns "$net"
		ip -n "$net" link set dev "$port" master switch up
		LAB_PORT_NET[$port]=$net
	fi
	lab__address "$host" "eth$n" "$n" "$net" "$a4" "$a6"
	LAB_MOVED=$(lab_now)
}

# lab_move HOST NET ADDR4/LEN|- ADDR6/LEN|- [N]: lose the address, get another one,
# normally in another network.  Says so if nothing changed, which is a mistake.
lab_move()
{
	local before
	before=$(lab_addresses "$1" "${5:-0}")
	lab_lose "$1" "${5:-0}"
	lab_gain "$@"
	[ "$(lab_addresses "$1" "${5:-0}")" != "$before" ] ||
		not_ok "lab_move $*: the addresses are what they were"
}

# lab_addresses HOST [N]: the global addresses of link N, one a line.
lab_addresses()
{
	ip -n "$1" -br addr show dev "eth${2:-0}" scope global |
		tr -s ' ' '\n' | sed -n '3,$p' | sed 's|/.*||'
}

# lab_wire HOST[.N] COMMAND...: change or ask the link's wire, see wire --help:
#   lab_wire a loss 10		lab_wire a ab down	lab_wire a stats
# `ab` is the way from the host into the network, `ba` the way back.
lab_wire()
{
	local port=$1
	shift
	[[ $port == *.* ]] || port=$port.0
	"$LAB_WIRE" ctl "$LAB/wire/$port" "$@"
}

# lab_wire_count HOST[.N] ab|ba COUNTER: one number of the wire's statistics.
lab_wire_count()
{
	lab_wire "$1" stats | sed -n "s/^$2 .*\<$3=\([0-9]*\).*/\1/p"
}

# lab_capture NAME HOST DEV FILTER...: packets into $LAB/NAME.pcap, from now on.
lab_capture()
{
	local name=$1 host=$2 dev=$3
	shift 3
	LAB_FILTER[$name]=$*
	if [ "$LAB_MODE" = root ] || [ -n "${LAB_AUTO-}" ]; then
		lab_start "capture-$name" root "$host" tcpdump -n -U -Z root \
			--immediate-mode -i "$dev" -w "$LAB/$name.pcap" "$@"
	else
		lab_start "capture-$name" root "$host" \
			"$LAB_SRC/tests/lab/capture.py" "$dev" "$LAB/$name.pcap"
	fi
	wait_for 5 "grep -q 'listening on' $LAB/log/capture-$name"
}

# lab_captured NAME [TCPDUMP OPTION...]: stop, and print what was captured.
lab_captured()
{
	local name=$1 host=${!LAB_LINKS[*]}
	shift
	[ -z "${LAB_PID[capture-$name]-}" ] || lab_stop "capture-$name" INT
	lab_as_user "${host%% *}" tcpdump -n -r "$LAB/$name.pcap" "$@" \
		"${LAB_FILTER[$name]}" 2>/dev/null
}
