#!/bin/bash
# SPDX-License-Identifier: MIT
# 143-udp-thief - another user who takes the port of a UDP server on loopback gets no
# datagram of its peers, neither of all nor of one
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

lab_have_other_user || lab_skip "there is no second uid here"
ntm_pair
# With SO_REUSEADDR on both sockets Linux lets anybody have 127.0.0.1:7000.
ntm_start server b "$LAB_SRC/tests/lab/peername.py" udp 0.0.0.0 7000 reuse
wait_for 5 'ntm_listens b udp 7000'
ntm_ask a udp 4 "$B" 7000 >"$LAB/out"
ok "the server answers"

# The same client again and again, always from one port, so that it is one flow.
cat >"$LAB/client.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5555))
s.connect(socket.getaddrinfo(sys.argv[1], 7000, socket.AF_INET)[0][4])
s.settimeout(0.5)
for _ in range(6):
    s.send(b"secret")
    try:
        print(s.recv(100).decode(), flush=True)
        break
    except OSError:
        pass
END
client()
{
	ntm_run a /usr/bin/python3 "$LAB/client.py" "$B"
}
assert_eq "$(client)" "${NTM_VIP[a.4]} 5555" "the client's flow is there"

# The broker's end of the flows is a socket on the wildcard; the thief sees its port
# among others in /proc/net/udp, guesses the alias, and connects to it or not.
cat >"$LAB/thief.py" <<'END'
import socket, sys
alias = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 7000))
all = [s]
with open("/proc/net/udp") as f:
    rows = [line.split() for line in f][1:]
ports = [int(r[1].split(":")[1], 16) for r in rows
         if r[1].startswith("00000000:") and not r[1].endswith(":1B58")]
for a in alias:
    for port in ports:
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        c.bind(("127.0.0.1", 7000))
        c.connect((a, port))
        all.append(c)
if alias:
    s.close()
    all.remove(s)
print("ready", len(all), flush=True)
import select
while True:
    for c in select.select(all, [], [])[0]:
        print("stolen", c.recv(100), flush=True)
END

# Flows have their numbers one after the other; these are the first.
aliases=()
for ((number = 65536 - 61000; number < 65536 - 61000 + 8; number++)); do
	aliases+=("127.80.$((number >> 8)).$((number & 255))")
done
# theft TEXT ALIAS...
theft()
{
	local text=$1
	shift
	lab_start thief other b /usr/bin/python3 "$LAB/thief.py" "$@"
	wait_for 5 "grep -q 'ready [1-9]' '$(lab_log thief)'"
	client >"$LAB/out"
	assert_lacks "$(cat "$(lab_log thief)")" stolen "$text: nothing is stolen"
	assert_eq "$(cat "$LAB/out")" "" "and the datagram was held back"
	lab_stop thief
	assert_eq "$(client)" "${NTM_VIP[a.4]} 5555" \
		"once the thief is gone the server answers again"
}
theft "the port on loopback"
theft "one peer's flow" "${aliases[@]}"
