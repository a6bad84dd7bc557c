#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""evilrelay.py - stands before a relay and does to its packets whatever one can

Usage: evilrelay.py PORT RELAY_ADDRESS RELAY_PORT SEED

Takes datagrams at PORT and passes them on to the relay, one socket for each client, and
back; at SIGUSR1 it becomes evil, at the next one honest again. Evil is: of a hundred
datagrams 3 are lost, 10 come twice, 10 come up to 50 ms late and so behind others, 3 have
a bit turned over, 3 go to another client as well, 3 old ones are sent once more. At
SIGTERM it prints how many of each.
"""
import heapq
import random
import select
import signal
import socket
import sys
import time

PORT, RELAY, SEED = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])), int(sys.argv[4])
OLD = 200

dice = random.Random(SEED)
counts = dict.fromkeys(
    ("passed", "lost", "twice", "late", "turned", "strayed", "replayed"), 0)
evil = False
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
front.bind(("0.0.0.0", PORT))
front.setblocking(False)
backs, clients, late, old = {}, {}, [], []


def turn(sig, frame):
    global evil
    evil = not evil
    print("evil" if evil else "honest", flush=True)


def end(sig, frame):
    print(" ".join("%s=%d" % item for item in counts.items()), flush=True)
    sys.exit(0)


def send(way, data):
    """way: (socket, address or None for the relay)"""
    s, to = way
    try:
        s.sendto(data, to) if to else s.send(data)
    except OSError:
        pass


def other(way):
    """the same direction, but of another client"""
    if way[1]:
        ways = [(front, c) for c in clients.values() if c != way[1]]
    else:
        ways = [(s, None) for s in backs.values() if s is not way[0]]
    return dice.choice(ways) if ways else way


def handle(way, data):
    if not evil:
        counts["passed"] += 1
        return send(way, data)
    old.append((way, data))
    if len(old) > OLD:
        old.pop(0)
    throw = dice.randrange(100)
    if throw < 3:
        counts["lost"] += 1
        return None
    if throw < 13:
        counts["twice"] += 1
        send(way, data)
    elif throw < 23:
        counts["late"] += 1
        heapq.heappush(late, (time.monotonic() + dice.random() * 0.05,
                              counts["late"], way, data))
        return None
    elif throw < 26:
        counts["turned"] += 1
        bits = bytearray(data)
        bits[dice.randrange(len(bits))] ^= 1 << dice.randrange(8)
        data = bytes(bits)
    elif throw < 29:
        counts["strayed"] += 1
        send(other(way), data)
    elif throw < 32:
        counts["replayed"] += 1
        send(*dice.choice(old))
    counts["passed"] += 1
    return send(way, data)


def main():
    signal.signal(signal.SIGUSR1, turn)
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else 1
        for s in select.select([front, *clients], [], [], wait)[0]:
            try:
                data, source = s.recvfrom(4096)
            except OSError:
                continue
            if s is not front:
                handle((front, clients[s]), data)
                continue
            if source not in backs:
                back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.connect(RELAY)
                backs[source], clients[back] = back, source
            handle((backs[source], None), data)
        while late and late[0][0] <= time.monotonic():
            _, _, way, data = heapq.heappop(late)
            send(way, data)


main()
