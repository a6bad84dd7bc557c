#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""natprobe.py - what a NAT or a firewall does to UDP, held against no opinion

Usage: natprobe.py serve ADDRESS...
           answer on ports 3001 and 3002 of two addresses, or two of each family
       natprobe.py kind ADDRESS1 ADDRESS2 [LOCAL_PORT]
           one line: mapping=... filtering=... own=ADDRESS:PORT seen=ADDRESS:PORT
       natprobe.py hairpin ADDRESS1 ADDRESS2
           may two sockets behind one NAT meet at their outer endpoints?  One line:
           hairpin=none, outer or inner, by the source that the receiver sees
       natprobe.py late ADDRESS1 ADDRESS2 LOCAL_PORT SECONDS
           `yes` or `no`: does an answer that comes so much later still arrive?
       natprobe.py keep ADDRESS1 ADDRESS2 LOCAL_PORT SECONDS
           write every 100 ms for so long; one line for each endpoint seen
       natprobe.py punch ADDRESS1 ADDRESS2 OURS THEIRS
           two run at the same time and tell each other their endpoints through the
           files OURS and THEIRS; then both write to both endpoints of the other, the
           one it has and the one that the server saw.  `direct` or `none`

Mapping and filtering in the words of RFC 4787: none, independent, address, endpoint;
and blocked where nothing is answered at all.  A request is a line of words, each
"I", "I@SECONDS" or "I=ADDRESS:PORT": the server answers from its socket I, later,
or to somebody else.  Sockets 0 and 1 are the ports of the first address, 2 and 3
those of the second.  What must not arrive is sent before what must: the answer that
comes says that the other one is not under way any more.
"""
import heapq
import os
import select
import socket
import sys
import time

PORTS = (3001, 3002)
PATIENCE_S = 1.0        # for what should come
GRACE_S = 0.02          # for what was sent before that, by another socket
PUNCHES = 12            # as often both write to each other,
PUNCH_EVERY_S = 0.02    # so that each finds what the other one has opened


def text(addr):
    return "%s:%d" % (addr[0], addr[1])


def endpoint(word):
    address, port = word.rsplit(":", 1)
    return address, int(port)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_socket(address, port):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


class Server:
    def __init__(self, addresses):
        self.sockets = {}               # family -> its sockets, by index
        self.late = []                  # (when, order, socket, data, to)
        for address in addresses:
            self.sockets.setdefault(family(address), []).extend(
                open_socket(address, port) for port in PORTS)

    def answer(self, sockets, data, source):
        now = time.monotonic()
        for order, word in enumerate(data.decode().split()):
            to, after = source, 0
            if "=" in word:
                word, to = word.split("=")
                to = endpoint(to)
            elif "@" in word:
                word, after = word.split("@")
            heapq.heappush(self.late, (
                now + float(after), order, sockets[int(word)].fileno(),
                sockets[int(word)], text(source).encode(), to))

    def run(self):
        print("ready", flush=True)
        every = [s for sockets in self.sockets.values() for s in sockets]
        while True:
            wait = self.late[0][0] - time.monotonic() if self.late else None
            ready = select.select(every, [], [], wait and max(wait, 0))[0]
            for s in ready:
                data, source = s.recvfrom(2048)
                self.answer(self.sockets[s.family], data, source)
            while self.late and self.late[0][0] <= time.monotonic():
                _, _, _, s, data, to = heapq.heappop(self.late)
                try:
                    s.sendto(data, to)
                except OSError:
                    pass                # a private address has no route


class Probe:
    """A socket of ours and the four of the server"""

    def __init__(self, servers, port=0):
        self.servers = [(a, p) for a in servers for p in PORTS]
        self.s = open_socket("::" if ":" in servers[0] else "0.0.0.0", port)
        with socket.socket(self.s.family, socket.SOCK_DGRAM) as s:
            s.connect(self.servers[0])
            self.own = (s.getsockname()[0], self.s.getsockname()[1])

    def send(self, index, words):
        self.s.sendto(words.encode(), self.servers[index])

    def receive(self, patience=PATIENCE_S):
        if not select.select([self.s], [], [], patience)[0]:
            return None, None
        data, source = self.s.recvfrom(2048)
        return source[:2], data.decode()

    def seen(self, index):
        """Where the server's socket sees us; None when it does not answer"""
        self.send(index, str(index))
        return self.receive()[1]

    def heard(self, index):
        """The sources of all that comes until that socket has answered"""
        sources = []
        while True:
            source, _ = self.receive()
            assert source, "no answer from a server that answered before"
            sources.append(source)
            if source == self.servers[index]:
                break
        while True:
            source, _ = self.receive(GRACE_S)
            if not source:
                return sources
            sources.append(source)


