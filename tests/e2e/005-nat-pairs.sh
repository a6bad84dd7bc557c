#!/bin/bash
# SPDX-License-Identifier: MIT
# 005-nat-pairs - two plain sockets meet behind those pairs of NATs that can be
#                 crossed by what is written of them, and behind no others
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/grid.sh"

grid_net
lab_start serve root server "$LAB_SRC/tests/lab/natprobe.py" serve \
	192.0.2.1 2001:db8:a::1
wait_for 5 'grep -q ready "$(lab_log serve)"'
mkdir -m 777 "$LAB/punch"

# punch HOST FAMILY OURS THEIRS: in the background
punch()
{
	local address=192.0.2.1
	[ "$2" = 4 ] || address=2001:db8:a::1
	lab_start "punch-$1" user "$1" "$LAB_SRC/tests/lab/natprobe.py" punch \
		$address $address "$LAB/punch/$3" "$LAB/punch/$4"
}

# pair KIND_A KIND_B FAMILY
pair()
{
	local host wanted
	wanted=$("$LAB_SRC/tests/e2e/natgrid.py" cell "$1" "$3" "$2" "$3")
	case $wanted in
	local)	wanted=direct ;;
	relay)	wanted=none ;;
	esac
	grid_site a "$1"
	grid_site b "$2"
	grid_plug a "$1" "$3"
	grid_plug b "$2" "$3"
	rm -f "$LAB"/punch/*
	punch a "$3" a b
	punch b "$3" b a
	for host in a b; do
		lab_join punch-$host
		assert_eq "$(cat "$(lab_log punch-$host)")" "$wanted" \
			"$1 and $2 by IPv$3 is $wanted, says $host"
	done
}

kinds=(open full addr port symm)
for ((i = 0; i < ${#kinds[@]}; i++)); do
	for ((j = i; j < ${#kinds[@]}; j++)); do
		pair "${kinds[i]}" "${kinds[j]}" 4
	done
done
for kind in port symm dbl same; do
	pair dbl $kind 4
done
pair same same 4
for kind in "${kinds[@]}" dbl; do
	pair port $kind 6
done
pair same same 6
