# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ntm.sh - domains, nodes and what to ask them, for tests between lab hosts
#
# After lab.sh:
#
#	. "$LAB_SRC/tests/lab/ntm.sh"
#	ntm_star a b c			three hosts and a server, 20 ms between all
#	ntm_node a laptop.alice		log in, be online
#	ntm_node b desk.alice
#	ntm_run a curl http://desk.alice.$NTM_DOMAIN/
#
# Everything, the server too, runs as the lab's ordinary user.

NTM_DOMAIN=ntm.example		# of the last ntm_server
NTM_PASSWORD='correct horse battery staple'
NTM_UNDERLAY=46			# families of the networks that ntm_star makes
NTM_ROLES=			# roles of servers to come; none: the usual
NTM_DC_CONF=			# lines for section [dc] of servers to come
declare -A NTM_JOIN=()		# domain -> join string
declare -A NTM_NAME=()		# host -> FQDN
declare -A NTM_VIP=()		# HOST.4, HOST.6 -> virtual address, by ntm_pair

# ntm_installed: the programs are in the stage, or the test fails at once.
ntm_installed()
{
	local program
	for program in ntm ntm-run ntm-broker ntm-server; do
		[ -x /usr/local/bin/$program ] ||
			not_ok "$program is not installed in the stage"
	done
}

# ntm_star HOST...: one network a host, all joined by router `net`, 5 ms wires to
# each: 20 ms between any two.  Host i is 10.i.0.2 and 2001:db8:i::2; a network
# called other (10.200.0.0/24, 2001:db8:200::/64) is free for moves.
# The host called `server` gets the domain of NTM_DOMAIN.  NTM_UNDERLAY=4 or =6
# leaves the other family out.
ntm_star()
{
	local host i=0
	lab_router net
	lab_net other
	ntm__link net other 10.200.0.1/24 2001:db8:200::1/64
	for host; do
		i=$((i + 1))
		lab_net "n$i"
		ntm__link net "n$i" 10.$i.0.1/24 2001:db8:$i::1/64
		lab_host "$host"
		ntm__link "$host" "n$i" 10.$i.0.2/24 2001:db8:$i::2/64 5
		[ "$host" != server ] || ntm_server server $NTM_DOMAIN
	done
}

ntm__link()
{
	local host=$1 net=$2 a4=$3 a6=$4
	shift 4
	[[ $NTM_UNDERLAY == *4* ]] || a4=-
	[[ $NTM_UNDERLAY == *6* ]] || a6=-
	lab_link "$host" "$net" "$a4" "$a6" "$@"
}

# ntm_pair: hosts server, a and b; a and b are online as laptop.alice and
# desk.alice.  Sets A and B (names) and NTM_VIP.
ntm_pair()
{
	local host
	ntm_installed
	ntm_star server a b
	ntm_account server alice
	ntm_node a laptop.alice
	ntm_node b desk.alice
	A=${NTM_NAME[a]} B=${NTM_NAME[b]}
	for host in a b; do
		NTM_VIP[$host.4]=$(ntm_get $host vip4)
		NTM_VIP[$host.6]=$(ntm_get $host vip6)
		is_virtual "${NTM_VIP[$host.4]}" ||
			not_ok "$host has the virtual IPv4 address \
'${NTM_VIP[$host.4]}'"
		is_virtual "${NTM_VIP[$host.6]}" ||
			not_ok "$host has the virtual IPv6 address \
'${NTM_VIP[$host.6]}'"
	done
}

# ntm_listens HOST tcp|udp PORT: does a program listen there, on the host and, by
# its broker, in the virtual network?
ntm_listens()
{
	lab_listens "$1" "$2" "$3" &&
		ntm_inside "$1" ss -Hln"${2:0:1}" sport = ":$3" | grep -q .
}

# lab_listens HOST tcp|udp PORT: on the host?
lab_listens()
{
	lab_root "$1" ss -Hln"${2:0:1}" sport = ":$3" | grep -q .
}

