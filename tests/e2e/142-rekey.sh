#!/bin/bash
# SPDX-License-Identifier: MIT
# 142-rekey - after two minutes new keys come; streams and datagrams do not notice
# waits
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 400k
head -c 80000000 /dev/zero >"$LAB/www/big"
cat >"$LAB/echo.py" <<'END'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7000))
while True:
    s.sendto(*s.recvfrom(100))
END
ntm_start echo b /usr/bin/python3 "$LAB/echo.py"
wait_for 5 'ntm_listens b udp 7000'

# Fifty numbered datagrams a second; the wire loses none, so every answer comes.
# Each line: sent; not answered after 2 s; the longest time that one took.
cat >"$LAB/ask.py" <<'END'
import select, socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect(socket.getaddrinfo(sys.argv[1], 7000, socket.AF_INET6)[0][4])
sent, answered, longest = {}, set(), (0, 0)
while True:
    number = len(sent)
    sent[number] = time.monotonic()
    s.send(b"%d" % number)
    end = sent[number] + 0.02
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        got = int(s.recv(100))
        answered.add(got)
        longest = max(longest, (time.monotonic() - sent[got],
                                sent[got] - sent[0]))
    if number % 10 == 0:
        print(len(sent), len(set(range(number - 100)) - answered),
              "%d ms at %d s" % (longest[0] * 1000, longest[1]), flush=True)
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
	# Asked once a second: the machine has other things to do.
	wait_for 150 "read -r -t 1 -u $LAB_NEVER || [ \$(age $host) -gt 100 ]" \
		"lab_as_user $host ntm peers"
done
for host in a b; do
	wait_for 60 "read -r -t 1 -u $LAB_NEVER || [ \$(age $host) -lt 60 ]" \
		"lab_as_user $host ntm peers"
	ok "$host has a new key"
done
size=$(stat -c %s "$(lab_home a)/got")
wait_for 5 "[ \$(stat -c %s '$(lab_home a)/got') -gt $((size + 800000)) ]"
ok "the stream flows on"
# Until those of the moment of the change are 2 s old, too.
sent=$(tail -n 1 "$(lab_log ask)" | cut -d ' ' -f 1)
wait_for 10 "[ \$(tail -n 1 '$(lab_log ask)' | cut -d ' ' -f 1) -gt \
$((sent + 130)) ]"
read -r sent lost longest <<<"$(tail -n 1 "$(lab_log ask)")"
assert_between "$sent" 2000 10000 "datagrams sent"
assert_eq "$lost" 0 "and all of them answered, within $longest"
for host in a b; do
	assert_eq "$(ntm_get $host totals.bad_auth)" 0 "$host: nothing unopened"
done
