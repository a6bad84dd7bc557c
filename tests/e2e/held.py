#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""held - one TCP connection and one UDP flow, held for as long as they live

    held.py serve PORT        answers every line and datagram with itself
    held.py talk NAME PORT    sends ten numbers a second by each; prints what came
                              back (`tcp 7`, `udp 7`), and `tcp over` at its end
"""
import select
import socket
import sys
import time


def serve(port):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", port))
    door = socket.create_server(("::", port), family=socket.AF_INET6)
    fds = [udp, door]
    while True:
        for s in select.select(fds, [], [])[0]:
            try:
                if s is door:
                    fds.append(door.accept()[0])
                elif s is udp:
                    data, who = s.recvfrom(2000)
                    s.sendto(data, who)
                else:
                    data = s.recv(2000)
                    s.sendall(data)
                    if not data:
                        fds.remove(s)
            except OSError as e:
                print("serve:", e)
                if s not in (udp, door):
                    fds.remove(s)


def talk(name, port):
    tcp = socket.create_connection((name, port), timeout=20)
    udp = socket.socket(tcp.family, socket.SOCK_DGRAM)
    udp.connect(tcp.getpeername()[:2])
    fds, n, due = [tcp, udp], 0, time.monotonic()
    while True:
        wait = max(0, due - time.monotonic())
        for s in select.select(fds, [], [], wait)[0]:
            kind = "tcp" if s is tcp else "udp"
            try:
                data = s.recv(2000)
            except OSError as e:
                data = b"" if s is tcp else None
                print(kind, "error:", e)
            if data:
                for word in data.split():
                    print(kind, word.decode())
            elif data == b"":
                print("tcp over")
                fds.remove(tcp)
        if time.monotonic() < due:
            continue
        n, due = n + 1, due + 0.1
        for s in fds:
            try:
                s.send(b"%d\n" % n)
            except OSError as e:
                print("tcp" if s is tcp else "udp", "error:", e)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
talk(sys.argv[2], int(sys.argv[3]))
