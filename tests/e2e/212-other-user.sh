#!/bin/bash
# SPDX-License-Identifier: MIT
# 212-other-user - another user of the machine who imitates a doorbell, a UDP alias, a
# server's port or the broker's sockets gets nothing, and is taken for nobody else
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

lab_have_other_user || lab_skip "there is no second uid here"
ntm_pair
serve=$LAB_SRC/tests/lab/peername.py
ntm_start tcp b "$serve" tcp 0.0.0.0 7000
ntm_start udp b "$serve" udp 0.0.0.0 7001
wait_for 5 'ntm_listens b tcp 7000 && ntm_listens b udp 7001'

# --- a doorbell and an alias -------------------------------------------------------

# ask KIND FROM PORT: what the server says to the other user on b
cat >"$LAB/ask.py" <<'END'
import socket, sys
kind, source, port = sys.argv[1:]
kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind)
s.settimeout(5)
s.bind((source, 0))
s.connect(("127.0.0.1", int(port)))
if kind == socket.SOCK_DGRAM:
    s.send(b"who am I?")
print(s.recv(100).decode().split()[0])
END
ask()
{
	lab_as_other_user b /usr/bin/python3 "$LAB/ask.py" "$@"
}
assert_eq "$(ntm_ask a tcp 4 "$B" 7000 | sed -n '1s/ .*//p')" \
	"${NTM_VIP[a.4]}" "a real connection shows a's address"
assert_eq "$(ntm_ask a udp 4 "$B" 7001 | sed -n '1s/ .*//p')" \
	"${NTM_VIP[a.4]}" "a real datagram too"
for address in 127.0.0.1 127.77.0.1 127.77.0.2; do
	assert_eq "$(ask tcp $address 7000)" $address \
		"an imitated doorbell is what it is"
done
# 127.80.0.0 and on: the aliases in use are among the first.
for n in 0 1 2 3; do
	assert_eq "$(ask udp 127.80.0.$n 7001)" 127.80.0.$n \
		"an imitated alias is what it is"
done
# While real connections come in, as fast as they can.
lab_start flood other b bash -c "
	while :; do
		/usr/bin/python3 '$LAB/ask.py' tcp 127.77.0.1 7000
	done"
for i in 1 2 3; do
	assert_eq "$(ntm_ask a tcp 4 "$B" 7000 | sed -n '1s/ .*//p')" \
		"${NTM_VIP[a.4]}" "a is a, meanwhile"
done
lab_stop flood
assert_eq "$(sort -u "$(lab_log flood)")" 127.77.0.1 "and the other is not"

# --- a server's port ----------------------------------------------------------------

# A UDP server that shares its port; another user takes the half it is reached by.
cat >"$LAB/shared.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], 7002))
print("ready", flush=True)
while True:
    data, addr = s.recvfrom(2048)
    print("got", data, flush=True)
    s.sendto(addr[0].encode() + b" 0", addr)
END
ntm_start mine b /usr/bin/python3 "$LAB/shared.py" 0.0.0.0
wait_for 5 'ntm_listens b udp 7002'
ntm_ask a udp 4 "$B" 7002 >"$LAB/out"
lab_start theirs other b /usr/bin/python3 "$LAB/shared.py" 127.0.0.1
wait_for 5 "grep -q ready '$(lab_log theirs)'"
lab_as_user b bash -c 'echo stolen >/dev/udp/127.0.0.1/7002'
wait_for 5 "grep -q stolen '$(lab_log theirs)'"
ok "the other user has taken 127.0.0.1:7002"
# What a sends next, over the same tunnel, arrives: the secret was dealt with.
ntm_run a bash -c "echo secret >/dev/udp/$B/7002"
ntm_ask a udp 4 "$B" 7001 >"$LAB/out"
assert_lacks "$(<"$(lab_log theirs)")" secret "a's datagrams are not theirs"
assert_lacks "$(<"$(lab_log mine)")" secret "(nor could they be the server's)"
lab_stop theirs
wait_for 5 'ntm_ask a udp 4 "$B" 7002'
ok "the port is the server's again"

# --- the broker's sockets ------------------------------------------------------------

# The real ones: not reachable, and once somebody opens the folder still refused.
cat >"$LAB/try.py" <<'END'
import socket, sys
kind = socket.SOCK_STREAM if "control" in sys.argv[1] else socket.SOCK_SEQPACKET
s = socket.socket(socket.AF_UNIX, kind)
s.settimeout(5)
s.connect(sys.argv[1])
s.send(b'{"cmd": "status"}\n')
print("answer", s.recv(4096))
END
run=/run/user/$LAB_UID
for name in control broker keeper; do
	refused "$name.sock" "PermissionError" \
		lab_as_other_user b /usr/bin/python3 "$LAB/try.py" \
		"$run/ntm/$name.sock"
done
lab_root b chmod 755 "$run" "$run/ntm"
lab_root b chmod 666 "$run"/ntm/{control,broker,keeper}.sock
for name in control broker keeper; do
	out=$(lab_as_other_user b /usr/bin/python3 "$LAB/try.py" \
		"$run/ntm/$name.sock" 2>&1 || :)
	assert_lacks "$out" "answer b'{" "$name.sock answers nobody else"
	assert_lacks "$out" "answer b'\\x" "not even in binary"
	assert_lacks "$out" Permission "though it could be reached"
done
lab_as_user b chmod 700 "$run" "$run/ntm"

# False ones: on c, where no runtime folder exists, another user was first.
lab_host c
ntm__link c other 10.200.0.9/24 2001:db8:200::9/64 5
lab_root c mount -t tmpfs -o mode=755 none /run/user
false=/tmp/ntm-$LAB_UID
cat >"$LAB/false.py" <<'END'
import os, selectors, socket, sys
os.umask(0)
os.mkdir(sys.argv[1])
sel = selectors.DefaultSelector()
for name, kind in (("control", socket.SOCK_STREAM),
                   ("broker", socket.SOCK_SEQPACKET),
                   ("keeper", socket.SOCK_SEQPACKET)):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind("%s/%s.sock" % (sys.argv[1], name))
    s.listen(8)
    sel.register(s, selectors.EVENT_READ, True)
print("ready", flush=True)
while True:
    for key, _ in sel.select():
        if key.data:
            sel.register(key.fileobj.accept()[0], selectors.EVENT_READ, False)
            continue
        print("heard", key.fileobj.recv(4096), flush=True)
        sel.unregister(key.fileobj)
END
lab_start false other c /usr/bin/python3 "$LAB/false.py" "$false"
wait_for 5 "grep -q ready '$(lab_log false)'"
as_c()
{
	lab_as_user c env -u XDG_RUNTIME_DIR "$@"
}
printf '%s\n' "$NTM_PASSWORD" >"$LAB/password"
lab_give "$LAB/password"
refused "ntm login" "not yours alone" as_c bash -c '
	ntm login --password-stdin -y --device=phone "$1" alice <"$2"' - \
	"${NTM_JOIN[$NTM_DOMAIN]}" "$LAB/password"
refused "ntm-broker" "not yours alone; set XDG_RUNTIME_DIR" \
	as_c ntm-broker --foreground
refused "a program" "gai -" \
	as_c env LD_PRELOAD=libntm.so "$serve" ask tcp 6 "$B" 7000
assert_eq "$(<"$(lab_log false)")" ready "the false broker has heard nothing"
