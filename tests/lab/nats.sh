# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# nats.sh - a server, a host in the open and hosts each behind a NAT of its own, for
# tests of what keeps idle nodes reachable
#
# After lab.sh, ntm.sh and faults.sh:
#
#	nats_server			host server, 192.0.2.1, with account alice
#	nats_open a			host a, 198.51.100.2, node a.alice
#	nats_behind b 1 ns port-restricted timeout=20
#					host b, 192.168.1.2 behind router r1, 203.0.1.1,
#					told by an NS; node b.alice
#
# All hang on router `net`, 5 ms from it.

# nats_server [KEY=VALUE...]: as server_set
nats_server()
{
	ntm_installed
	lab_router net
	lab_net srv
	lab_link net srv 192.0.2.254/24 -
	lab_host server
	lab_link server srv 192.0.2.1/24 - 5
	ntm_server server ntm.example
	[ $# = 0 ] || server_set server "$@"
	ntm_account server alice
}

# nats_services: host services, 192.0.2.9, with a key and a certificate in $LAB/keys, where
# others may be added
nats_services()
{
	lab_host services
	lab_link services srv 192.0.2.9/24 -
	mkdir -p "$LAB/keys"
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=services \
		-addext subjectAltName=IP:192.0.2.9 -keyout "$LAB/keys/key.pem" \
		-out "$LAB/keys/cert.pem" 2>/dev/null
}

# nats_services_run: pushservices.py there, port 8443, with the keys; log `services`
nats_services_run()
{
	chmod 600 "$LAB/keys"/*
	lab_give "$LAB/keys" "$LAB/keys"/*
	lab_start services user services "$LAB_SRC/tests/lab/pushservices.py" 8443 \
		"$LAB/keys"
	wait_for 5 'lab_listens services tcp 8443'
}

# nats_open HOST
nats_open()
{
	lab_net open
	lab_link net open 198.51.100.254/24 -
	lab_host "$1"
	lab_link "$1" open 198.51.100.2/24 - 5
	ntm_node "$1" "$1.alice"
}

# nats_site NUMBER KIND [OPTION...]: network iNUMBER behind router rNUMBER, which is a
# NAT as lab_nat makes them
nats_site()
{
	local i=$1
	lab_net "o$i"
	lab_link net "o$i" 203.0.$i.254/24 -
	lab_router "r$i"
	lab_uplink "r$i" "o$i" 203.0.$i.1/24 -
	lab_net "i$i"
	lab_link "r$i" "i$i" 192.168.1.1/24 -
	lab_nat "r$i" "o$i" "${@:2}"
}

# nats_conf HOST KEEPALIVE: its broker.conf
nats_conf()
{
	local conf
	conf=$(lab_home "$1")/.config/ntm
	lab_as_user "$1" mkdir -p "$conf"
	printf '[network]\nkeepalive = %s\nportmap = off\n' "$2" \
		>"$conf/broker.conf"
	lab_give "$conf/broker.conf"
}

# nats_behind HOST NUMBER KEEPALIVE KIND [OPTION...]
nats_behind()
{
	nats_site "$2" "${@:4}"
	lab_host "$1"
	lab_link "$1" "i$2" 192.168.1.2/24 - 5
	nats_conf "$1" "$3"
	ntm_node "$1" "$1.alice"
}

# nats_serve HOST...: each answers natcell.py on port 7000
nats_serve()
{
	local host
	for host; do
		ntm_start "serve-$host" "$host" "$LAB_SRC/tests/lab/natcell.py" \
			serve 7000
		wait_for 5 "ntm_listens $host tcp 7000"
	done
}

# nats_reach FROM HOST: the first contact with it; prints how long it took, ms
nats_reach()
{
	local start
	touch "$LAB/stop"
	start=$(lab_now)
	ntm_run "$1" "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[$2]}" 7000 \
		"$LAB/stop" >"$LAB/log/reach-$2"
	lab_ms_since "$start"
}

# nats_forget A B: the tunnel between them
nats_forget()
{
	lab_as_user "$1" ntm forget "${NTM_NAME[$2]}" >/dev/null 2>&1 || :
	lab_as_user "$2" ntm forget "${NTM_NAME[$1]}" >/dev/null 2>&1 || :
}

# nats_by HOST HOW: does that keep it reachable? udp, ns, push
nats_by()
{
	[ "$(ntm_get "$1" keepalive.by)" = "$2" ]
}
