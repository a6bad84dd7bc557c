# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# moves.sh - two nodes between networks of every kind, and how long nothing arrives
#
# After lab.sh, ntm.sh and grid.sh. Beacons go both ways every 10 ms, and beside them
# a TCP stream whose every byte is checked.
#
#	moves_lab			the hosts server, a and b, 20 ms between any two
#	moves_run CASE N [LEAST]	N moves; what arrived is in $LAB/CASE.{moves,a,b}
#
# A case is a function moves__CASE N that makes the N-th move, a number from 1. It sets
# LOST and LAB_MOVED (microseconds): the service was lost, and could have been there
# again; and WANT_WAY, WANT_AT: how b must come to send in the end, and where to. Its
# row in MOVES says where both begin.
#
#	o1, o2	open networks of that side		addresses 198.51.100, 192.88.100
#	n1, n2	behind a port-restricted NAT, behind an address-restricted one
#	sy	behind a symmetric one

MOVES_TOOLS=$LAB_O/tests/bench
MOVES_OUT=$LAB/out		# the ordinary user may write there
MOVES_BROKEN=0			# TCP streams that did not arrive whole
MOVES_PATIENCE_S=30
declare -A MOVES=(
	# case		a begins	b is		way at first
	[v4-v4]="	o1 4		o1 4		direct"
	[v4-v6]="	o1 4		o1 4		direct"
	[dual]="	o1 4		o1 46		direct"
	[open-nat]="	o1 4		o1 4		direct"
	[nat-nat]="	n1 4		n1 4		direct"
	[make-first]="	o1 4		o1 4		direct"
	[break-500]="	o1 4		o1 4		direct"
	[both]="	o1 4		o1 4		direct"
	[both-nat]="	n1 4		n1 4		direct"
	[nat-lost]="	n1 4		n1 4		direct"
	[relay-killed]="sy 4		sy 4		relay"
	[dc-killed]="	n1 4		n1 4		direct"
	[sleep-60]="	n1 4		n1 4		direct"
)
declare -A MOVES_NET=() MOVES_IN4=() MOVES_IN6=() MOVES_OUT4=() MOVES_OUT6=()

# moves_lab: grid.sh's, two networks more, NATs for both
moves_lab()
{
	local side
	mkdir -p "$MOVES_OUT"
	lab_give "$MOVES_OUT"
	GRID_WIRE=(5)
	grid_lab
	lab_net pc
	lab_net pd
	lab_link net pc 192.88.100.254/24 2001:db8:d::fe/64
	lab_link net pd 100.70.0.254/24 2001:db8:e::fe/64
	moves__place a o1 pa 198.51.100 2001:db8:b:
	moves__place a o2 pc 192.88.100 2001:db8:d:
	moves__place b o1 pb 203.0.113 2001:db8:c:
	moves__place b o2 pd 100.70.0 2001:db8:e:
	for side in a b; do
		moves__nat $side n1 port
		moves__nat $side n2 addr
		moves__nat $side sy symm
	done
	# of a, beside the one it has
	lab_link a pc - - "${GRID_WIRE[@]}"
}

# moves__place SIDE WHERE NET IN4 IN6 [OUT4 OUT6]: its prefixes, inside and as the
# world sees them
moves__place()
{
	MOVES_NET[$1-$2]=$3
	MOVES_IN4[$1-$2]=$4 MOVES_IN6[$1-$2]=$5
	MOVES_OUT4[$1-$2]=${6-$4} MOVES_OUT6[$1-$2]=${7-$5}
}

moves__nat()
{
	local outer
	grid_site "$1" "$3"
	outer=$(ip -n "$1-$3" -br -4 addr show dev "$(lab_dev "$1-$3" "p$1")" |
		sed 's/.* \([0-9.]*\)\/.*/\1/')
	moves__place "$1" "$2" "${GRID_NET[$1-$3]}" 192.168.1 \
		"${GRID_PREFIX[$1-$3]}:" "$outer" "${GRID_PREFIX[$1-$3]}:"
}