# ntm_inside HOST COMMAND...: as the lab's root in the namespace of the host's
# broker.
ntm_inside()
{
	local inside
	inside=$(lab_pids "$1" ntm-inside | head -n 1)
	[ -n "$inside" ] || return 1
	shift
	nsenter --target "$inside" --net "$@"
}

# ntm_web HOST PORT: Python's http.server over $LAB/www; its log is `web`.
ntm_web()
{
	mkdir -p "$LAB/www"
	ntm_start web "$1" /usr/bin/python3 -u -m http.server "$2" \
		--bind :: --directory "$LAB/www"
	wait_for 5 "ntm_listens $1 tcp $2"
}

# ntm_nginx_conf HOST PORT LINES: makes nginx.conf in HOST's home: one process over $LAB/www,
# its log of addresses is `web`; LINES: more of its http block
ntm_nginx_conf()
{
	local home
	home=$(lab_home "$1")
	mkdir -p "$LAB/www"
	cat >"$home/nginx.conf" <<-END
	daemon off;
	worker_processes 1;
	pid $home/nginx.pid;
	error_log stderr;
	events { }
	http {
		log_format from '\$remote_addr \$request';
		access_log $(lab_log web) from;
		client_body_temp_path $home/tmp;
		proxy_temp_path $home/tmp;
		fastcgi_temp_path $home/tmp;
		uwsgi_temp_path $home/tmp;
		scgi_temp_path $home/tmp;
		sendfile on;
		$3
		server {
			listen $2;
			listen [::]:$2;
			root $LAB/www;
		}
	}
	END
	: >"$(lab_log web)"
	lab_give "$home/nginx.conf" "$(lab_log web)"
}

# ntm_slow_web HOST PORT RATE: nginx over $LAB/www that sends RATE bytes a second
# (5m) on a connection, so that nothing waits at the receiver; log `web`.
ntm_slow_web()
{
	ntm_nginx_conf "$1" "$2" "limit_rate $3; send_timeout 600;"
	ntm_start nginx "$1" nginx -e stderr -c "$(lab_home "$1")/nginx.conf"
	wait_for 5 "ntm_listens $1 tcp $2"
}

# ntm_look_up HOST NAME: from then on the peer's literal addresses work, too.
ntm_look_up()
{
	ntm_run "$1" getent ahosts "$2" >"$LAB/log/look-up-$1"
}

# ntm_ask HOST tcp|udp 4|6 NAME PORT: whom the other host's peername.py sees,
# without the mark of a v4-mapped address.
ntm_ask()
{
	local host=$1
	shift
	ntm_run "$host" "$LAB_SRC/tests/lab/peername.py" ask "$@"
}

# lab_ask HOST ...: the same without NTMobile.
lab_ask()
{
	local host=$1
	shift
	lab_as_user "$host" "$LAB_SRC/tests/lab/peername.py" ask "$@"
}

