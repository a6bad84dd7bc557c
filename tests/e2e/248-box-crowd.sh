#!/bin/bash
# SPDX-License-Identifier: MIT
# 248-box-crowd - the box with 10,000 connections that say nothing: an honest client is
# served, and all of it is given back
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

MANY=10000
ntm_installed
ntm_star server a
ntm_account server alice
ntm_node a laptop.alice
wait_for 10 '[ "$(server_status server roles.box.as_link)" = true ]' \
	'lab_as_user server ntm-server status'
# No address may have more than 256: a crowd has many.
for ((i = 0; i < MANY / 250; i++)); do
	lab_root a ip address add 10.2.0.$((10 + i))/24 dev "$(lab_root a ip -o -4 route \
		show default | awk '{ print $5 }')"
done
role_bears box "$(state_dir a)/session" $MANY box 10.2.0.