# moves__gain SIDE WHERE FAMILIES N [LINK]: the N-th time that it comes there. Sets
# WANT_AT to what the world sees of it.
moves__gain()
{
	local side=$1 at=$1-$2 families=$3 host=$(($4 % 200 + 30)) a4=- a6=-
	[[ $families != *4* ]] || a4=${MOVES_IN4[$at]}.$host/24
	[[ $families != *6* ]] || a6=${MOVES_IN6[$at]}:$host/64
	lab_gain "$side" "${MOVES_NET[$at]}" "$a4" "$a6" "${5:-0}"
	WANT_AT=${MOVES_OUT4[$at]}
	[ "$WANT_AT" != "${MOVES_IN4[$at]}" ] || WANT_AT+=.$host
	[[ $families == *4* ]] || WANT_AT="[${MOVES_IN6[$at]}:$host]"
}

# moves__to SIDE WHERE FAMILIES N: it is here no more, and at once there
moves__to()
{
	LOST=$(lab_now)
	lab_lose "$1"
	moves__gain "$@"
}

# --- the cases ---------------------------------------------------------------------

# odd, even: where the N-th move leads
moves__turn()
{
	echo $(($1 % 2 + 1))
}

moves__v4-v4()
{
	moves__to a o"$(moves__turn "$1")" 4 "$1"
}

# The other node has IPv4 alone, as in the papers: all goes by the relay meanwhile.
moves__v4-v6()
{
	WANT_WAY=direct KIND=v6-v4
	if [ $(($1 % 2)) = 1 ]; then
		WANT_WAY=relay KIND=v4-v6
		moves__to a o2 6 "$1"
		WANT_AT=
	else
		moves__to a o1 4 "$1"
	fi
}

# The other node has both.
moves__dual()
{
	if [ $(($1 % 2)) = 1 ]; then
		moves__to a o2 6 "$1"
	else
		moves__to a o1 4 "$1"
	fi
}

moves__open-nat()
{
	if [ $(($1 % 2)) = 1 ]; then
		moves__to a n1 4 "$1"
	else
		KIND=nat-open
		moves__to a o1 4 "$1"
	fi
}

moves__nat-nat()
{
	moves__to a n"$(moves__turn "$1")" 4 "$1"
}

# A second link comes up, then the first one goes; the route follows at either.
moves__make-first()
{
	local new=$(($1 % 2)) old=$((1 - $1 % 2))
	LOST=$(lab_now)
	moves__gain a o$((new + 1)) 4 "$1" $new
	read -r -t 0.1 -u "$LAB_NEVER" || :
	lab_lose a $old
	LAB_MOVED=$LOST
}

moves__break-500()
{
	LOST=$(lab_now)
	lab_lose a
	read -r -t 0.5 -u "$LAB_NEVER" || :
	moves__gain a o"$(moves__turn "$1")" 4 "$1"
}

moves__both()
{
	LOST=$(lab_now)
	lab_lose a
	lab_lose b
	moves__gain b o"$(moves__turn "$1")" 4 "$1"
	moves__gain a o"$(moves__turn "$1")" 4 "$1"
}

moves__both-nat()
{
	LOST=$(lab_now)
	lab_lose a
	lab_lose b
	moves__gain b n"$(moves__turn "$1")" 4 "$1"
	moves__gain a n"$(moves__turn "$1")" 4 "$1"
}

# Every time a tunnel of its own: a way that failed just now is not taken again at once.
moves__nat-lost()
{
	WANT_AT=
	LOST=$(lab_now)
	LAB_MOVED=$LOST
	lab_nat_forget b-port
}

# Two relays on machines of their own; the one in use dies, and comes back later.
moves__relay-killed()
{
	local used other
	used=$(moves__relay)
	other=$((3 - used))
	WANT_WAY=relay WANT_AT=192.0.2.1$other:
	LOST=$(lab_now)
	LAB_MOVED=$LOST
	lab_stop relay$used KILL
}

