#!/bin/bash
# SPDX-License-Identifier: MIT
# 225-exit-refused - who may not use the exit, what it does not reach, and its limits
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab sockets=8
exit_nginx
head -c 3000000 /dev/urandom >"$LAB/www/file"
got=$(lab_home a)/got
get()
{
	exit_run curl -sS -m 20 -o "$got" "http://$1/file"
}

get $EXIT_GENERAL4
ok "alice, who may and wants to, reaches a general host"

# Addresses that are none of a node's business, at once and without a doubt
for host in $EXIT_RELAY4:4501 10.1.0.1 168.63.129.16 $EXIT_GENERAL4:25 \
	"[$EXIT_RELAY6]:4501" "[2001:db8:1::1]" "[64:ff9b::a01:2]" \
	"[64:ff9b::a9fe:a9fe]" "[2002:a01:2::1]" "[::ffff:10.1.0.2]:4501" \
	"[fd00::1]"; do
	start=$(lab_now)
	refused "the exit does not reach $host" "ailed to connect" get "$host"
	assert_between "$(lab_ms_since "$start")" 0 $((3000 * LAB_SLOW)) \
		"and says so at once: ms"
done
assert_between "$(exit_status forbidden)" 11 100 "attempts that it counted"

# As many connections at once as a node may have, and not one more
exit_run python3 - $EXIT_GENERAL4 >"$LAB/many" <<-'END'
	import socket, sys
	held, refused = [], 0
	for i in range(20):
	    s = socket.socket()
	    s.settimeout(5)
	    try:
	        s.connect((sys.argv[1], 80))
	        held.append(s)
	    except OSError as e:
	        refused += 1
	print(len(held), refused)
END
read -r held denied <<<"$(cat "$LAB/many")"
assert_between "$held" 4 8 "connections held at once, of 20 with exit.sockets = 8"
assert_eq $((held + denied)) 20 "and the others were refused"
assert_between "$(exit_status over_limit)" 1 100 "as the exit counted"
wait_for 20 '[ "$(exit_status sockets)" = 0 ]'
get $EXIT_GENERAL4
ok "afterwards there is room again"

# The person does not want it
lab_as_user a ntm exit off >/dev/null
refused "off by the person" "not enabled on this device; run \`ntm exit on\`" \
	get $EXIT_GENERAL4
lab_as_user a ntm-run --exit=auto curl -sS -m 20 -o "$got" \
	"http://$EXIT_GENERAL4/file" 2>"$LAB/said"
assert_contains "$(cat "$LAB/said")" "reaches other hosts directly" \
	"auto says so and goes directly"
lab_as_user a ntm exit on >/dev/null
get $EXIT_GENERAL4
ok "and on again"

# The administrator takes it back while it is used
sed -i "s|limit_rate 0|limit_rate 100k|" "$(lab_home general)/nginx.conf"
lab_stop nginx
lab_start nginx user general nginx -e stderr -c "$(lab_home general)/nginx.conf"
wait_for 5 "lab_listens general tcp 80"
lab_start get user a ntm-run --exit=relay curl -sS -m 60 -o got \
	"http://$EXIT_GENERAL4/file"
wait_for 10 '[ "$(stat -c %s "$got")" -gt 100000 ] &&
	[ "$(stat -c %s "$got")" -lt 2000000 ]'
start=$(lab_now)
lab_as_user server ntm-server account exit alice off
wait_for 6 '! lab_as_user a ntm status | grep -q "exit.*direct"' \
	'lab_as_user a ntm status'
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"the tunnel has ended: ms"
refused "taken back by the administrator" "alice may not use the domain's exit" \
	get $EXIT_GENERAL4
assert_lacks "$(lab_as_user server ntm-server account list | grep ^alice)" "exit" \
	"the list of accounts says so"
lab_stop get

# No exit at all
lab_as_user server ntm-server account exit alice on
server_set server "roles=as, dc, rs"
ntm_wait_online a 30
refused "no exit" "no exit that is online" get $EXIT_GENERAL4