def mapping(servers, port):
    probe = Probe(servers, port)
    first = probe.seen(0)
    if first is None:
        return "blocked", probe.own, "nowhere"
    if first == text(probe.own):
        return "none", probe.own, first
    if probe.seen(1) != first:
        # Not by the port alone: another address must make a difference, too.
        return ("endpoint" if probe.seen(2) != first else "port",
                probe.own, first)
    return ("address" if probe.seen(2) != first else "independent",
            probe.own, first)


def filtering(servers):
    silent, probe = Probe(servers), Probe(servers)
    probe.send(0, "2=%s 0" % text(silent.own))
    probe.heard(0)
    if silent.receive(0)[0]:
        return "none"
    probe.send(0, "3 2 1 0")
    sources = probe.heard(0)
    other = [probe.servers[2], probe.servers[3]]
    if all(s in sources for s in other):
        return "independent"
    assert not any(s in sources for s in other), "neither shut nor open"
    return "address" if probe.servers[1] in sources else "endpoint"


def kind(servers, port="0"):
    behaviour, own, seen = mapping(servers, int(port))
    print("mapping=%s filtering=%s own=%s seen=%s" % (
        behaviour, "blocked" if behaviour == "blocked" else
        filtering(servers), text(own), seen))


def hairpin(servers):
    one, two = Probe(servers), Probe(servers)
    outer = one.seen(0), two.seen(0)
    # Both, as in a hole punch: the second finds the filter open.
    for _ in range(2):
        one.s.sendto(b"hairpin", endpoint(outer[1]))
        two.s.sendto(b"hairpin", endpoint(outer[0]))
    two.send(0, "0")
    for source in two.heard(0):
        if source == endpoint(outer[0]):
            return print("hairpin=outer")
        if source == one.own:
            return print("hairpin=inner")
    print("hairpin=none")


def late(servers, port, seconds):
    probe = Probe(servers, int(port))
    probe.send(0, "0@%s" % seconds)
    answer = probe.receive(float(seconds) + 0.3)[0]
    print("yes" if answer else "no")


def keep(servers, port, seconds):
    probe, last = Probe(servers, int(port)), None
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        seen = probe.seen(0)
        if seen and seen != last:
            print(seen, flush=True)
            last = seen
        time.sleep(0.1)  # the pace that keeps a mapping in use


def punch(servers, ours, theirs):
    probe = Probe(servers)
    seen = probe.seen(0)
    with open(ours + ".new", "w") as f:
        f.write("%s %s" % (text(probe.own), seen))
    os.rename(ours + ".new", ours)
    while not os.path.exists(theirs):
        time.sleep(0.005)  # between two looks for the file
    with open(theirs) as f:
        peers = [endpoint(word) for word in f.read().split()]
    heard, answered = set(), False
    for _ in range(PUNCHES):
        # Back to where something came from, too, and that it did.
        for peer in set(peers) | heard:
            try:
                probe.s.sendto(b"heard" if heard else b"punch", peer)
            except OSError:
                pass                    # nobody has that address here
        end = time.monotonic() + PUNCH_EVERY_S
        while time.monotonic() < end:
            source, word = probe.receive(max(0, end - time.monotonic()))
            if source:
                heard.add(source)
                answered |= word == "heard"
    print("direct" if heard and answered else "none")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        Server(sys.argv[2:]).run()
    else:
        {"kind": kind, "hairpin": hairpin, "late": late, "keep": keep,
         "punch": punch}[sys.argv[1]](sys.argv[2:4], *sys.argv[4:])