moves__dc-killed()
{
	kill -KILL "$(sed -n 's/.*\<dc: started, process \([0-9]*\).*/\1/p' \
		"$(lab_log server-server)" | tail -n 1)"
	moves__nat-nat "$1"
}

# All of a stands still for a minute, as a machine does that sleeps.
moves__sleep-60()
{
	local pids program
	WANT_AT=
	pids=$(for program in ntm-broker ntm-worker ntm-inside beacon stream; do
		lab_pids a $program
	done)
	kill -STOP $pids
	read -r -t 60 -u "$LAB_NEVER" || :
	LOST=$(lab_now)
	LAB_MOVED=$LOST
	kill -CONT $pids
}

# --- relays ------------------------------------------------------------------------

# moves__relays: relay1 and relay2; the server's own takes no paths
moves__relays()
{
	local n file
	if [ -z "${LAB_HOLDER[r1]-}" ]; then
		for n in 1 2; do
			file=$(lab_home server)/enrolled$n
			lab_as_user server ntm-server relay enrol "$file"
			lab_host r$n
			lab_link r$n srv 192.0.2.1$n/24 2001:db8:a::1$n/64 \
				"${GRID_WIRE[@]}"
			lab_as_user r$n ntm-server init --relay "$file" \
				--listen 192.0.2.1$n --listen 2001:db8:a::1$n
		done
	fi >"$LAB/log/relays" 2>&1
	lab_as_user server ntm-server relay drain >"$LAB/log/drain"
	moves__relay_up 1
	moves__relay_up 2
}

moves__relay_up()
{
	lab_start relay$1 user r$1 ntm-server run
	wait_for 10 "[ \"\$(lab_as_user r$1 ntm-server status --json | tr -d '\n' |
		json roles.rs.links_up)\" = 1 ]"
}

# Which of them b uses: 1 or 2
moves__relay()
{
	tail -n 1 "$(lab_log watch-b)" | sed -n 's/.* 192\.0\.2\.1\([12]\):.*/\1/p'
}

# --- a case as a whole ----------------------------------------------------------------

# moves__meet CASE: both are where it begins, and speak
moves__meet()
{
	local at_a f_a at_b f_b way host
	read -r at_a f_a at_b f_b way <<<"${MOVES[$1]}"
	rm -f "$GRID_STOP"
	lab_lose a 1
	for host in a b; do
		lab_lose $host
	done
	moves__gain a "$at_a" "$f_a" 0
	moves__gain b "$at_b" "$f_b" 0
	for host in a-port b-port a-addr b-addr a-symm b-symm; do
		lab_nat_forget $host
	done
	[ "$1" != relay-killed ] || [ -n "${LAB_PID[relay1]-}" ] || moves__relays
	for host in a b; do
		ntm_up $host
	done
	for host in a b; do
		ntm_wait_online $host
	done
	ntm_start serve b --listen=virtual "$MOVES_TOOLS/beacon" serve 7003 \
		"$MOVES_OUT/b"
	ntm_start sink b --listen=virtual "$MOVES_TOOLS/stream" sink 7004 \
		"$MOVES_OUT/sink"
	wait_for 5 'ntm_inside b ss -Hlnu sport = :7003 | grep -q . &&
		ntm_inside b ss -Hlnt sport = :7004 | grep -q .'
	for host in a:b b:a; do
		lab_start watch-${host%:*} user ${host%:*} \
			"$LAB_SRC/tests/lab/natcell.py" watch \
			"${NTM_NAME[${host#*:}]}" "$GRID_STOP"
	done
	wait_for 5 '[ -s "$(lab_log watch-a)" ] && [ -s "$(lab_log watch-b)" ]'
	ntm_start send a "$MOVES_TOOLS/beacon" send "${NTM_NAME[b]}" 7003 \
		"$MOVES_OUT/a"
	wait_for 10 "[ -s '$MOVES_OUT/a' ]"
	ntm_start source a "$MOVES_TOOLS/stream" source "${NTM_NAME[b]}" 7004 100
	WANT_WAY=$way WANT_AT=
	moves__settle
}