# ntm_server HOST DOMAIN: init and run a server with both roles and DNS, on the
# host's global addresses.  Account names are added by ntm_account.
ntm_server()
{
	local host=$1 domain=$2 address listen=()
	NTM_DOMAIN=$domain
	for address in $(lab_addresses "$host"); do
		listen+=(--listen "$address")
	done
	# DNS has port 53; here an ordinary user may bind it.
	lab_root "$host" sh -c \
		'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
	lab_as_user "$host" ntm-server init --domain "$domain" "${listen[@]}" \
		>"$LAB/log/server-init-$host" 2>&1
	[ -z "$NTM_DC_CONF" ] || lab_as_user "$host" sed -i "/^\[dc\]/a \\
${NTM_DC_CONF//$'\n'/\\$'\n'}" .local/share/ntm-server/ntm-server.conf
	[ -z "$NTM_ROLES" ] || lab_as_user "$host" sed -i \
		-e "/^roles *=/d" -e "/^\[server\]/a roles = $NTM_ROLES" \
		.local/share/ntm-server/ntm-server.conf
	ntm_server_start "$host"
	NTM_JOIN[$domain]=$(lab_as_user "$host" ntm-server join-string)
}

# ntm_server_start HOST: (again) after lab_stop server-HOST [KILL].
ntm_server_start()
{
	lab_start "server-$1" user "$1" ntm-server run
	wait_for 10 "ntm__server_listens $1"
}

ntm__server_listens()
{
	lab_root "$1" ss -Hltn sport = :4501 | grep -q . &&
		lab_root "$1" ss -Hltn sport = :4502 | grep -q . &&
		lab_root "$1" ss -Hlun sport = :4502 | grep -q .
}

# ntm_account HOST NAME: an account with the password of all tests.
ntm_account()
{
	printf '%s\n' "$NTM_PASSWORD" | lab_as_user "$1" ntm-server account \
		add --password-stdin "$2" >>"$LAB/log/server-accounts-$1" 2>&1
}

# ntm_up HOST: start the broker there.
ntm_up()
{
	lab_as_user "$1" ntm up >"$LAB/log/up-$1" 2>&1
}

# ntm_login HOST ACCOUNT [DEVICE] [DOMAIN]
ntm_login()
{
	local host=$1 account=$2 device=${3:-$1} domain=${4:-$NTM_DOMAIN}
	printf '%s\n' "$NTM_PASSWORD" | lab_as_user "$host" ntm login \
		--password-stdin -y --device="$device" "${NTM_JOIN[$domain]}" \
		"$account" >"$LAB/log/login-$host" 2>&1
	NTM_NAME[$host]=$device.$account.$domain
}

# ntm_node HOST DEVICE.ACCOUNT: broker up, logged in, online.
ntm_node()
{
	ntm_up "$1"
	ntm_login "$1" "${2#*.}" "${2%%.*}"
	ntm_wait_online "$1"
}

ntm_wait_online()
{
	wait_for "${2:-10}" "[ \$(ntm_get $1 state) = online ]" \
		"lab_as_user $1 ntm status"
}

# ntm_run HOST PROGRAM...: under ntm-run, as the user.
ntm_run()
{
	local host=$1
	shift
	lab_as_user "$host" ntm-run "$@"
}

# ntm_start NAME HOST PROGRAM...: the same in the background, see lab_start.
ntm_start()
{
	local name=$1 host=$2
	shift 2
	lab_start "$name" user "$host" ntm-run "$@"
}

# json PATH: a value out of the last JSON line on standard input; PATH like
# totals.tx_packets or peers.0.state; nothing where there is no such value.
json()
{
	/usr/bin/python3 -c '
import json, sys
value = json.loads(sys.stdin.read().strip().splitlines()[-1])
for key in sys.argv[1].split("."):
    try:
        value = value[int(key)] if isinstance(value, list) else value[key]
    except (KeyError, IndexError, TypeError, ValueError):
        sys.exit(0)
print(json.dumps(value) if isinstance(value, (dict, list)) else
      str(value).lower() if isinstance(value, bool) else value)' "$1"
}

# ntm_get HOST PATH: a field of `ntm status --json`, e.g. vip6, totals.rx_packets
ntm_get()
{
	lab_as_user "$1" ntm status --json | json "$2"
}

# ntm_peer HOST FQDN FIELD: a field of one peer in `ntm peers --json`
ntm_peer()
{
	lab_as_user "$1" ntm peers --json | /usr/bin/python3 -c '
import json, sys
for peer in json.loads(sys.stdin.read().strip().splitlines()[-1])["peers"]:
    if peer["fqdn"] == sys.argv[1]:
        print(peer[sys.argv[2]])' "$2" "$3"
}

# ntm_carried HOST OUT IN COMMAND...: run the command, its output going to
# $LAB/out, and prove that meanwhile the broker of HOST carried at least OUT bytes
# of inner packets out and IN bytes in.
ntm_carried()
{
	local host=$1 out=$2 in=$3 tx rx
	shift 3
	tx=$(ntm_get "$host" totals.tx_bytes)
	rx=$(ntm_get "$host" totals.rx_bytes)
	"$@" >"$LAB/out"
	wait_for 3 "[ \$(ntm_get $host totals.tx_bytes) -ge $((tx + out)) ]" \
		"lab_as_user $host ntm status --json"
	wait_for 3 "[ \$(ntm_get $host totals.rx_bytes) -ge $((rx + in)) ]" \
		"lab_as_user $host ntm status --json"
	ok "the broker of $host carried at least $out bytes out, $in in"
}

# is_virtual ADDRESS: of the virtual ranges (IPv6 fd6e::/16, IPv4 198.18/15)?
is_virtual()
{
	[[ $1 =~ ^(::ffff:)?198\.1[89]\. || $1 =~ ^fd6e: ]]
}

# assert_virtual ADDRESS TEXT
assert_virtual()
{
	is_virtual "$1" || not_ok "$2: '$1' is not a virtual address"
	ok "$2 ($1)"
}

# lab_pids HOST PROGRAM: pids of the user's processes of that name on the host
# (all hosts share one process table; the mount namespace tells them apart).
lab_pids()
{
	local mine pid
	mine=$(readlink "/proc/${LAB_HOLDER[$1]}/ns/mnt")
	for pid in $(pgrep -x "${2:0:15}"); do
		[ "$pid" != "${LAB_HOLDER[$1]}" ] || continue
		[ "$(readlink "/proc/$pid/ns/mnt")" != "$mine" ] || echo "$pid"
	done
}

# ntm_worker HOST / ntm_keeper HOST: their pids.
ntm_worker()
{
	lab_pids "$1" ntm-worker | head -n 1
}

ntm_keeper()
{
	lab_pids "$1" ntm-broker | head -n 1
}

# ntm_web_seen NEEDLE: whom ntm_web's log names for that request
ntm_web_seen()
{
	wait_for 2 "grep -qF -- '$1' '$(lab_log web)'"
	grep -F -- "$1" "$(lab_log web)" | tail -n 1 |
		sed 's/ .*//; s/^::ffff://'
}

# ntm_web_source NEEDLE HOST FAMILY: assert that it is that virtual address
ntm_web_source()
{
	assert_eq "$(ntm_web_seen "$1")" "${NTM_VIP[$2.$3]}" \
		"the server's log names the virtual IPv$3 address of $2"
}

# ntm_ssh HOST CLIENT PORT: the user's own sshd on HOST, log `sshd`, and on CLIENT
# the key and the file ssh_config with which it gets in.
ntm_ssh()
{
	local server=$1 client=$2 port=$3 home
	home=$(lab_home "$server")
	lab_as_user "$server" ssh-keygen -q -t ed25519 -N '' -f host_key
	lab_as_user "$client" ssh-keygen -q -t ed25519 -N '' -f user_key
	cat >"$home/sshd_config" <<-END
	Port $port
	HostKey $home/host_key
	AuthorizedKeysFile $home/authorized_keys
	StrictModes no
	PidFile none
	UsePAM no
	PasswordAuthentication no
	Subsystem sftp internal-sftp
	END
	cp "$(lab_home "$client")/user_key.pub" "$home/authorized_keys"
	cat >"$(lab_home "$client")/ssh_config" <<-END
	Port $port
	User user
	IdentityFile $(lab_home "$client")/user_key
	UserKnownHostsFile $(lab_home "$client")/known_hosts
	StrictHostKeyChecking yes
	BatchMode yes
	END
	echo "[${NTM_NAME[$server]}]:$port $(cat "$home/host_key.pub")" \
		>"$(lab_home "$client")/known_hosts"
	lab_give "$home/sshd_config" "$home/authorized_keys" \
		"$(lab_home "$client")"/{ssh_config,known_hosts}
	ntm_start sshd "$server" /usr/sbin/sshd -D -e -f "$home/sshd_config"
	wait_for 5 "ntm_listens $server tcp $port"
}

# ntm_ssh_source: where sshd's last login came from
ntm_ssh_source()
{
	sed -n 's/^Accepted publickey for .* from \(.*\) port .*/\1/p' \
		"$(lab_log sshd)" | tail -n 1
}
