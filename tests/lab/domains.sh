# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# domains.sh - two organisations and the root of a DNS of the lab's own
#
# After lab.sh and ntm.sh, and hosts that ntm_star made:
#
#	domains_root root one.example=sa two.example=sb
#	domains_server sa one.example; domains_server sb two.example
#	domains_peer sa one.example sb two.example
#	domains_allow a two.example; domains_allow b one.example
#
# The root is served by nsd; each domain's zone by its own ntm-server, found from
# that root alone. DOMAINS_SIGNED holds domains whose zone nsd serves, signed.

declare -A DOMAINS_SIGNED=()	# domain -> host that serves the zone
DOMAINS_DIR=

# domains__ns HOST: A and AAAA lines of the host for the name on standard input's place
domains__addresses()
{
	local name=$1 address
	for address in $(lab_addresses "$2"); do
		case $address in
		*:*) echo "$name. 60 IN AAAA $address" ;;
		*) echo "$name. 60 IN A $address" ;;
		esac
	done
}

# domains_root HOST DOMAIN=HOST...: the root zone with these delegations, unsigned
domains_root()
{
	local host=$1 pair
	shift
	DOMAINS_DIR=$LAB/dns
	mkdir -p "$DOMAINS_DIR"
	{
		echo ". 60 IN SOA root. hostmaster. 1 3600 900 604800 5"
		echo ". 60 IN NS root."
		domains__addresses root "$host"
		for pair; do
			echo "${pair%%=*}. 60 IN NS ${pair%%=*}."
			domains__addresses "${pair%%=*}" "${pair#*=}"
		done
	} >"$DOMAINS_DIR/root.zone"
	{
		echo ". 3600000 NS root."
		domains__addresses root "$host"
	} >"$DOMAINS_DIR/hints"
	chmod -R a+rX "$DOMAINS_DIR"
	NTM_DC_CONF="hints = $DOMAINS_DIR/hints
anchor ="
	domains_nsd "$host" .=root.zone
}

# domains_nsd HOST ZONE=FILE...: serve them there, log `nsd-HOST`
domains_nsd()
{
	local host=$1 pair conf=$DOMAINS_DIR/nsd-$1.conf
	shift
	{
		cat <<-END
		server:
			username: ""
			chroot: ""
			zonesdir: "$DOMAINS_DIR"
			database: ""
			pidfile: ""
			xfrdfile: ""
			zonelistfile: "$DOMAINS_DIR/zones-$host"
			xfrdir: "$DOMAINS_DIR"
			hide-version: yes
			server-count: 1
		remote-control:
			control-enable: no
		END
		for pair; do
			printf 'zone:\n\tname: "%s"\n\tzonefile: "%s"\n' \
				"${pair%%=*}" "${pair#*=}"
		done
	} >"$conf"
	lab_start "nsd-$host" root "$host" nsd -d -c "$conf"
	wait_for 5 "lab_root $host ss -Hlun sport = :53 | grep -q ."
}

# domains_server HOST DOMAIN: as ntm_server, with accounts alice and bob
domains_server()
{
	ntm_server "$1" "$2"
	ntm_account "$1" alice
	ntm_account "$1" bob
}

# domains_fp DOMAIN: its CA's fingerprint
domains_fp()
{
	echo "${NTM_JOIN[$1]#*#}"
}

# domains_peer HOST DOMAIN HOST DOMAIN: each is told of the other's CA
domains_peer()
{
	lab_as_user "$1" ntm-server peer add "$4" "$(domains_fp "$4")"
	lab_as_user "$3" ntm-server peer add "$2" "$(domains_fp "$2")"
}

# domains_node HOST DEVICE.ACCOUNT DOMAIN: as ntm_node, in that domain
domains_node()
{
	NTM_DOMAIN=$3
	ntm_node "$1" "$2"
}

# domains_allow HOST SUBJECT: `ntm allow`, and the CA of the domain is there
domains_allow()
{
	lab_as_user "$1" ntm allow "$2" >"$LAB/log/allow-$1"
	wait_for 10 "[ -n \"\$(ntm_get $1 domains.0.ca)\" ]" \
		"lab_as_user $1 ntm status --json; cat $LAB/log/server-s*"
}

# domains_behind KIND [HOST...]: hosts root, sa, sb as ntm_star makes them, and a and b
# each behind a NAT of that kind, IPv4 alone; 20 ms between any two
domains_behind()
{
	local kind=$1 host i=3
	NTM_UNDERLAY=4
	ntm_star root sa sb
	for host in a b; do
		i=$((i + 1))
		lab_net "p$host"
		lab_link net "p$host" 10.$i.0.1/24 -
		lab_router "nat-$host"
		lab_uplink "nat-$host" "p$host" 10.$i.0.2/24 -
		lab_net "i$host"
		lab_link "nat-$host" "i$host" 192.168.1.1/24 -
		lab_nat "nat-$host" "p$host" "$kind"
		lab_host "$host"
		lab_link "$host" "i$host" 192.168.1.$i/24 - 5
	done
}

# domains_apart: one.example at host sa with node a (laptop.alice), two.example at sb with b
# (desk.bob), below the root at host root; no domain knows of the other. Sets A and B (names).
domains_apart()
{
	domains_root root one.example=sa two.example=sb
	domains_server sa one.example
	domains_server sb two.example
	domains_node a laptop.alice one.example
	domains_node b desk.bob two.example
	A=${NTM_NAME[a]} B=${NTM_NAME[b]}
}

# domains_meet: each domain is told of the other's CA, and a and b allow the other's
domains_meet()
{
	domains_peer sa one.example sb two.example
	domains_allow b one.example
	domains_allow a two.example
}

# domains_two: domains that know each other, with a and b in them, who allow each other
domains_two()
{
	domains_apart
	domains_meet
}
