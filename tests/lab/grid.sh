# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# grid.sh - two nodes in networks of every kind, and what comes of each pair
#
# After lab.sh and ntm.sh.  What must come of a pair says tests/e2e/natgrid.py, which
# has never seen one.
#
#	       server 192.0.2.1, 2001:db8:a::1
#	                    |
#	  .------------ router net ------------.
#	  pa                                   pb
#	  198.51.100.0/24, 2001:db8:b::/64     203.0.113.0/24, 2001:db8:c::/64
#	  |                |                   |                |
#	  a, where         router a-KIND       b, where         router b-KIND
#	  it is open       i-a-KIND            it is open       i-b-KIND
#	                   |                                    |
#	                   a 192.168.1.2                        b 192.168.1.3
#
# `dbl` has a router a-cgn before a-dbl; `same` is one router, a-same, for both.
# Private addresses are the same on both sides, as they are at home.

GRID_PATIENCE_S=8	# for a way that must come
GRID_WATCH_S=2		# how long a relayed tunnel must stay one
GRID_SITES=0
GRID_BAD=0		# cells that are not what they must be
GRID_STOP=$LAB/grid.stop
GRID_WIRE=()		# delay and options of the links of server, a and b
declare -A GRID_NET=() GRID_PREFIX=() GRID_ROUTERS=()	# by SIDE-KIND

# grid_net: the networks without NATs, the server and two hosts
grid_net()
{
	lab_router net
	lab_net srv
	lab_net pa
	lab_net pb
	lab_link net srv 192.0.2.254/24 2001:db8:a::fe/64
	lab_link net pa 198.51.100.254/24 2001:db8:b::fe/64
	lab_link net pb 203.0.113.254/24 2001:db8:c::fe/64
	GRID_NET[a-open]=pa GRID_NET[b-open]=pb
	GRID_ROUTERS[a-open]='' GRID_ROUTERS[b-open]=''
	lab_host server
	lab_link server srv 192.0.2.1/24 2001:db8:a::1/64 "${GRID_WIRE[@]}"
	lab_host a
	lab_link a pa 198.51.100.2/24 2001:db8:b::2/64 "${GRID_WIRE[@]}"
	lab_host b
	lab_link b pb 203.0.113.3/24 2001:db8:c::3/64 "${GRID_WIRE[@]}"
}

# grid_lab: the same with NTMobile; both nodes are logged in, and down; b as GRID_B
grid_lab()
{
	local host
	grid_net
	ntm_server server ntm.example
	ntm_account server alice
	[ "${GRID_B-desk.alice}" = desk.alice ] || ntm_account server "${GRID_B#*.}"
	ntm_node a laptop.alice
	ntm_node b "${GRID_B-desk.alice}"
	for host in a b; do
		lab_as_user $host ntm down >"$LAB/log/down-$host"
	done
}

# grid__nat NAME OUTSIDE OUTER4 OUTER6 INSIDE INNER4 KIND: a router between two
# networks; they have the prefixes OUTER4, OUTER6 and INNER4, 2001:db8:GRID_SITES
grid__nat()
{
	GRID_SITES=$((GRID_SITES + 1))
	lab_router "$1"
	lab_uplink "$1" "$2" "$3.1$GRID_SITES/24" "$4::1$GRID_SITES/64"
	lab_net "$5"
	lab_link "$1" "$5" "$6.1/24" "2001:db8:$GRID_SITES::1/64"
	lab_nat "$1" "$2" "$7"
}

