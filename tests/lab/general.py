#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""general.py - datagrams and echoes between a program and a host without NTMobile

serve 4|6 PORT           answers each datagram with the address it came from
connect|sendto HOST PORT sends one datagram, prints the answer
ping HOST 0              an ICMP echo by an unprivileged socket; prints who answered
"""
import socket
import struct
import sys


def serve(family, port):
    six = family == "6"
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.bind(("::" if six else "0.0.0.0", port))
    while True:
        _, peer = s.recvfrom(2048)
        s.sendto(peer[0].encode(), peer)


def datagram(how, host, port):
    six = ":" in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.settimeout(5)
    if how == "connect":
        s.connect((host, port))
        s.send(b"?")
        answer, peer = s.recv(2048), (host,)
    else:
        s.sendto(b"?", (host, port))
        answer, peer = s.recvfrom(2048)
    if peer[0] != host:
        sys.exit(f"the answer came from {peer[0]}")
    print(answer.decode())


def ping(host):
    six = ":" in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM,
                      socket.getprotobyname("ipv6-icmp" if six else "icmp"))
    s.settimeout(5)
    s.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 7) + b"x" * 24,
             (host, 0))
    answer, peer = s.recvfrom(2048)
    if answer[0] != (129 if six else 0) or answer[8:] != b"x" * 24:
        sys.exit("that is not the echo")
    print(peer[0])


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "ping":
    ping(sys.argv[2])
else:
    datagram(sys.argv[1], sys.argv[2], int(sys.argv[3]))
