#!/bin/bash
# SPDX-License-Identifier: MIT
# 254-restored-back - a server is restored from a backup: its DC knows no session any more.
# Nodes that were logged in come back by themselves, tunnels and their connections live on
# meanwhile, and items go to and fro again
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

# a keep-alive, its repetitions, silence of 20 s, the next registration, the login
BACK_MS=60000
items_pair dc.keepalive=5 dc.keepalive_max=5
# online N: so many are, as the DC says
online()
{
	[ "$(server_status server roles.dc.online)" = "$1" ]
}
wait_for 20 'online 2' 'lab_as_user server ntm-server status'
ntm_slow_web b 8000 1m
head -c 300M /dev/zero >"$LAB/www/zeros"
ntm_start download a curl -sS -o "$(lab_home a)/zeros" "http://$B:8000/zeros"
wait_for 10 '[ -s "$(lab_home a)/zeros" ]' 'cat "$(lab_log download)"'

lab_as_user server ntm-server backup "$(lab_home server)/backup" >"$LAB/out"
lab_stop server-server
lab_as_user server ntm-server restore --force "$(lab_home server)/backup" >"$LAB/out"
ntm_server_start server
begun=$(lab_now)
had=$(stat -c %s "$(lab_home a)/zeros")
online 0 || not_ok "the restored DC knows nobody, if this is to show anything"
wait_for $((BACK_MS / 1000)) 'online 2' \
	"lab_as_user server ntm-server status; tail -n 20 $(state_dir a)/broker.log"
assert_between "$(lab_ms_since "$begun")" 0 $((BACK_MS * LAB_SLOW)) \
	"both nodes are back, nobody has done anything: ms"
wait_for 5 "[ \$(stat -c %s $(lab_home a)/zeros) -gt $((had + (10 << 20))) ]"
lab_running download
ok "a download through their tunnel has gone on"
for h in a b; do
	ntm_wait_online $h
done
items_text b "$A" "after it"
items_here a 1
items_receive a
assert_eq "$(cat "$LAB/received")" "after it" "what is sent then arrives"
