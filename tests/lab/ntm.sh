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
declare -A NTM_JOIN=()		# domain -> join string
declare -A NTM_NAME=()		# host -> FQDN

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
# The host called `server` gets the domain of NTM_DOMAIN.
ntm_star()
{
	local host i=0
	lab_router net
	lab_net other
	lab_link net other 10.200.0.1/24 2001:db8:200::1/64
	for host; do
		i=$((i + 1))
		lab_net "n$i"
		lab_link net "n$i" 10.$i.0.1/24 2001:db8:$i::1/64
		lab_host "$host"
		lab_link "$host" "n$i" 10.$i.0.2/24 2001:db8:$i::2/64 5
		[ "$host" != server ] || ntm_server server $NTM_DOMAIN
	done
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

# ntm_counted HOST COMMAND...: run the command, then prove that at least one more
# packet went through the broker of HOST each way meanwhile.
ntm_counted()
{
	local host=$1 tx rx
	shift
	tx=$(ntm_get "$host" totals.tx_packets)
	rx=$(ntm_get "$host" totals.rx_packets)
	"$@"
	wait_for 3 "[ \$(ntm_get $host totals.tx_packets) -gt $tx ]"
	wait_for 3 "[ \$(ntm_get $host totals.rx_packets) -gt $rx ]"
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
