#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spoof.py - packets of a hostile node

Usage: spoof.py send DEVICE SOURCE DESTINATION PORT COUNT
           write UDP datagrams with that source to a TUN device, as root of its
           namespace
       spoof.py lease PID OLD NEW
           make a worker believe that NEW is its virtual address: it then sends
           what an altered program would
"""
import ipaddress
import re
import socket
import struct
import sys


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, destination, port):
    payload = b"from " + str(source).encode()
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", 4444, port, length, 0) + payload
    pseudo = source.packed + destination.packed
    if source.version == 4:
        pseudo += struct.pack("!BBH", 0, 17, length)
    else:
        pseudo += struct.pack("!LL", length, 17)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
    if source.version == 6:
        return struct.pack("!LHBB", 0x60000000, length, 17, 64) + \
            source.packed + destination.packed + udp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, 17, 0) + \
        source.packed + destination.packed
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp


def send(device, source, destination, port, count):
    source = ipaddress.ip_address(source)
    destination = ipaddress.ip_address(destination)
    ethertype = 0x0800 if source.version == 4 else 0x86dd
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                      socket.htons(ethertype))
    s.bind((device, ethertype))
    for _ in range(int(count)):
        s.send(packet(source, destination, int(port)))


def lease(pid, old, new):
    old = ipaddress.ip_address(old).packed
    new = ipaddress.ip_address(new).packed
    found = 0
    with open("/proc/%s/maps" % pid) as maps, \
            open("/proc/%s/mem" % pid, "r+b", buffering=0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            if mode != "rw-p" or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            if end - start > 1 << 28:  # the shadow of a sanitizer
                continue
            mem.seek(start)
            try:
                data = mem.read(end - start)
            except OSError:
                continue
            for hit in re.finditer(re.escape(old), data):
                mem.seek(start + hit.start())
                mem.write(new)
                found += 1
    if not found:
        sys.exit("the address is not in its memory")
    print("replaced", found, "times")


if sys.argv[1] == "send":
    send(*sys.argv[2:])
else:
    lease(*sys.argv[2:])
