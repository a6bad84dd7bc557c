# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# groups.sh - groups of nodes, for tests: after lab.sh and ntm.sh
#
#	group a create band
#	group_in 20 b band 2		# until it is in, and has so many members' keys

# groups_server HOST: its GMS runs, and logins name it
groups_server()
{
	wait_for 30 "grep -q 'gms: the channel to the AS is open' $(lab_log "server-$1")" \
		"cat $(lab_log "server-$1")"
}

# groups_nodes HOST=DEVICE.ACCOUNT...: a domain at `server` with its GMS and these accounts,
# and the nodes, logged in
groups_nodes()
{
	local node accounts=" "

	ntm_installed
	ntm_star server "${@%%=*}"
	groups_server server
	for node; do
		[[ $accounts == *" ${node##*.} "* ]] || ntm_account server "${node##*.}"
		accounts+="${node##*.} "
	done
	for node; do
		ntm_node "${node%%=*}" "${node#*=}"
	done
}

# groups_across: one.example at `sa`, with the GMS and alice's a, b and e; two.example at `sb`,
# with bob's c and d; all allow each other, and have prekeys. After domains.sh and items.sh;
# the hosts are there
groups_across()
{
	local host

	domains_root root one.example=sa two.example=sb
	domains_server sa one.example
	domains_server sb two.example
	groups_server sa
	domains_node a laptop.alice one.example
	domains_node b desk.alice one.example
	domains_node c desk.bob two.example
	domains_node d phone.bob two.example
	domains_node e tablet.alice one.example
	domains_peer sa one.example sb two.example
	for host in a b e; do domains_allow $host two.example; done
	for host in c d; do domains_allow $host one.example; done
	for host in a b c d e; do items_prekey $host; done
}

# group HOST COMMAND...: ntm-group there
group()
{
	local host=$1
	shift
	lab_as_user "$host" ntm-group "$@"
}

# group_get HOST GROUP FILTER: of `ntm-group status`
group_get()
{
	group "$1" status "$2" --json 2>/dev/null | jq -r "$3"
}

# group_is HOST GROUP K N: it is in, and has confirmed of K of N members
group_is()
{
	[ "$(group_get "$1" "$2" '"\(.state) \(.confirmed) \(.members)"')" = \
		"joined $3 $4" ]
}

# group_in SECONDS HOST GROUP K [N]: until that is so
group_in()
{
	wait_for "$1" "group_is $2 $3 $4 ${5:-$4}" \
		"group $2 list; group $2 status $3; tail -n 30 $(state_dir "$2")/broker.log"
}

# group_invited SECONDS HOST GROUP: until an invitation waits there
group_invited()
{
	wait_for "$1" "group $2 list --json | jq -e '.invitations[] | select(.name == \"$3\")' >/dev/null" \
		"group $2 list; lab_as_user $2 ntm inbox; tail -n 30 $(state_dir "$2")/broker.log"
}

# group_joins HOST GROUP INVITER NAME: invited, accepted; not yet in
group_joins()
{
	group "$3" invite "$2" "$4" >"$LAB/out" 2>&1 ||
		not_ok "$4 cannot be invited: $(cat "$LAB/out")"
	group_invited 30 "$1" "$2"
	group "$1" accept "$2" >"$LAB/out" 2>&1 ||
		not_ok "$1 cannot accept: $(cat "$LAB/out")"
}

# group_hears HOST ADDRESS: a program joins the group there, port 5005; its log `hears-HOST`
# has each packet's arrival, ms, and its number
group_hears()
{
	ntm_start "hears-$1" "$1" /usr/bin/python3 -u -c "
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5005))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
             struct.pack('4s4s', socket.inet_aton('$2'), socket.inet_aton('0.0.0.0')))
while True:
    data = s.recv(2000)
    print(int(time.monotonic() * 1000), data.decode().strip())"
	wait_for 5 "ntm_inside $1 ss -Hlnu sport = :5005 | grep -q ."
}

# group_speaks HOST NAME: numbers to the group of that name, port 5005, 50 a second; log `speaks`
group_speaks()
{
	ntm_start speaks "$1" /usr/bin/python3 -u -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
while True:
    s.sendto(str(n).encode(), ('$2', 5005))
    n += 1
    time.sleep(0.02) # the pace of the stream; nothing is waited for"
}

# group_heard HOST: how many packets so far
group_heard()
{
	wc -l <"$(lab_log "hears-$1")"
}

# group_gap HOST FROM: the longest wait between two packets, ms, from that line on
group_gap()
{
	tail -n +"$2" "$(lab_log "hears-$1")" |
		awk 'p && $1 - p > m { m = $1 - p } { p = $1 } END { print m + 0 }'
}
