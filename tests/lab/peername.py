#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""peername.py - a server that answers with the source it sees, and who asks it

Usage: peername.py tcp|udp ADDRESS PORT [v6only] [reuse]
           serve on that address until killed; a UDP server has one socket
       peername.py ask tcp|udp 4|6 NAME PORT
           print the answer "ADDRESS PORT", and as a second line our own address
           and port; status 1 and the errno's name on standard error when there
           is none within 5 s
"""
import errno
import socket
import sys


def source(addr):
    return "%s %d" % (addr[0].replace("::ffff:", ""), addr[1])


def serve(kind, address, port, v6only, reuse):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else
                      socket.SOCK_DGRAM)
    if kind == "tcp" or reuse:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    s.bind((address, port))
    if kind == "udp":
        print("ready", flush=True)
        while True:
            data, addr = s.recvfrom(2048)
            s.sendto(source(addr).encode(), addr)
    s.listen(16)
    print("ready", flush=True)
    while True:
        c, addr = s.accept()
        # What the connection itself says must agree with what accept said.
        assert c.getpeername()[:2] == addr[:2], (c.getpeername(), addr)
        c.sendall(source(addr).encode())
        c.close()


def ask(kind, family, name, port):
    kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET if family == "4" else socket.AF_INET6
    addr = socket.getaddrinfo(name, port, family, kind)[0][4]
    s = socket.socket(family, kind)
    s.settimeout(5)
    s.connect(addr)
    if kind == socket.SOCK_DGRAM:
        s.send(b"who am I?")
    print(s.recv(2048).decode())
    print(source(s.getsockname()))


if sys.argv[1] != "ask":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), "v6only" in sys.argv[4:],
          "reuse" in sys.argv[4:])
try:
    ask(*sys.argv[2:])
except socket.gaierror as e:
    sys.exit("gai %d %s" % (e.errno, e.strerror))
except OSError as e:
    sys.exit(errno.errorcode.get(e.errno, str(e)))
