#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""natcell.py - traffic through one tunnel, and which way it goes

Usage: natcell.py serve PORT
           echo lines, on every address
       natcell.py call NAME PORT STOP
           echo lines with that server on one connection, one every 20 ms, until the
           file STOP exists.  Prints "start=T first=MS family=4|6" at the first
           answer and "count=N retransmitted=SEGMENTS longest=MS" at the end
       natcell.py watch FQDN STOP
           ask the broker for the way to that peer every 10 ms, until STOP exists;
           a line "T WAY REMOTE" whenever it is another, WAY being path of docs/
           control.md, or `-` while there is no tunnel

T is of the monotonic clock, which all hosts of a lab share, in milliseconds.
"""
import json
import os
import socket
import struct
import sys
import threading
import time


def now():
    return time.monotonic() * 1000


def echo(connection):
    with connection:
        while True:
            data = connection.recv(4096)
            if not data:
                return
            connection.sendall(data)


def serve(port):
    s = socket.create_server(("::", int(port)), family=socket.AF_INET6,
                             dualstack_ipv6=True)
    while True:
        connection, _ = s.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def retransmitted(s):
    # struct tcp_info: eight bytes, then 32-bit words; tcpi_total_retrans is the 24th
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return struct.unpack_from("=I", info, 8 + 4 * 23)[0]


def call(name, port, stop):
    start = now()
    s = socket.create_connection((name, int(port)), timeout=20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = s.makefile("r")
    count, longest = 0, 0
    while count == 0 or not os.path.exists(stop):
        sent = now()
        s.sendall(b"%d\n" % count)
        got = answers.readline()
        assert got == "%d\n" % count, "wanted %d, got %r" % (count, got)
        if count == 0:
            print("start=%.0f first=%.0f family=%d" % (
                start, now() - start, 6 if s.family == socket.AF_INET6 else 4),
                flush=True)
        else:
            longest = max(longest, now() - sent)
        count += 1
        time.sleep(0.02)
    print("count=%d retransmitted=%d longest=%.0f" % (
        count, retransmitted(s), longest), flush=True)


def watch(fqdn, stop):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["XDG_RUNTIME_DIR"] + "/ntm/control.sock")
    answers, last = s.makefile("r"), None
    while not os.path.exists(stop):
        s.sendall(b'{"cmd": "peers"}\n')
        way = "- -"
        for peer in json.loads(answers.readline())["peers"]:
            if peer["fqdn"] == fqdn:
                way = "%s %s" % (peer.get("path", peer["state"]) or "-",
                                 peer.get("remote") or "-")
        if way != last:
            print("%.0f %s" % (now(), way), flush=True)
            last = way
        time.sleep(0.01)


if __name__ == "__main__":
    {"serve": serve, "call": call, "watch": watch}[sys.argv[1]](*sys.argv[2:])
