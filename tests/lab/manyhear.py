#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""manyhear - programs of a group, for tests

  manyhear.py hear 4|6 GROUP PORT       a line "SOURCE TEXT" for each datagram, of the text's
                                        last 30 characters
  manyhear.py count 4|6 GROUP PORT N    sends N numbers, 50 a second
"""
import socket
import struct
import sys
import time

what, family, group, port = sys.argv[1:5]
family = socket.AF_INET if family == "4" else socket.AF_INET6
s = socket.socket(family, socket.SOCK_DGRAM)
if what == "hear":
    s.bind(("", int(port)))
    if family == socket.AF_INET:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton(group) + socket.inet_aton("127.0.0.1"))
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     socket.inet_pton(family, group) + struct.pack("@I", 1))
    print("ready", flush=True)
    while True:
        data, source = s.recvfrom(65536)
        print(source[0], data.decode().strip()[-30:], flush=True)
else:
    for i in range(int(sys.argv[5])):
        s.sendto(b"n%d\n" % i, (group, int(port)))
        time.sleep(0.02)  # the pace of the stream; nothing is waited for
