#!/bin/bash
# SPDX-License-Identifier: MIT
# 142-rekey - after two minutes new keys come; streams and datagrams do not notice
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 400k
head -c 80000000 /dev/zero >"$LAB/www/big"
ntm_start echo b "$LAB_SRC/tests/lab/peername.py" udp :: 7000
wait_for 5 'ntm_listens b udp 7000'

# Fifty datagrams a second, each awaited; the wire loses none.
cat >"$LAB/ask.py" <<'END'
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect(socket.getaddrinfo(sys.argv[1], 7000, socket.AF_INET6)[0][4])
s.settimeout(1)
asked = lost = 0
while True:
    asked += 1
    s.send(b"?")
    try:
        s.recv(100)
    except socket.timeout:
        lost += 1
    print(asked, lost, flush=True)
    time.sleep(0.02)
END
ntm_start ask a /usr/bin/python3 "$LAB/ask.py" "$B"
ntm_start get a curl -sS -o got "http://$B:8000/big"
wait_for 5 "[ -s '$(lab_home a)/got' ] && [ -s '$(lab_log ask)' ]"

# age HOST: of its key, in seconds
age()
{
	local peer=$B
	[ "$1" = a ] || peer=$A
	ntm_peer "$1" "$peer" rekeyed_s | sed 's/\..*//'
}
for host in a b; do
	wait_for 150 "[ \$(age $host) -gt 100 ]" "lab_as_user $host ntm peers"
done
for host in a b; do
	wait_for 60 "[ \$(age $host) -lt 60 ]" "lab_as_user $host ntm peers"
	ok "$host has a new key"
done
size=$(stat -c %s "$(lab_home a)/got")
asked=$(tail -n 1 "$(lab_log ask)" | cut -d ' ' -f 1)
wait_for 5 "[ \$(stat -c %s '$(lab_home a)/got') -gt $((size + 800000)) ]"
wait_for 5 "[ \$(tail -n 1 '$(lab_log ask)' | cut -d ' ' -f 1) -gt \
$((asked + 50)) ]"
ok "under which data flows"
assert_between "$asked" 2000 10000 "datagrams asked meanwhile"
assert_eq "$(tail -n 1 "$(lab_log ask)" | cut -d ' ' -f 2)" 0 "and lost"
for host in a b; do
	assert_eq "$(ntm_get $host totals.bad_auth)" 0 "$host: nothing unopened"
done
