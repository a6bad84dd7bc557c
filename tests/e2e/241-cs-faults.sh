#!/bin/bash
# SPDX-License-Identifier: MIT
# 241-cs-faults - a Cache Server that is killed while data comes, slow clients, 10,000
# connections that say nothing, a disk that becomes full: nothing acknowledged is lost, and
# others are served
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

MANY=10000
ntm_installed
ntm_star server a
ntm_account server alice
server_set server cs.source_connections=20000 cs.connections=20000
wait_for 5 'lab_listens server tcp 4507'
ntm_node a laptop.alice
session=$(state_dir a)/session
dir=$(server_dir server)

AT=a
exchange()
{
	lab_as_user $AT /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" "$1" \
		"$session" "$dir" 10.1.0.2 "${@:2}"
}
cs_is_up()
{
	[ "$(server_status server roles.cs.as_link)" = true ]
}
wait_for 10 cs_is_up 'lab_as_user server ntm-server status'

# --- killed, again and again, while data comes
dd if=/dev/urandom of="$LAB/big" bs=1M count=200 2>"$LAB/out"
chmod a+r "$LAB/big"
lab_start upload user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" upload \
	"$session" "$dir" 10.1.0.2 big "$LAB/big"
up=$dir/cs/up
for at in 10 60 110; do
	wait_for 30 "[ \$(du -sm '$up' | cut -f 1) -ge $at ]" "ls -l '$up'"
	kill -KILL "$(server_role server cs)"
	wait_for 10 cs_is_up 'lab_as_user server ntm-server status'
done
lab_join upload
assert_contains "$(cat "$(lab_log upload)")" "big is complete" "it becomes complete"
echo "# $(cat "$(lab_log upload)")"
exchange download big "$LAB/big"
assert_between "$(du -sm "$dir/cs/blob" "$up" | awk '{ n += $1 } END { print n }')" \
	200 203 "MiB on the disk, of 200: no byte is there twice"

# --- slow ones
exchange loris

# --- many
role_bears cs "$session" $MANY

# --- full
server_disk cs 130m
wait_for 10 cs_is_up 'lab_as_user server ntm-server status'
cp "$session" "$LAB/session"
lab_give "$LAB/session"
session=$LAB/session AT=server # where the small disk can be seen
dd if=/dev/urandom of="$LAB/part" bs=1M count=30 2>"$LAB/out"
chmod a+r "$LAB/part"
exchange full "$LAB/part" begin
lab_as_user server dd if=/dev/zero of="$dir/cs/filler" bs=64k 2>"$LAB/out" || :
exchange full "$LAB/part" full
lab_as_user server rm "$dir/cs/filler"
exchange full "$LAB/part" go
exchange download full "$LAB/part"
