#!/bin/bash
# SPDX-License-Identifier: MIT
# 140-fork-exec - connections survive fork, exec without the library, and passing on
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair

# Four processes accept from one listener; each answers one client, then ends.
cat >"$LAB/prefork.py" <<'END'
import os, socket
s = socket.create_server(("", 7000), backlog=64)
for _ in range(4):
    if os.fork() == 0:
        while True:
            c, addr = s.accept()
            c.sendall(b"%s %d\n" % (addr[0].encode(), os.getpid()))
            c.close()
os.wait()
END

# A super-server: the program gets the connection as its 0, 1, 2 and nothing else
# of ours, not even the library.
cat >"$LAB/inetd.py" <<'END'
import os, signal, socket
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
s = socket.create_server(("::", 7001), family=socket.AF_INET6,
                         dualstack_ipv6=True)
while True:
    c, addr = s.accept()
    if os.fork() == 0:
        for fd in 0, 1, 2:
            os.dup2(c.fileno(), fd)
        os.closerange(3, 4096)
        os.execve("/bin/sh", ["sh", "-c", "head -c 100000 | sha256sum; "
                              "grep -c libntm /proc/self/maps"], {})
    c.close()
END

# One process accepts and passes the connection to another.
cat >"$LAB/pass.py" <<'END'
import os, socket
mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
if os.fork() == 0:
    mine.close()
    while True:
        _, fds, _, _ = socket.recv_fds(other, 1, 1)
        c = socket.socket(fileno=fds[0])
        c.sendall(c.getpeername()[0].encode() + b"\n")
        c.close()
s = socket.create_server(("", 7002))
while True:
    c, _ = s.accept()
    socket.send_fds(mine, [b"x"], [c.fileno()])
    c.close()
END
for name in prefork:7000 inetd:7001 pass:7002; do
	ntm_start "${name%:*}" b /usr/bin/python3 "$LAB/${name%:*}.py"
	wait_for 5 "ntm_listens b tcp ${name#*:}"
done

# Clients of a prefork server, forked themselves after the connection was made.
cat >"$LAB/clients.py" <<'END'
import os, socket, sys
for _ in range(10):
    all = [socket.create_connection((sys.argv[1], 7000)) for _ in range(6)]
    for c in all:
        if os.fork() == 0:
            text = c.makefile().read()
            os.write(1, text.encode())
            os._exit(0 if text else 1)
    for c in all:
        assert os.wait()[1] == 0
        c.close()
END
ntm_carried a 600 600 ntm_run a /usr/bin/python3 "$LAB/clients.py" "$B"
assert_eq "$(wc -l <"$LAB/out")" 60 "60 connections to four processes"
assert_eq "$(cut -d ' ' -f 1 "$LAB/out" | sort -u)" "${NTM_VIP[a.4]}" \
	"each of them saw the virtual address"
echo "# answered by $(cut -d ' ' -f 2 "$LAB/out" | sort -u | wc -l) processes"

head -c 100000 /dev/urandom >"$LAB/data"
chmod 644 "$LAB/data"
for family in 4 6; do
	got=$(ntm_run a socat -t 5 - "TCP$family:$B:7001" <"$LAB/data")
	assert_eq "$(sed -n '1s/ .*//p' <<<"$got")" \
		"$(sha256sum <"$LAB/data" | cut -d ' ' -f 1)" \
		"a program started with the connection reads it, IPv$family"
	assert_eq "$(sed -n 2p <<<"$got")" 0 "and has no library"
done
assert_eq "$(ntm_run a socat -u "TCP4:$B:7002" -)" "${NTM_VIP[a.4]}" \
	"a connection passed to another process"

# A client connects, then becomes a program without the library.
cat >"$LAB/become.py" <<'END'
import os, socket, sys
c = socket.create_connection((sys.argv[1], 7000))
os.dup2(c.fileno(), 0)
os.execve("/bin/cat", ["cat"], {})
END
assert_eq "$(ntm_run a /usr/bin/python3 "$LAB/become.py" "$B" |
	cut -d ' ' -f 1)" "${NTM_VIP[a.4]}" "a client that execs keeps its connection"
