#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""knock.py - speaks to port 4507 of a device as no ntm-post would

Usage: knock.py NAME WHAT [ARGUMENT...], under ntm-run. Prints the status of the answer,
`closed`, or `no connection`; `slow` and `many` print seconds, see below.
"""
import base64
import json
import os
import socket
import sys
import time

NAME, WHAT, ARGS = sys.argv[1], sys.argv[2], sys.argv[3:]
ITEM = "AAAAAAAAAAAAAAAAAAAAAA"


def connect():
    try:
        at = socket.getaddrinfo(NAME, 4507, socket.AF_INET6, socket.SOCK_STREAM)[0][4]
        return socket.create_connection(at[:2], timeout=4)
    except OSError:
        print("no connection")
        sys.exit(0)


def answer(s):
    """the status of the next answer"""
    data = b""
    s.settimeout(20)
    try:
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                break
            data += more
    except OSError:
        pass
    return data[9:12].decode() if data[:5] == b"HTTP/" else "closed"


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass


def raw(data):
    s = connect()
    send(s, data)
    return answer(s)


def ask(method, path, node, to=NAME, body=b"", more="", ids=True, length=True):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", "NTM-Node: " + node, "NTM-To: " + to]
    if ids:
        lines += ["NTM-Application: ntm", "NTM-Service: file", "NTM-Item: " + path.split("/")[3]]
    if length:
        lines.append("Content-Length: %d" % len(body))
    if more:
        lines.append(more)
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def keys(node, size=1000, key=b"k" * 300, to=NAME, item=ITEM, **more):
    body = json.dumps({"expires": int(time.time()) + 1000, "size": size, "keys": [
        {"to": NAME, "key": base64.urlsafe_b64encode(key).rstrip(b"=").decode()}]}).encode()
    return ask("POST", "/v1/items/%s/keys" % item, node, to, body, **more)


def hold():
    s = connect()
    s.settimeout(30)
    answer(s)


def slow(node):
    """a header, a byte a second: seconds until it is cut off"""
    s, begun = connect(), time.monotonic()
    s.settimeout(1)
    for c in ("POST /v1/items/%s/keys HTTP/1.1\r\nNTM-Node: %s\r\n" % (ITEM, node) * 9).encode():
        try:
            s.sendall(bytes([c]))
            if not s.recv(100):
                break
        except socket.timeout:
            continue
        except OSError:
            break
    print(int(time.monotonic() - begun))


def many(node):
    """24 silent connections: how many are held, seconds until the last is cut off"""
    begun, held, opened = time.monotonic(), [], 0
    for i in range(24):
        held.append(connect())
    # The door looks at them in order: when the last one was refused, all others were.
    # Within 8 s nobody is cut off yet for being silent.
    held[-1].settimeout(8)
    try:
        held[-1].recv(10)
    except OSError:
        pass
    for s in held:
        s.setblocking(False)
        try:
            gone = not s.recv(10)
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        opened += not gone
    for s in held:
        s.settimeout(30)
        try:
            s.recv(10)
        except OSError:
            pass
    print(opened, int(time.monotonic() - begun))


def steal(node, item):
    at = "/v1/items/%s" % item
    body = json.dumps({"hash": "A" * 43, "size": 1}).encode()
    print(ask("PATCH", at + "/data", node, more="NTM-Offset: 0", body=b"x"),
          ask("POST", at + "/complete", node, body=body), ask("DELETE", at, node))


def pretend(node, other, item):
    steal(other, item)


if WHAT in ("slow", "many", "steal", "pretend"):
    globals()[WHAT](*ARGS)
    sys.exit(0)
if WHAT == "hold":
    hold()
    sys.exit(0)
me = ARGS[0]
print({
    "code": lambda: keys(me),
    "garbage": lambda: raw(os.urandom(3000) + b"\r\n\r\n"),
    "zeros": lambda: raw(bytes(100000)),
    "longline": lambda: raw(b"GET /" + b"a" * 400000 + b" HTTP/1.1\r\n\r\n"),
    "manyheaders": lambda: raw(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100000 + b"\r\n"),
    "nolength": lambda: ask("POST", "/v1/items/%s/keys" % ITEM, me, length=False),
    "notjson": lambda: ask("POST", "/v1/items/%s/keys" % ITEM, me, body=b"[[[[[["),
    "wrongpath": lambda: ask("POST", "/v1/items/%s/else" % ITEM, me),
    "nokeys": lambda: ask("PATCH", "/v1/items/%s/data" % ITEM, me, body=b"x",
                          more="NTM-Offset: 0"),
    "chunked": lambda: ask("POST", "/v1/items/%s/keys" % ITEM, me, length=False,
                           more="Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    "othernode": lambda: keys("another.example.org"),
    "otherreceiver": lambda: keys(me, to="another.example.org"),
    "noids": lambda: ask("POST", "/v1/items/%s/keys" % ITEM, me, ids=False),
    "traversal": lambda: ask("POST", "/v1/items/../keys", me),
    "badsize": lambda: keys(me, size=7),
    "badkey": lambda: keys(me),
    "toobig": lambda: ask("POST", "/v1/items/%s/keys" % ITEM, me, body=b" " * 500000),
    "badoffset": lambda: ask("PATCH", "/v1/items/%s/data" % ITEM, me, body=b"x",
                             more="NTM-Offset: -1"),
}[WHAT]())
