#!/bin/bash
# SPDX-License-Identifier: MIT
# 155-netcheck - netcheck, status and peers say what the network is, and why a path is relayed
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

GRID_WIRE=(5)
ntm_installed
grid_lab

# says HOST COMMAND TEXT: once it does
says()
{
	wait_for 10 "lab_as_user $1 ntm $2 | grep -F '$3'" \
		"lab_as_user $1 ntm $2"
	ok "$1: ntm $2 says: $3"
}

grid_site a symm
grid_site b symm
grid_meet symm 4 symm 4
lab_as_user a ntm ping -c 1 "${NTM_NAME[b]}"
says a netcheck "maps by destination"
says a netcheck "Relay 192.0.2.1:"
says a netcheck "${NTM_NAME[b]} is reached through relay 192.0.2.1:"
says a status "both NATs map by destination"
says a peers "relayed"
assert_eq "$(lab_as_user a ntm netcheck --json | json udp4.mapping)" dependent \
	"the mapping"
grid_part

grid_site a full
grid_site b full
grid_meet full 4 full 4
says a netcheck "maps alike for every destination"
says a netcheck "answers from other ports come in"
assert_eq "$(lab_as_user a ntm status --json | json mapping)" independent \
	"the mapping in status"
grid_part
