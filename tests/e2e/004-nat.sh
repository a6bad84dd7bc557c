#!/bin/bash
# SPDX-License-Identifier: MIT
# 004-nat - each kind of NAT and firewall maps, filters and forgets as its kind does
. "$(dirname "$0")/../lab/lab.sh"

# nat NAME KIND [OPTION...]: router NAME and the network in-NAME behind it
SITES=0
nat()
{
	local name=$1 kind=$2
	shift 2
	SITES=$((SITES + 1))
	lab_router "$name"
	lab_uplink "$name" "${OUTER-pub}" \
		"${OUTER_4-203.0.113}.$((SITES + 1))/24" \
		"${OUTER_6-2001:db8:b}::$((SITES + 1))/64"
	lab_net "in-$name"
	lab_link "$name" "in-$name" 192.168.$SITES.1/24 \
		2001:db8:$SITES::1/64
	lab_nat "$name" "${OUTER-pub}" "$kind" "$@"
	ip -n net -6 route add 2001:db8:$SITES::/64 \
		via "${VIA_6-2001:db8:b::$((SITES + 1))}"
	SITE[$name]=$SITES
}
declare -A SITE=()

# sit HOST NAME: behind that router
sit()
{
	local i=${SITE[$2]} last=${3-2}
	lab_lose "$1"
	lab_gain "$1" "in-$2" 192.168.$i.$last/24 2001:db8:$i::$last/64
}

probe()
{
	local what=$1 host=$2 family=$3
	shift 3
	if [ "$family" = 4 ]; then
		set -- 192.0.2.1 192.0.2.2 "$@"
	else
		set -- 2001:db8:a::1 2001:db8:a::2 "$@"
	fi
	lab_as_user "$host" "$LAB_SRC/tests/lab/natprobe.py" "$what" "$@"
}

lab_router net
lab_net srv
lab_net pub
lab_link net srv 192.0.2.254/24 2001:db8:a::fe/64
lab_link net pub 203.0.113.254/24 2001:db8:b::fe/64
lab_host server
lab_link server srv 192.0.2.1/24 2001:db8:a::1/64
ip -n server addr add 192.0.2.2/24 dev eth0
ip -n server addr add 2001:db8:a::2/64 dev eth0 nodad
lab_start serve root server "$LAB_SRC/tests/lab/natprobe.py" serve \
	192.0.2.1 192.0.2.2 2001:db8:a::1 2001:db8:a::2
wait_for 5 'grep -q ready "$(lab_log serve)"'

lab_host h
lab_link h pub 203.0.113.100/24 2001:db8:b::100/64
lab_host i
lab_link i pub 203.0.113.101/24 2001:db8:b::101/64

# is KIND WANTED4 WANTED6 [HOST]: mapping and filtering
is()
{
	local got
	got=$(probe kind "${4-h}" 4)
	assert_eq "${got% own*}" "mapping=${2% *} filtering=${2#* }" "$1, IPv4"
	got=$(probe kind "${4-h}" 6)
	assert_eq "${got% own*}" "mapping=${3% *} filtering=${3#* }" "$1, IPv6"
}

is "no NAT" "none none" "none none"
while read -r name kind want4 want6; do
	nat "$name" "$kind"
	sit h "$name"
	is "$kind" "${want4/,/ }" "${want6/,/ }"
done <<-END
	fc full-cone		independent,independent	none,independent
	ar address-restricted	independent,address	none,address
	pr port-restricted	independent,endpoint	none,endpoint
	sy symmetric		endpoint,endpoint	none,endpoint
	bl blocked		blocked,blocked		blocked,blocked
END
nat op open
ip -n net route add 192.168.${SITE[op]}.0/24 via 203.0.113.$((SITES + 1))
sit h op
is open "none none" "none none"

# Ports are drawn, not kept: nobody learns the mapping by knowing the port.
sit h pr
got=$(probe kind h 4 7000)
assert_contains "$got" "own=192.168.${SITE[pr]}.2:7000" "the probe's own port"
assert_lacks "${got#*seen=}" ":7000" "is not the mapping's"

# Two hosts with one port behind one NAT
sit i pr 3
assert_contains "$(probe kind i 4 7000)" "mapping=independent filtering=endpoint" \
	"a second host with the same port is another mapping"
assert_eq "$(probe kind h 4 7000)" "$got" "which takes nothing from the first"

# Hairpin
assert_eq "$(probe hairpin h 4)" hairpin=none "hairpin is off"
for kind in full-cone address-restricted port-restricted; do
	nat "h-${kind:0:2}" $kind hairpin=on
	sit h "h-${kind:0:2}"
	assert_eq "$(probe hairpin h 4)" hairpin=outer \
		"hairpin on: $kind, by the outer address"
done

# Two routers, each port-restricted, are one port-restricted
OUTER=in-pr OUTER_4=192.168.${SITE[pr]} OUTER_6=2001:db8:${SITE[pr]}
VIA_6=2001:db8:b::$((SITE[pr] + 1))
nat dbl port-restricted
ip -n pr -6 route add 2001:db8:$SITES::/64 via "$OUTER_6::$((SITES + 1))"
unset OUTER OUTER_4 OUTER_6 VIA_6
sit h dbl
is "double NAT" "independent endpoint" "none endpoint"

# The time of a mapping: 2 s, counted from the last packet
nat short port-restricted timeout=2
nat symm symmetric timeout=2
sit h short
sit i symm
start_probe()
{
	local name=$1 host=$2
	shift 2
	lab_start "$name" user "$host" "$LAB_SRC/tests/lab/natprobe.py" "$@"
}
for host in h i; do
	start_probe used.$host $host keep 192.0.2.1 192.0.2.2 7000 3
	start_probe soon.$host $host late 192.0.2.1 192.0.2.2 7001 1
	start_probe late.$host $host late 192.0.2.1 192.0.2.2 7002 3
	start_probe late6.$host $host late 2001:db8:a::1 2001:db8:a::2 7003 3
done
for host in h i; do
	router=${LAB_PORT_NET[$host.0]#in-}
	for what in used soon late late6; do
		lab_join $what.$host
	done
	assert_eq "$(wc -l <"$(lab_log used.$host)")" 1 \
		"$router: a mapping in use lives on"
	assert_eq "$(cat "$LAB"/log/{soon,late,late6}.$host | xargs)" \
		"yes no no" "$router: answers after 1 s, 3 s, 3 s by IPv6"
	wait_for 5 "! lab_root $router nft list map inet nat out |
		grep -q expires"
	wait_for 5 "! lab_root $router conntrack -L -p udp | grep -q ."
	assert_ne "$(probe keep $host 4 7000 0.1)" \
		"$(cat "$(lab_log used.$host)")" "$router: then it is another"
done

# Everything forgotten at once, in the middle of a flow
sit h pr
start_probe keep h keep 192.0.2.1 192.0.2.2 7004 100
wait_for 5 '[ -s "$(lab_log keep)" ]'
start_probe answer h late 192.0.2.1 192.0.2.2 7005 1
wait_for 5 "lab_root pr conntrack -L -p udp 2>/dev/null | grep -q sport=7005"
lab_nat_forget pr
wait_for 5 '[ "$(wc -l <"$(lab_log keep)")" = 2 ]'
ok "a flow that goes on after all was forgotten has another mapping"
lab_join answer
assert_eq "$(cat "$(lab_log answer)")" no "and what was expected is lost"

# Again and again
lab_nat_forgetful pr 0.5
wait_for 10 '[ "$(wc -l <"$(lab_log keep)")" -ge 5 ]'
ok "mappings that live half a second, however much they are used"
