#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gapget.py - a download by HTTP that notes when nothing came

gapget.py HOST PATH FILE MS   GET; the body goes to FILE; for each silence longer than MS
                              a line: when it ended (us since 1970), how long
"""
import socket
import sys
import time

host, path, file, limit = sys.argv[1:5]
s = socket.create_connection((host, 80))
s.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
head = b""
last = time.monotonic()
with open(file, "wb", buffering=0) as out:
    while True:
        data = s.recv(65536)
        now = time.monotonic()
        if (now - last) * 1000 > float(limit):
            print(f"{time.time() * 1e6:.0f} {(now - last) * 1000:.0f}", flush=True)
        last = now
        if not data:
            break
        if head is not None:
            head += data
            if b"\r\n\r\n" not in head:
                continue
            data = head.split(b"\r\n\r\n", 1)[1]
            head = None
        out.write(data)
