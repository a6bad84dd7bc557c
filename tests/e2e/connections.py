#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""connections.py - many connections at once

Usage: connections.py serve PORT       accept all, answer each byte with it
       connections.py deaf PORT        listen, accept nobody
       connections.py open HOST PORT COUNT [SECONDS]
           connect so often at once; say how many stand and how many failed after
           that time (20), then hold them until the end of standard input
       connections.py unix PATH COUNT  the same with a Unix socket (SEQPACKET)
       connections.py echo HOST PORT   one connection; print the ms it took
"""
import errno
import resource
import selectors
import signal
import socket
import sys
import time

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
sel = selectors.DefaultSelector()


def listen(port, backlog):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    s.listen(backlog)
    print("ready", flush=True)
    return s


def serve(port):
    s = listen(port, 4096)
    s.setblocking(False)
    sel.register(s, selectors.EVENT_READ)
    while True:
        for key, _ in sel.select():
            if key.fileobj is s:
                try:
                    c = s.accept()[0]
                except OSError:
                    continue
                c.setblocking(False)
                sel.register(c, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(100)
                if data:
                    key.fileobj.send(data)
                    continue
            except OSError:
                pass
            sel.unregister(key.fileobj)
            key.fileobj.close()


def flood(host, port, count, seconds):
    family, _, _, _, address = socket.getaddrinfo(
        host, port, 0, socket.SOCK_STREAM)[0]
    pending, stand, failed = {}, [], {}
    left = count
    end = time.monotonic() + seconds
    while (left or pending) and time.monotonic() < end:
        # as many under way as a kernel's queues take without a pause
        while left and len(pending) < 1000:
            left -= 1
            try:
                s = socket.socket(family)
                s.setblocking(False)
                e = s.connect_ex(address)
            except OSError as x:
                e = x.errno
            if e not in (0, errno.EINPROGRESS):
                failed[e] = failed.get(e, 0) + 1
                continue
            pending[s] = True
            sel.register(s, selectors.EVENT_WRITE)
        for key, _ in sel.select(0.1):
            s = key.fileobj
            e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            sel.unregister(s)
            del pending[s]
            if e:
                failed[e] = failed.get(e, 0) + 1
                s.close()
            else:
                stand.append(s)
    print("open", len(stand), "pending", len(pending), "unsent", left,
          "failed", {errno.errorcode[e]: n for e, n in failed.items()},
          flush=True)
    sys.stdin.read()


def unix(path, count):
    stand = []
    for _ in range(count):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(0.05)
        try:
            s.connect(path)
        except OSError:
            continue
        stand.append(s)
    print("open", len(stand), flush=True)
    sys.stdin.read()


def echo(host, port):
    start = time.monotonic()
    s = socket.create_connection((host, port), 10)
    s.send(b"x")
    assert s.recv(1) == b"x"
    print(int((time.monotonic() - start) * 1000))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
elif sys.argv[1] == "deaf":
    keep = listen(int(sys.argv[2]), 4096)
    sys.stdin.read()
    signal.pause()
elif sys.argv[1] == "open":
    flood(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]),
          int((sys.argv[5:] or [20])[0]))
elif sys.argv[1] == "unix":
    unix(sys.argv[2], int(sys.argv[3]))
else:
    echo(sys.argv[2], int(sys.argv[3]))
