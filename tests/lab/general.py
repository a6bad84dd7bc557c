#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""general.py - datagrams and echoes between a program and a host without NTMobile

serve 4|6 PORT           answers each datagram with the address it came from, and as
                         many bytes as it had
connect|sendto HOST PORT [SIZE]
                         sends one datagram of SIZE bytes, prints the answer; up to
                         three times, as one is lost where a path is narrower than
                         was known
ping HOST 0 [SIZE]       an ICMP echo by an unprivileged socket; prints who answered
"""
import errno
import socket
import struct
import sys


def serve(family, port):
    six = family == "6"
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.bind(("::" if six else "0.0.0.0", port))
    while True:
        asked, peer = s.recvfrom(65535)
        s.sendto(peer[0].encode().ljust(len(asked)), peer)


def datagram(how, host, port, size):
    six = ":" in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.settimeout(2)
    if how == "connect":
        s.connect((host, port))
    for _ in range(3):
        try:
            if how == "connect":
                s.send(b"?" * size)
                answer, peer = s.recv(65535), (host,)
            else:
                s.sendto(b"?" * size, (host, port))
                answer, peer = s.recvfrom(65535)
            break
        except socket.timeout:
            pass
        except OSError as e:  # Packet Too Big: the kernel cuts the next one
            if e.errno != errno.EMSGSIZE:
                raise
    else:
        sys.exit("no answer")
    if peer[0] != host:
        sys.exit(f"the answer came from {peer[0]}")
    if len(answer) < size:
        sys.exit(f"{len(answer)} of {size} bytes came")
    print(answer.decode().rstrip())


def ping(host, size):
    six = ":" in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                      socket.SOCK_DGRAM,
                      socket.getprotobyname("ipv6-icmp" if six else "icmp"))
    s.settimeout(5)
    s.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 7) + b"x" * size,
             (host, 0))
    answer, peer = s.recvfrom(65535)
    if answer[0] != (129 if six else 0) or answer[8:] != b"x" * size:
        sys.exit("that is not the echo")
    print(peer[0])


size = int(sys.argv[4]) if len(sys.argv) > 4 else 24
if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "ping":
    ping(sys.argv[2], size)
else:
    datagram(sys.argv[1], sys.argv[2], int(sys.argv[3]), size)
