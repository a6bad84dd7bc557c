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
worker=$(server_role server box)
before=$(descriptors "$worker") memory=$(anon "$worker")
mkfifo "$LAB/hold"
lab_start many root a sh -c "/usr/bin/python3 '$LAB_SRC/tests/e2e/exchange.py' many \
	'$(state_dir a)/session' '$(server_dir server)' 10.1.0.2 $MANY box 10.2.0. <'$LAB/hold'"
exec {HOLD}>"$LAB/hold"
wait_for 60 'grep -q ^ok "$(lab_log many)"' 'cat "$(lab_log many)"'
echo "# $(cat "$(lab_log many)")"
held=$(sed -n 's/^held //p' "$(lab_log many)")
assert_between "$held" 1000 $MANY "connections that stand at the end"
assert_between "$(anon "$worker")" 0 $((memory + 700000)) \
	"memory of the box, KiB (before: $memory)"
exec {HOLD}>&-
lab_join many
wait_for 30 "[ \$(descriptors $worker) -le $((before + 16)) ]" "ls /proc/$worker/fd | wc -l"
ok "all is given back"
assert_eq "$(server_role server box)" "$worker" "it has not died"
