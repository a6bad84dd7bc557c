# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bench.sh - what the figures have in common: a pair of hosts, the peers that we are
# measured against, medians, and the one line a figure prints
#
# A figure is tests/bench/NAME.sh, run in a lab. Hosts a and b hang on one switch by
# bare veth; s is the server. Every comparison takes turns in one run, the first
# round is dropped, the median of at least five counts.

. "$(dirname "${BASH_SOURCE[0]}")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

BENCH_ROUNDS=${BENCH_ROUNDS:-6}	# the first is dropped
BENCH_TOOLS=$LAB_O/tests/bench
BENCH_OUT=$LAB/out		# the ordinary user may write there
mkdir -p "$BENCH_OUT"
lab_give "$BENCH_OUT"

# figure NAME VALUE UNIT OP TARGET: OP is >= or <=.
figure()
{
	local verdict=short

	awk -v v="$2" -v t="$5" -v op="$4" \
		'BEGIN { exit !(op == ">=" ? v + 0 >= t + 0 : v + 0 <= t + 0) }' &&
		verdict=ok
	printf '%-34s %12s %-8s %s%-10s %s\n' "$1" "$2" "$3" "$4" "$5" "$verdict"
}

# note TEXT: context of a figure, for people.
note()
{
	printf '# %s\n' "$*"
}

# median FILE: of its numbers, the first line dropped.
median()
{
	tail -n +2 "$1" | sort -g | awk '{ v[NR] = $1 }
		END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# ratio A B: A / B with three digits.
ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { if (b + 0 == 0) print "nan"; else printf "%.3f\n", a / b }'
}

# bench_pair: hosts a and b, bare veth to one switch, no tunnel.
bench_pair()
{
	lab_net lan
	lab_host a
	lab_host b
	lab_link a lan 10.9.0.1/24 fd00:9::1/64
	lab_link b lan 10.9.0.2/24 fd00:9::2/64
}

# bench_far_pair: 20 ms between any two hosts; a can move between cafe1 and cafe2.
bench_far_pair()
{
	local net

	lab_router net
	for net in cafe1:21 cafe2:22 home:23 office:24; do
		lab_net "${net%:*}"
		lab_link net "${net%:*}" "10.${net#*:}.0.1/24" \
			"2001:db8:${net#*:}::1/64"
	done
	lab_host a
	lab_host b
	lab_host server
	lab_link a cafe1 10.21.0.2/24 2001:db8:21::2/64 5
	lab_link b home 10.23.0.2/24 2001:db8:23::2/64 5
	lab_link server office 10.24.0.2/24 2001:db8:24::2/64 5
}

# bench_ntm: a domain on host server; a and b are nodes; NTM_B is b's name.
bench_ntm()
{
	if [ -z "${LAB_HOLDER[server]-}" ]; then
		lab_host server
		lab_link server lan 10.9.0.3/24 fd00:9::3/64
	fi
	ntm_server server ntm.example
	ntm_account server alice
	ntm_node a a.alice
	ntm_node b b.alice
	NTM_B=b.alice.$NTM_DOMAIN
	lab_as_user a ntm ping -c 1 "$NTM_B" >/dev/null
}

# ntm_listens HOST tcp|udp PORT: inside the namespace of the broker there
ntm_listens()
{
	ntm_inside "$1" ss -Hln "--$2" "sport = :$3" | grep -q .
}

# bench_wireguard: wireguard-go between a (10.77.0.1) and b (10.77.0.2).
bench_wireguard()
{
	local h d=$LAB/wg

	mkdir -p "$d"
	for h in a b; do
		(umask 077 && wg genkey >"$d/$h.key")
		wg pubkey <"$d/$h.key" >"$d/$h.pub"
	done
	for h in a b; do
		# The hosts share the folder of its sockets: so wga and wgb.
		lab_root "$h" mkdir -p /var/run/wireguard
		lab_start "wg-$h" root "$h" env LOG_LEVEL=error \
			wireguard-go -f "wg$h"
		wait_for 5 "lab_root $h wg show wg$h >/dev/null 2>&1"
	done
	bench__wireguard_end a b 1 2
	bench__wireguard_end b a 2 1
	wait_for 10 "lab_root a ping -c1 -W1 10.77.0.2 >/dev/null 2>&1"
}

# bench__wireguard_end HOST PEER NUMBER PEERS_NUMBER
bench__wireguard_end()
{
	lab_root "$1" wg set "wg$1" listen-port 51820 \
		private-key "$LAB/wg/$1.key" peer "$(cat "$LAB/wg/$2.pub")" \
		allowed-ips "10.77.0.$4/32" endpoint "10.9.0.$4:51820"
	lab_root "$1" ip addr add "10.77.0.$3/24" dev "wg$1"
	lab_root "$1" ip link set dev "wg$1" mtu 1420 up
}

# bench_openvpn: OpenVPN over UDP with AES-256-GCM between a (10.78.0.1) and b.
bench_openvpn()
{
	local h d=$LAB/ovpn

	mkdir -p "$d"
	for h in a b; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 \
			-nodes -days 2 -subj "/CN=$h" -keyout "$d/$h.key" \
			-out "$d/$h.crt" 2>/dev/null
	done
	bench__openvpn_end b a --tls-server --local 10.9.0.2 \
		--ifconfig 10.78.0.2 10.78.0.1
	bench__openvpn_end a b --tls-client --remote 10.9.0.2 --nobind \
		--ifconfig 10.78.0.1 10.78.0.2
	wait_for 20 "lab_root a ping -c1 -W1 10.78.0.2 >/dev/null 2>&1"
}

bench__openvpn_end()
{
	local h=$1 peer=$2 d=$LAB/ovpn print

	shift 2
	print=$(openssl x509 -in "$d/$peer.crt" -noout -fingerprint -sha256 |
		cut -d= -f2)
	lab_start "ovpn-$h" root "$h" openvpn --dev tun0 --dev-type tun \
		--proto udp --port 1194 --cert "$d/$h.crt" --key "$d/$h.key" \
		--peer-fingerprint "$print" --dh none --data-ciphers AES-256-GCM \
		--cipher AES-256-GCM --verb 1 --sndbuf 0 --rcvbuf 0 "$@"
}

# bench_versions: who we are compared with.
bench_versions()
{
	note "wireguard-go $(dpkg-query -W -f '${Version}' wireguard-go)," \
		"openvpn $(dpkg-query -W -f '${Version}' openvpn)," \
		"Linux $(uname -r), $(nproc) CPUs, $(date -u +%F)"
}

# bench_fanout FIGURE TOOL SIZE...: one packet to 50 members by TOOL, against sendmmsg() of
# the same datagrams; FIGURE-SIZE is how much of that it is
bench_fanout()
{
	local figure=$1 tool=$2 round size column
	shift 2
	for round in $(seq "$BENCH_ROUNDS"); do
		for size; do
			"$BENCH_TOOLS/$tool" 2 "$size" >>"$LAB/fanout.$size"
		done
	done
	for size; do
		for column in 1 2 3; do
			awk "{ print \$$column }" "$LAB/fanout.$size" \
				>"$LAB/fanout.$size.$column"
		done
		note "50 members, $size bytes: $(median "$LAB/fanout.$size.2")" \
			"datagrams/s arrived, by sendmmsg() $(median "$LAB/fanout.$size.1")"
		figure "$figure-$size" "$(median "$LAB/fanout.$size.3")" x ">=" 0.8
	done
}