# grid_site SIDE KIND: its routers and networks, where they do not stand yet
grid_site()
{
	local side=$1 kind=$2 router=$1-$2 real i first outer4 outer6
	[ -z "${GRID_NET[$router]-}" ] || return 0
	case $kind in
	full)			real=full-cone ;;
	addr)			real=address-restricted ;;
	port | dbl | same)	real=port-restricted ;;
	symm)			real=symmetric ;;
	block)			real=blocked ;;
	*)			not_ok "no such kind: $kind" ;;
	esac
	# Both hosts may be behind this one.
	[ "$kind" != same ] || side=a
	outer4=198.51.100 outer6=2001:db8:b
	[ "$side" = a ] || outer4=203.0.113 outer6=2001:db8:c
	first=$((GRID_SITES + 1))
	if [ "$kind" = dbl ]; then
		grid__nat "$side-cgn" "p$side" $outer4 $outer6 "i-$side-cgn" \
			100.64.0 $real
		grid__nat "$router" "i-$side-cgn" 100.64.0 "2001:db8:$first" \
			"i-$router" 192.168.1 $real
		ip -n "$side-cgn" route add "2001:db8:$GRID_SITES::/64" \
			via "2001:db8:$first::1$GRID_SITES"
		GRID_ROUTERS[$router]="$side-cgn $router"
	else
		grid__nat "$router" "p$side" $outer4 $outer6 "i-$router" \
			192.168.1 $real
		GRID_ROUTERS[$router]=$router
	fi
	for ((i = first; i <= GRID_SITES; i++)); do
		ip -n net route add "2001:db8:$i::/64" via "$outer6::1$first"
	done
	GRID_NET[$router]=i-$router
	GRID_PREFIX[$router]=2001:db8:$GRID_SITES
	if [ "$kind" = same ]; then
		for i in a-same b-same; do
			GRID_NET[$i]=i-$router
			GRID_PREFIX[$i]=2001:db8:$GRID_SITES
			GRID_ROUTERS[$i]=$router
		done
	fi
}

# grid_plug HOST KIND FAMILIES: into its network, whose routers forget all
grid_plug()
{
	local host=$1 kind=$2 families=$3 last=2 a4 a6 router
	[ "$host" = a ] || last=3
	a4=192.168.1.$last/24 a6=${GRID_PREFIX[$1-$2]-}::$last/64
	case $1-$2 in
	a-open)	a4=198.51.100.2/24 a6=2001:db8:b::2/64 ;;
	b-open)	a4=203.0.113.3/24 a6=2001:db8:c::3/64 ;;
	esac
	[[ $families == *4* ]] || a4=-
	[[ $families == *6* ]] || a6=-
	lab_lose "$host"
	lab_gain "$host" "${GRID_NET[$1-$2]}" "$a4" "$a6"
	for router in ${GRID_ROUTERS[$1-$2]}; do
		lab_nat_forget "$router"
	done
}

# The way that a watcher sees now: local, direct, relay, or the peer's state
grid__way()
{
	local peer=b way remote
	[ "$1" = a ] || peer=a
	read -r _ way remote <<<"$(tail -n 1 "$(lab_log "watch-$1")")"
	if [ "$way" = direct ] && [ "${LAB_PORT_NET[a.0]}" = \
		"${LAB_PORT_NET[b.0]}" ]; then
		# Inside, unless the router had to turn it round.
		remote=${remote%:*}
		remote=${remote//[\[\]]/}
		! lab_addresses $peer | grep -qxF -- "$remote" || way=local
	fi
	echo "$way"
}

# grid_settled WANTED: do both sides say so?
grid_settled()
{
	[ "$(grid__way a)" = "$1" ] && [ "$(grid__way b)" = "$1" ]
}

# Until the condition holds or so many seconds are over, which is no failure
grid__until()
{
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000 * LAB_SLOW))
	until eval "$2"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		read -r -t 0.02 -u "$LAB_NEVER" || :
	done
}

# When a watcher first saw that way, in ms after $3
grid__when()
{
	awk -v way="$2" -v start="$3" '$2 == way {
		t = $1 - start; print t < 0 ? 0 : int(t); exit }' \
		"$(lab_log "watch-$1")"
}

# grid__traffic WANTED: a connection from a to b until the way is what it must be
# and, where it must not change, stays so.  Sets GOT.
grid__traffic()
{
	local wanted=$1
	GOT=failed
	grid__until $GRID_PATIENCE_S \
		'[ -s "$(lab_log call)" ] || ! lab_running call' || return 0
	grep -q first= "$(lab_log call)" || return 0
	if [ "$wanted" = relay ]; then
		grid__until $GRID_WATCH_S \
			'grep -q " direct " "$LAB"/log/watch-[ab]' || :
	else
		grid__until $GRID_PATIENCE_S "grid_settled $wanted" || :
	fi
	touch "$GRID_STOP"
	lab_join call || return 0
	GOT=$(grid__way a)
	[ "$GOT" = "$(grid__way b)" ] || GOT="$GOT, b: $(grid__way b)"
}

