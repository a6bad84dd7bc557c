# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# nat.sh - NATs and stateful firewalls of every kind, and how they forget
#
# Part of lab.sh.  A kind is a mapping and a filtering behaviour (RFC 4787).  For
# IPv4 the router translates and filters; for IPv6 it only filters, alike.
#
#	kind			one mapping for each	lets in
#	open			(no translation)	everybody
#	full-cone		inner endpoint		everybody, to a mapping
#	address-restricted	inner endpoint		addresses written to
#	port-restricted		inner endpoint		endpoints written to
#	symmetric		inner, outer endpoint	endpoints written to
#	blocked			inner endpoint		no UDP, nor out
#	plain			(the kernel's masquerade, see lab_nat)
#
# Two routers, one behind the other, make a double NAT; two hosts behind one router
# are in the same NAT.
#
# How: the kernel's own NAT keeps to no kind.  It takes the inner port where that is
# free and another one where it is not, so its mapping is independent by luck.  Here
# a mapping is an element of the map `out`, with a port drawn by lot when its first
# packet leaves.  `back` is the way back, and `met` is who may come in: its key has
# as much of the outer endpoint as the kind filters by.  All three live for the
# timeout since the last packet that passed, in either direction, and so does the
# kernel's state of the flow, which would otherwise keep a dead mapping alive.  A
# nat chain sees the first packet of a flow only, so what must be kept up stands in
# filter chains.  What comes in uninvited is dropped in silence and before the
# kernel has noted it: otherwise a peer that writes first would take away the port.

# lab_uplink ROUTER NET ADDR4/LEN|- ADDR6/LEN|- [DELAY_MS ...]: as lab_link, into a
# network that has its gateway, which the router then uses itself.
lab_uplink()
{
	local was=${LAB_ROUTER[$1]}
	LAB_ROUTER[$1]=
	lab_link "$@"
	LAB_ROUTER[$1]=$was
}

# lab_nat ROUTER OUTSIDE_NET [KIND [timeout=SECONDS] [hairpin=on]]: make a router
# translate IPv4 towards its link into OUTSIDE_NET, and in both families refuse what
# its kind refuses.  Once for each router.
#   plain    the kernel's masquerade: keeps ports where it can, and answers only
#            the exact peer that was written to (port-restricted in practice)
#   timeout  of a UDP mapping that nothing uses (120)
#   hairpin  hosts inside reach one another's outer address (off)
lab_nat()
{
	local router=$1 kind=${3:-plain} timeout=120 hairpin=off option
	local dev outside
	dev=$(lab_dev "$1" "$2")
	outside=$(ip -n "$1" -br -4 addr show dev "$dev" |
		sed 's/.* \([0-9.]*\)\/.*/\1/')
	shift $(($# < 3 ? $# : 3))
	for option; do
		case $option in
		timeout=*)	timeout=${option#*=} ;;
		hairpin=on)	hairpin=on ;;
		*)		not_ok "no such option of a NAT: $option" ;;
		esac
	done
	case $kind in
	open)			return ;;
	plain)			lab__nat_plain "" ;;
	blocked)		lab__nat_plain "meta l4proto udp drop" ;;
	full-cone)		lab__nat_rules inner all ;;
	address-restricted)	lab__nat_rules inner address ;;
	port-restricted)	lab__nat_rules inner endpoint ;;
	symmetric)		lab__nat_rules both endpoint ;;
	*)			not_ok "no such kind of NAT: $kind" ;;
	esac >"$LAB/nat.$router"
	lab_root "$router" sh -ec "
		echo $timeout >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
		echo $timeout \
			>/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream
		nft -f '$LAB/nat.$router'"
}

lab__nat_plain()
{
	cat <<-END
	table ip nat {
		chain pre { type nat hook prerouting priority dstnat; }
		chain post {
			type nat hook postrouting priority srcnat;
			oifname "$dev" masquerade
		}
	}
	table inet filter {
		chain through {
			type filter hook forward priority filter;
			$1
			iifname "$dev" ct state new,invalid drop
		}
	}
	END
}

