#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""natcell.py - traffic through one tunnel, and which way it goes

Usage: natcell.py serve PORT
           echo lines, on every address
       natcell.py call NAME PORT STOP
           echo lines with that server, one every 20 ms, in turn on a connection of
           each family, until the file STOP exists.  Prints "start=T first=MS" at the
           first answer, which waited for the name and for one connection, and
           "count=N retransmitted=SEGMENTS longest=MS" at the end
       natcell.py watch FQDN STOP
           ask the broker for the way to that peer every 10 ms, until STOP exists;
           a line "T WAY REMOTE" whenever it is another; WAY is direct, relay or,
           while there is neither, the peer's state

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


class Line:
    """A connection whose echoes are checked; longest: how long one had to wait, or
    the connection itself"""

    def __init__(self, family, address):
        start = now()
        self.s = socket.socket(family, socket.SOCK_STREAM)
        self.s.settimeout(20)
        self.s.connect(address)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.s.makefile("r")
        self.count, self.longest = 0, now() - start

    def exchange(self):
        sent = now()
        self.s.sendall(b"%d\n" % self.count)
        got = self.answers.readline()
        assert got == "%d\n" % self.count, (self.count, got)
        self.longest = max(self.longest, now() - sent)
        self.count += 1


def call(name, port, stop):
    start = now()
    found = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
    assert {f[0] for f in found} == {socket.AF_INET, socket.AF_INET6}, found
    lines = [Line(found[0][0], found[0][4])]
    lines[0].exchange()
    print("start=%.0f first=%.0f" % (start, now() - start), flush=True)
    lines[0].longest = 0
    lines.append(next(Line(f[0], f[4]) for f in found if f[0] != found[0][0]))
    while not lines[1].count or not os.path.exists(stop):
        for line in lines:
            line.exchange()
            time.sleep(0.02)  # the pace of a call; nothing is waited for
    print("count=%d retransmitted=%d longest=%.0f" % (
        sum(line.count for line in lines),
        sum(retransmitted(line.s) for line in lines),
        max(line.longest for line in lines)), flush=True)


def watch(fqdn, stop):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["XDG_RUNTIME_DIR"] + "/ntm/control.sock")
    answers, last = s.makefile("r"), None
    while not os.path.exists(stop):
        s.sendall(b'{"cmd": "peers"}\n')
        way = "none -"
        for peer in json.loads(answers.readline())["peers"]:
            if peer["fqdn"] == fqdn:
                way = "%s %s" % (peer["state"].replace("relayed", "relay"),
                                 peer.get("remote") or "-")
        if way != last:
            print("%.0f %s" % (now(), way), flush=True)
            last = way
        time.sleep(0.01)  # samples: how long each way was in use is what is asked


if __name__ == "__main__":
    {"serve": serve, "call": call, "watch": watch}[sys.argv[1]](*sys.argv[2:])