# grid_meet KIND_A FAMILIES_A KIND_B FAMILIES_B: both hosts there, online and without
# a tunnel, a server on b, and a watcher on each
grid_meet()
{
	local host
	rm -f "$GRID_STOP"
	grid_plug a "$1" "$2"
	grid_plug b "$3" "$4"
	for host in a b; do
		ntm_up $host
	done
	for host in a b; do
		ntm_wait_online $host
	done
	ntm_start serve b "$LAB_SRC/tests/lab/natcell.py" serve 7000
	wait_for 5 'ntm_listens b tcp 7000'
	lab_start watch-a user a "$LAB_SRC/tests/lab/natcell.py" watch \
		"${NTM_NAME[b]}" "$GRID_STOP"
	lab_start watch-b user b "$LAB_SRC/tests/lab/natcell.py" watch \
		"${NTM_NAME[a]}" "$GRID_STOP"
	wait_for 5 '[ -s "$(lab_log watch-a)" ] && [ -s "$(lab_log watch-b)" ]'
}

# grid_part: the end of what grid_meet began
grid_part()
{
	local name host
	touch "$GRID_STOP"
	for name in call serve watch-a watch-b; do
		[ -z "${LAB_PID[$name]-}" ] || lab_stop $name
	done
	for host in a b; do
		lab_as_user $host ntm down >"$LAB/log/down-$host"
	done
}

# grid_cell KIND_A FAMILIES_A KIND_B FAMILIES_B WANTED: a pair that meets anew, from
# a to b; one line says what came of it
grid_cell()
{
	local wanted=$5 start first direct longest
	grid_meet "$1" "$2" "$3" "$4"
	ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call \
		"${NTM_NAME[b]}" 7000 "$GRID_STOP"
	grid__traffic "$wanted"
	start=$(sed -n 's/^start=\([0-9]*\).*/\1/p' "$(lab_log call)")
	first=$(sed -n 's/.*first=\([0-9]*\).*/\1/p' "$(lab_log call)")
	longest=$(sed -n 's/.*longest=//p' "$(lab_log call)")
	direct=$(grid__when a direct "${start:-0}")
	printf '# %-4s %-2s  %-4s %-2s  %-7s %5s ms, %5s ms, %5s ms\n' "$1" "$2" \
		"$3" "$4" "$GOT" "${first:--}" "${direct:--}" "${longest:--}"
	if [ "$GOT" != "$wanted" ]; then
		GRID_BAD=$((GRID_BAD + 1))
		echo "# ^ NOT $wanted"
		grid__diag
	fi
	grid_part
}

grid__diag()
{
	local host
	sed 's/^/#   call: /' "$(lab_log call)" | tail -n 2
	for host in a b; do
		sed "s/^/#   $host: /" "$(lab_log watch-$host)" | tail -n 6
		lab_as_user $host ntm peers --json 2>&1 | sed "s/^/#   $host: /"
	done
}

# grid_cells: those named on standard input, KIND_A FAMILIES_A KIND_B FAMILIES_B in
# a line
grid_cells()
{
	local a fa b fb wanted cells=0 bad=$GRID_BAD
	echo "#                   way      first byte, direct after, longest wait"
	while read -r a fa b fb; do
		wanted=$("$LAB_SRC/tests/e2e/natgrid.py" cell "$a" "$fa" "$b" "$fb")
		grid_site a "$a"
		grid_site b "$b"
		cells=$((cells + 1))
		grid_cell "$a" "$fa" "$b" "$fb" "$wanted" </dev/null
	done
	bad=$((GRID_BAD - bad))
	assert_eq $bad 0 "of $cells pairs come out otherwise than derived"
}

# grid_row KIND [FAMILIES]: that kind with every other
grid_row()
{
	local cells
	cells=$("$LAB_SRC/tests/e2e/natgrid.py" row "$1" |
		awk -v f="${2-}" 'f == "" || f == $2 { print $1, $2, $3, $4 }')
	grid_cells <<<"$cells"
}
