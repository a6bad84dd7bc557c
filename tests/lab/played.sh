# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# played.sh - a group among nodes of the lab, whose ntm-member is played
#
# After lab.sh and ntm.sh:
#
#	played_group chat ntm.example mac a b c	a founds it; its name is in PLAYED
#	played_say 'remove 2' '2 members'	see playedmember.c
#	played_get a members			of the group in `ntm status`

PLAYED=

played_group()
{
	local name=$1 domain=$2 auth=$3 host words=()
	shift 3
	PLAYED=$name.group.$domain
	mkfifo "$LAB/say"
	lab_give "$LAB/say"
	for host; do
		words+=("${NTM_NAME[$host]}=$(lab_home "$host")/.local/state/ntm/identity.key=$LAB/hosts/$host/run-$LAB_UID/ntm/group.sock")
	done
	lab_start played user "$1" "$LAB_O/tests/e2e/playedmember" "$LAB/say" \
		"$name" "$domain" "$auth" "${words[@]}"
	wait_for 5 "grep -q 'epoch $#, $# members' '$(lab_log played)'"
	for host; do
		wait_for 5 "[ \$(played_get $host members) = $# ]" \
			"lab_as_user $host ntm status"
	done
}

played_say()
{
	echo "$1" >"$LAB/say"
	wait_for 5 "tail -n 1 '$(lab_log played)' | grep -q '$2'"
}

played_get()
{
	ntm_get "$1" "groups.0.$2"
}
