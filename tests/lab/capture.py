#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""capture - packets of one interface into a pcap file, until SIGINT

For labs in a user namespace without setgroups(), where Debian's tcpdump gives
up.  Usage: capture.py INTERFACE FILE
"""
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SNAP = 65535


def main():
    device, path = sys.argv[1:]
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                            socket.htons(ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    if device != "any":
        packets.bind((device, ETH_P_ALL))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    with open(path, "wb", buffering=0) as out:
        # Little-endian pcap 2.4, Ethernet
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, SNAP, 1))
        print("listening on", device, flush=True)
        while True:
            frame = packets.recv(SNAP)
            now = time.time()
            out.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6),
                                  len(frame), len(frame)) + frame)


main()