# lab__nat_rules inner|both all|address|endpoint: what a mapping is for, and which
# part of the outer endpoint lets in.  Uses the variables of lab_nat.
lab__nat_rules()
{
	local inner='ipv4_addr . inet_service' new='ip saddr . udp sport'
	local ours='ct original ip saddr . ct original proto-src'
	local theirs='ct reply ip saddr . ct reply proto-src'
	local key=$inner our=$ours their=$theirs
	local back='inet_service' look='udp dport'
	local our_back='ct reply proto-dst' their_back='ct original proto-dst'
	local met='@L_addr . inet_service' go='@H saddr . udp sport'
	local come='@H daddr . udp dport' from="iifname \"$dev\"" dynamic
	local udp='meta nfproto ipv4 meta l4proto udp'
	if [ "$1" = both ]; then
		key+=' . ipv4_addr . inet_service'
		new+=' . ip daddr . udp dport'
		our+=' . ct original ip daddr . ct original proto-dst'
		their+=' . ct reply ip daddr . ct reply proto-dst'
		# Whom a mapping is not for does not find it.
		back+=' . ipv4_addr . inet_service'
		look+=' . ip saddr . udp sport'
		our_back+=' . ct reply ip saddr . ct reply proto-src'
		their_back+=' . ct original ip saddr . ct original proto-src'
	fi
	if [ "$2" != all ]; then
		met+=' . @L_addr' go+=' . @H daddr' come+=' . @H saddr'
	fi
	if [ "$2" = endpoint ]; then
		met+=' . inet_service' go+=' . udp dport' come+=' . udp sport'
	fi
	[ $hairpin = off ] || from=''
	dynamic="flags dynamic,timeout; timeout ${timeout}s; size 65535;"
	cat <<-END
	table inet nat {
		map out { type $key : inet_service; $dynamic }
		map back { type $back : $inner; $dynamic }
		set met4 { type ${met//@L/ipv4}; $dynamic }
		set met6 { type ${met//@L/ipv6}; $dynamic }

		chain pre {
			type nat hook prerouting priority dstnat;
			$from ip daddr $outside $udp \
				dnat ip to $look map @back
		}
		chain here {
			type filter hook input priority filter;
			iifname "$dev" meta l4proto { tcp, udp } drop
			ip daddr $outside meta l4proto { tcp, udp } drop
		}
		chain through {
			type filter hook forward priority filter;
			meta l4proto != udp goto other
			oifname "$dev" goto leave
			iifname "$dev" goto enter
			ct status dnat jump leave
			ct status dnat goto enter
		}
		chain other {
			iifname "$dev" ct state new,invalid drop
		}
		chain leave {
			update @met4 { ${go//@H/ip} }
			update @met6 { ${go//@H/ip6} }
		}
		chain enter {
			${come//@H/ip} @met4 update @met4 { ${come//@H/ip} } \
				accept
			${come//@H/ip6} @met6 update @met6 { ${come//@H/ip6} } \
				accept
			drop
		}

		chain draw {
			type filter hook postrouting priority srcnat - 10;
			$udp ct state new \
				iifname != "$dev" add @out { $new : \
				numgen random mod 60000 offset 2000 }
		}
		chain post {
			type nat hook postrouting priority srcnat;
			iifname != "$dev" $udp \
				snat ip to $outside : $new map @out
			oifname "$dev" meta nfproto ipv4 meta l4proto != udp \
				masquerade
		}
		chain keep {
			type filter hook postrouting priority srcnat + 10;
			iifname != "$dev" ct direction original goto ours
			iifname "$dev" ct direction reply goto ours
			goto theirs
		}
		chain ours {
			$udp update @out { $our : ct reply proto-dst }
			$udp update @back { $our_back : $ours }
		}
		chain theirs {
			$udp update @out { $their : ct original proto-dst }
			$udp update @back { $their_back : $theirs }
		}
	}
	END
}

# In the router: without a moment in which a packet could save its mapping.
lab__nat_forget()
{
	nft add table inet shut
	nft add chain inet shut raw \
		'{ type filter hook prerouting priority -500; policy drop; }'
	conntrack -F 2>/dev/null
	{
		nft list maps | sed -n 's/^\tmap \(.*\) {/flush map inet nat \1/p'
		nft list sets | sed -n 's/^\tset \(.*\) {/flush set inet nat \1/p'
		echo "delete table inet shut"
	} | nft -f -
}

# lab_nat_forget ROUTER: it loses all its mappings, and tells nobody.
lab_nat_forget()
{
	lab_root "$1" bash -ec "$(declare -f lab__nat_forget); lab__nat_forget"
}

# lab_nat_forgetful ROUTER SECONDS: it does so every so many seconds, so that no
# mapping lives longer, used or not; until lab_stop forgetful-ROUTER.
lab_nat_forgetful()
{
	lab_start "forgetful-$1" root "$1" bash -ec \
		"$(declare -f lab__nat_forget)
		while sleep $2; do lab__nat_forget; done"
}