# moves__settle: beacons arrive at both, and b sends where it must
moves__settle()
{
	local a b
	wait_for $MOVES_PATIENCE_S moves__as_wanted \
		'tail -n 5 "$LAB"/log/watch-*'
	a=$(wc -l <"$MOVES_OUT/a") b=$(wc -l <"$MOVES_OUT/b")
	wait_for 10 "[ \$(wc -l <'$MOVES_OUT/a') -gt $((a + 60)) ] &&
		[ \$(wc -l <'$MOVES_OUT/b') -gt $((b + 60)) ]"
}

moves__as_wanted()
{
	local way remote
	read -r _ way remote <<<"$(tail -n 1 "$(lab_log watch-b)")"
	[ "$way" = "$WANT_WAY" ] && [[ $remote == "$WANT_AT"* ]] &&
		read -r _ way remote <<<"$(tail -n 1 "$(lab_log watch-a)")" &&
		[ "$way" = "$WANT_WAY" ]
}

# moves__part CASE: what was measured is kept; the stream must be whole
moves__part()
{
	local host whole
	lab_stop source TERM
	lab_join sink || :
	whole=$(tail -n 1 "$(lab_log sink)")
	if [[ $whole != complete\ * ]]; then
		MOVES_BROKEN=$((MOVES_BROKEN + 1))
		echo "# $1: the TCP stream broke: $(cat "$(lab_log sink)" \
			"$(lab_log source)" | xargs)"
	fi
	lab_stop send TERM
	lab_stop serve TERM
	for host in a b; do
		cat "$MOVES_OUT/$host" >>"$LAB/$1.$host"
	done
	touch "$GRID_STOP"
	lab_join watch-a
	lab_join watch-b
	for host in a b; do
		lab_as_user $host ntm down >"$LAB/log/down-$host"
	done
}

# moves_run CASE N
moves_run()
{
	local case=$1 n fresh=
	[ "$case" != nat-lost ] || fresh=1
	rm -f "$LAB/$case".{moves,a,b}
	for ((n = 1; n <= $2; n++)); do
		# A DC that dies often starts again ever later: another server, then.
		if [ "$case" = dc-killed ] && [ $n != 1 ] && [ $((n % 6)) = 1 ]; then
			moves__part "$case"
			lab_stop server-server
			ntm_server_start server
			moves__meet "$case"
		fi
		[ $n != 1 ] && [ -z "$fresh" ] || moves__meet "$case"
		WANT_WAY=direct KIND=$case
		moves__$case $n
		echo "$LOST $LAB_MOVED $KIND" >>"$LAB/$case.moves"
		moves__settle
		case $case in
		relay-killed)	moves__relay_up $((3 - $(moves__relay))) ;;
		dc-killed)	ntm_wait_online a; ntm_wait_online b ;;
		esac
		[ -z "$fresh" ] || moves__part "$case"
	done
	[ -n "$fresh" ] || moves__part "$case"
	[ -z "${LAB_PID[relay1]-}" ] || moves__relays_end
}

moves__relays_end()
{
	lab_stop relay1
	lab_stop relay2
	lab_as_user server ntm-server relay undrain >"$LAB/log/drain"
}

# moves_kinds CASE: which kinds of move were in it
moves_kinds()
{
	awk '{ print $3 }' "$LAB/$1.moves" | sort -u
}

# moves_value CASE KIND NAME: of gaps, e.g. service_p99_ms
moves_value()
{
	"$LAB_SRC/tests/bench/gaps" --kind "$2" "$LAB/$1.moves" "$LAB/$1.a" \
		"$LAB/$1.b" | json "$3"
}
