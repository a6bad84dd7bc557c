#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""evilcs.py - a Cache Server with the real one's keys and store that serves other data

Usage: evilcs.py SERVER_DIR CONFIRMED MODE...
The n-th item gets the n-th MODE; confirmations are appended to CONFIRMED, one JSON
object a line. MODE:
  good       as it is
  flipped    one bit of the second chunk changed
  reordered  first and second chunk in each other's place
  repeated   the first chunk twice, in place of the second too
  dropped    without the second chunk
  truncated  the first half, said to be all
  extended   a chunk more behind the end
  swapped    all of the item before, which is as long
  sealless   zeros in place of the seal
  otherkey   the sealed key of the item before
"""
import base64
import glob
import hashlib
import json
import os
import socket
import sqlite3
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIR, CONFIRMED, MODES = sys.argv[1], sys.argv[2], sys.argv[3:]
HEADER, CHUNK, SEAL = 32, 65552, 88


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def items():
    """number -> (its fields, blob, key)"""
    db = sqlite3.connect("file:%s/cs/cs.db?mode=ro" % DIR, uri=True)
    found = {}
    for number, sender, item, message, size, digest, key in db.execute(
            "SELECT number, sender, items.item, message, size, hash, key"
            " FROM items JOIN receivers ON receivers.item = number"):
        path = glob.glob("%s/cs/blob/%s/%s" % (DIR, digest.hex()[:2], digest.hex()))[0]
        found[number] = ({"from": sender, "application": "ntm", "service": "file",
                          "item": item, "message": message, "size": size,
                          "hash": b64(digest)}, open(path, "rb").read(), key)
    db.close()
    return found


ITEMS = items()


def changed(number, mode):
    data = ITEMS[number][1]
    first, second = (data[HEADER + i * CHUNK:HEADER + (i + 1) * CHUNK] for i in (0, 1))
    head, rest = data[:HEADER], data[HEADER + 2 * CHUNK:]
    if mode == "flipped":
        second = second[:100] + bytes([second[100] ^ 1]) + second[101:]
    elif mode == "reordered":
        first, second = second, first
    elif mode == "repeated":
        second = first
    elif mode == "dropped":
        second = b""
    elif mode == "truncated":
        return data[:len(data) // 2]
    elif mode == "extended":
        return data + first
    elif mode == "swapped":
        return ITEMS[number - 1][1]
    elif mode == "sealless":
        return data[:-SEAL] + bytes(SEAL)
    return head + first + second + rest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, data, kind="application/json", **more):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        _, kind, name = self.path.strip("/").split("/")
        for number, (fields, data, key) in ITEMS.items():
            mode = MODES[number - 1]
            if kind == "keys" and b64(hashlib.sha256(key).digest()) == name:
                if mode == "otherkey":
                    key = ITEMS[number - 1][2]
                self.answer(200, json.dumps({**fields, "key": b64(key)}).encode())
                return
            if kind == "data" and fields["hash"] == name:
                data = changed(number, mode)
                begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
                self.answer(206 if begin else 200, data[begin:],
                            "application/octet-stream")
                return
        self.answer(404, b'{"error": "NOTFOUND", "text": "it is not here"}')

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/batch":
            self.answer(404, b'{"error": "NOTFOUND", "text": "one by one here"}')
            return
        with open(CONFIRMED, "a", encoding="utf-8") as f:
            f.write(json.dumps(body) + "\n")
        self.answer(200, b"{}")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def handle_error(self, request, address):
        pass


server = Server(("::", 4507), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(os.path.join(DIR, "cs/server.pem"), os.path.join(DIR, "cs/key.pem"))
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
server.serve_forever()
