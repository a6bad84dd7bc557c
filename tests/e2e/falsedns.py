#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""falsedns.py - a DNS server that answers what it is told to

Usage: falsedns.py ADDRESS NAME=IP[,IP...] ...
       serve on UDP port 53 of that address; other names do not exist
"""
import ipaddress
import socket
import struct
import sys

zone = {}
for word in sys.argv[2:]:
    name, addresses = word.split("=")
    zone[name] = [ipaddress.ip_address(a) for a in addresses.split(",")]


def labels(data, at):
    names = []
    while data[at]:
        names.append(data[at + 1:at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return ".".join(names), at + 1


def answer(query):
    name, end = labels(query, 12)
    kind = struct.unpack("!H", query[end:end + 2])[0]
    version = {1: 4, 28: 6}.get(kind)
    found = [a for a in zone.get(name, []) if a.version == version]
    reply = query[:2] + struct.pack("!HHHHH", 0x8180 | (name not in zone) * 3,
                                    1, len(found), 0, 0) + query[12:end + 4]
    for a in found:
        reply += struct.pack("!HHHLH", 0xc00c, kind, 1, 60, len(a.packed)) \
            + a.packed
    print(name, kind, len(found), flush=True)
    return reply


s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
                  socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    data, addr = s.recvfrom(1500)
    s.sendto(answer(data), addr)
