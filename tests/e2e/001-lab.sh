#!/bin/bash
# SPDX-License-Identifier: MIT
# 001-lab - hosts, delays, moves and users are what the other tests take them for
. "$(dirname "$0")/../lab/lab.sh"

lab_net home
lab_net cafe
lab_router r
lab_link r home 10.1.0.1/24 2001:db8:1::1/64
lab_link r cafe 10.2.0.1/24 2001:db8:2::1/64
lab_host a
lab_host b
lab_link a home 10.1.0.2/24 2001:db8:1::2/64 5
lab_link b cafe 10.2.0.3/24 2001:db8:2::3/64 5

# The quickest of several: a busy machine adds time, nothing takes it away.
quickest()
{
	lab_as_user "$1" ping -q -c 20 -i 0.03 "$2" |
		sed -n 's/^rtt [^=]*= \([0-9.]*\).*/\1/p'
}
assert_between "$(quickest a 10.2.0.3)" 20 21 "round trip of 20 ms, IPv4"
assert_between "$(quickest b 2001:db8:1::2)" 20 21 "round trip of 20 ms, IPv6"

# A move: the old address is dead, the new one is seen by the other side.
lab_move a cafe 10.2.0.2/24 2001:db8:2::2/64
assert_eq "$(lab_addresses a | xargs)" "10.2.0.2 2001:db8:2::2" \
	"the moved host has its new addresses and no other"
assert_fails "the old address is gone" \
	lab_as_user b ping -q -c 1 -W 0.3 10.1.0.2
lab_capture move b eth0 icmp or icmp6 and not host 10.1.0.2
assert_between "$(quickest a 10.2.0.3)" 20 21 "round trip after the move, IPv4"
assert_between "$(quickest a 2001:db8:2::3)" 20 21 \
	"round trip after the move, IPv6"
seen=$(lab_captured move)
assert_contains "$seen" "10.2.0.2 > 10.2.0.3: ICMP echo request" \
	"the peer sees the new IPv4 address"
assert_contains "$seen" "2001:db8:2::2 > 2001:db8:2::3: ICMP6, echo request" \
	"the peer sees the new IPv6 address"

# The ordinary user: no power over the host, and yet a TUN of their own.
assert_eq "$(lab_as_user a id -u)" "$LAB_UID" "the user's uid"
assert_ne "$LAB_UID" 0 "the user is not root"
assert_contains "$(lab_as_user a cat /proc/self/status)" \
	"CapEff:	0000000000000000" "the user has no capabilities"
assert_fails "the user cannot change the host's interfaces" \
	lab_as_user a ip link set dev eth0 down
lab_as_user a unshare --user --map-root-user --net bash -ec '
	ip tuntap add dev tun0 mode tun
	ip addr add 198.18.0.1/15 dev tun0
	ip link set dev tun0 up'
ok "the user opens a TUN device in a namespace of their own"
lab_as_user a bash -ec '
	[ "$HOME" = "$(pwd)" ] && [ "$HOME" = "$(eval echo ~user)" ]
	touch "$HOME/x" "$XDG_RUNTIME_DIR/x"
	[ "$XDG_RUNTIME_DIR" = "/run/user/$(id -u)" ]
	[ "$(hostname)" = a ]'
ok "the user has a home and a runtime folder"
assert_fails "each host has its own runtime folder" \
	lab_as_user b test -e "/run/user/$LAB_UID/x"
lab_names b "203.0.113.9 elsewhere"
assert_contains "$(lab_as_user b getent hosts elsewhere)" 203.0.113.9 \
	"names of one host's /etc/hosts"
assert_fails "are not names of another" lab_as_user a getent hosts elsewhere

# Another local user is really another.
if lab_have_other_user; then
	assert_ne "$(lab_as_other_user a id -u)" "$LAB_UID" \
		"the other user has another uid"
	assert_fails "the other user cannot read the user's home" \
		lab_as_other_user a ls "$(lab_home a)"
	lab_start mine user a sleep 60
	assert_fails "the other user cannot signal the user's processes" \
		lab_as_other_user a kill -0 "${LAB_PID[mine]}"
	lab_stop mine
fi
