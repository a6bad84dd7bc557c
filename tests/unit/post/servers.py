#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""servers - a box and a Cache Server in memory, for test_post (docs/exchange.md)

Of receipts: "claim": what the CS says of every item, to its sender: "bare": received; "forged": with a
receipt of random bytes; "replayed": with the last that came, of whatever item; "refused":
that, for DECODE; "mute": it hands on no receipt; "unheard": N confirmations get 503.

Usage: servers.py KEY-AND-CERTIFICATE; prints its port. Faults are ordered by
POST /test {"cut": BYTES, "flip": true, "fail": N, "instead": [[FILE, BYTES], ...]}: the
next body is cut there, the blobs have a byte changed, the next N requests get 503, the
next downloads get so much of the files. "forget": the CS forgets its items; "relist":
all that was ever listed is listed again, and has expired, "announce": as it was before
there were data; "news": of each item its sender is told that there is news, "stranger": by a CS that it never went to, "lost": the
CS says it has no data of any, "wipe": it has none; "no_prekeys": 503; "huge": an answer with prekeys is; "endless": the list never ends; "deaf": N questions for an item's state
get 503; "no_batch": there is none; "hold": BYTES: no upload gets further until it is null; "odd_batch": its answers are too few; "empty": N answers with results have none;
"life": the CS keeps an item for so many seconds; "ahead": their clocks are, by so many;
"offline": all prekeys of this name are over; "without": those of these devices of every account;
"older": the CS takes no data with keys, and gives none;
"away": names that end so are of a domain that does not answer; "again": names whose box takes no temporal key now.
"""
import base64
import hashlib
import io
import json
import os
import ssl
import sys
import threading
import time
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../../e2e")
import blobname  # noqa: E402

LOCK = threading.RLock()
HELD = threading.Condition(LOCK)
PREKEYS, TEMPORAL, ITEMS, LISTS = {}, {}, {}, {}
FAULT = {}
COUNT = {"entry": 0, "bytes": 0, "lists": 0, "temporal": 0, "prekeys": 0, "requests": 0,
         "parts": 0, "given": 0, "grown": 0, "receipts": 0, "unheard": 0, "puts": 0,
         "whole": 0, "with": 0}
EVER = []
RECEIPTS = []


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def unb64(t):
    return base64.urlsafe_b64decode(t + "=" * (-len(t) % 4))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + FAULT.get("ahead", 0))

    def answer(self, status, body=None, **more):
        data = json.dumps(body if body is not None else more).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, name, **more):
        self.answer(status, {"error": name, "text": name, **more})

    def ids(self):
        h = self.headers
        return (h["NTM-Application"], h["NTM-Service"], h["NTM-Item"])

    def json(self):
        n = int(self.headers.get("Content-Length", 0))
        return json.loads(self.rfile.read(n) or b"{}")

    def do(self):
        part = self.path.split("?")[0].strip("/").split("/")
        if part[0] == "test":
            with LOCK:
                FAULT.update(self.json())
                HELD.notify_all()
                if FAULT.pop("forget", False):
                    ITEMS.clear()
                if FAULT.pop("wipe", False):
                    for i in ITEMS.values():
                        i["data"].clear()
                        i["state"] = "open"
                        i["to"] = {n: ["waiting", 0, None] for n in i["to"]}
                if FAULT.pop("news", False):
                    for i in ITEMS.values():
                        listed(i["from"], i, "status",
                               {"cs": {**cs(), "name": "other.example.org"}}
                               if FAULT.get("stranger") else {})
                for how in ("relist", "announce"):
                    if FAULT.pop(how, False):
                        relist(how)
                self.answer(200, {**COUNT, "listed": sum(len(v) for v in LISTS.values()),
                                  "cancelled": sum(i["state"] == "cancelled"
                                                   for i in ITEMS.values())})
            return
        with LOCK:
            # whoever is told of changes more often asks for the list more often
            COUNT["requests"] += not self.path.startswith("/v1/cache?")
            if FAULT.get("fail", 0) > 0:
                FAULT["fail"] -= 1
                self.json()
                self.fail(503, "SERVER")
                return
        name = (self.command + "_" + part[1]).replace("-", "_").lower()
        getattr(self, name)(part[2:])

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do

    def post_batch(self, part):
        if FAULT.get("no_batch", False):
            self.json()
            self.fail(404, "NOTFOUND")
            return
        if FAULT.get("odd_batch", False):
            self.json()
            self.answer(200, {"answers": [{"status": 200, "json": {}}]})
            return
        parts = [Part(self, r) for r in self.json()["requests"]]
        self.answer(200, {"answers": [p.told() for p in parts]})

    # --- the box

    def put_prekeys(self, part):
        for p in self.json()["prekeys"]:
            PREKEYS[self.headers["NTM-Node"]] = p
        COUNT["puts"] += 1
        self.answer(200, {})

    def get_prekeys(self, part):
        COUNT["prekeys"] += 1
        if FAULT.get("no_prekeys", False):
            self.fail(503, "SERVER")
            return
        if part[0].endswith(FAULT.get("away") or " "):
            self.fail(503, "UNREACHABLE")
            return
        if part[0] == FAULT.get("offline"):
            self.fail(503, "OFFLINE")
            return
        found = [{"name": n, **p} for n, p in PREKEYS.items()
                 if n == part[0] or n.endswith("." + part[0])]
        if FAULT.pop("huge", False):
            found += list(range(100000))
        if found:
            self.answer(200, {"prekeys": found, "offline": FAULT.get("without", [])})
        else:
            self.fail(404, "NONAME")

    def post_temporal_keys(self, part):
        results = []
        for k in self.json()["keys"]:
            t = unb64(k["key"])
            h = b64(hashlib.sha256(b"ntm temporal hash v1" + t).digest())
            if k["to"] in FAULT.get("again", []):
                results.append({"to": k["to"], "code": 4, "error": "AGAIN"})
                continue
            TEMPORAL[h] = (k["to"], k["key"])
            TEMPORAL[(k["to"], self.headers["NTM-Node"], self.ids())] = h
            results.append({"to": k["to"], "code": 0, "error": "OK"})
        COUNT["temporal"] += 1
        if FAULT.get("empty", 0) > 0:
            FAULT["empty"] -= 1
            results = []
        self.answer(200, {"results": results})

    def get_temporal_keys(self, part):
        if part[0] in TEMPORAL and TEMPORAL[part[0]][0] == self.headers["NTM-Node"]:
            self.answer(200, {"key": TEMPORAL[part[0]][1]})
        else:
            self.fail(404, "NOTFOUND")

    def get_servers(self, part):
        self.answer(200, {"servers": [cs()]})

    def get_cache(self, part):
        with LOCK:
            after = int(self.path.split("after=")[1].split("&")[0])
            mine = sorted(LISTS.get(self.headers["NTM-Node"], {}).values(),
                          key=lambda e: e["number"])
            page = [e for e in mine if e["number"] > after][:2]
            more = bool(page) and page[-1] is not mine[-1]
            COUNT["lists"] += 1
            COUNT["given"] += len(page)
            self.answer(200, {"serial": mine[-1]["number"] if mine else 0,
                              "more": more or FAULT.get("endless", False),
                              "entries": page})

    def delete_cache(self, part):
        with LOCK:
            LISTS.get(self.headers["NTM-Node"], {}).pop(int(part[0]), None)
        self.answer(200, {})

    # --- the CS

    def item(self):
        return ITEMS.get((self.headers["NTM-Node"],) + self.ids())

    def post_items(self, part):
        body = self.json()
        if part[1] == "keys":
            key = (self.headers["NTM-Node"],) + self.ids()
            with LOCK:
                i = ITEMS.setdefault(key, {
                    "from": key[0], "ids": key[1:], "data": bytearray(), "size": body["size"],
                    "keys": {k["to"]: k["key"] for k in body["keys"]},
                    "state": "open",
                    "to": {k["to"]: ["waiting", 0, None] for k in body["keys"]}})
                given = {k["to"]: k["key"] for k in body["keys"]}
                if any(i["keys"].get(n, key) != key for n, key in given.items()) or any(
                        i["to"][n][0] == "waiting" for n in set(i["keys"]) - set(given)):
                    self.fail(409, "EXISTS")
                    return
                more = set(given) - set(i["keys"])
                COUNT["grown"] += len(more)
                i["keys"].update(given)
                i["to"].update({n: ["waiting", 0, None] for n in more})
                if i["state"] == "complete":
                    self.list_item(i, more)
                elif FAULT.get("early"):
                    i["hash"] = ""  # a key is told before its data
                    self.list_item(i, given)
                elif "data" in body and not FAULT.get("older"):
                    i["data"][:] = unb64(body["data"])
                    COUNT["bytes"] += len(i["data"])
                    COUNT["whole"] += 1
                    if b64(blobname.of(i["data"])) != body["hash"]:
                        self.fail(400, "INVAL")
                        return
                    self.complete_whole(i, body["hash"])
            life = FAULT.get("life", 0)
            self.answer(201, {"offset": len(i["data"]),
                              "expires": int(time.time()) + life if life else body["expires"]})
        else:
            self.complete(self.item(), body["hash"], body["size"])

    def complete(self, i, digest, size):
        if len(i["data"]) != size:
            self.fail(409, "STATE", offset=len(i["data"]))
            return
        if b64(blobname.of(i["data"])) != digest:
            i["data"].clear()
            self.fail(409, "AUTH", offset=0)
            return
        if i["state"] == "complete":
            self.answer(200, {"hash": digest, "size": size})
            return
        self.complete_whole(i, digest)
        self.answer(200, {"hash": digest, "size": size})

    def complete_whole(self, i, digest):
        with LOCK:
            if FAULT.pop("flip", False):
                i["data"][40] ^= 1
            i["state"], i["hash"] = "complete", digest
            self.list_item(i, i["keys"])

    def list_item(self, i, names):
        digest = i["hash"]
        for to in names:
            listed(to, i, "item", {
                "key_hash": b64(hashlib.sha256(unb64(i["keys"][to])).digest()),
                "data_hash": digest, "size": i["size"],
                "ticket": b64(hashlib.sha256(to.encode() + digest.encode()).digest()),
                "temporal_hash": TEMPORAL.get((to, i["from"], i["ids"]), "")})

    def patch_items(self, part):
        i = self.item()
        left = int(self.headers["Content-Length"])
        if int(self.headers["NTM-Offset"]) != len(i["data"]):
            self.rfile.read(left)
            self.fail(409, "STATE", offset=len(i["data"]))
            return
        with LOCK:
            i["by"] = self
            cut = FAULT.pop("cut", None)
        while left:
            n = min(left, 65536)
            with HELD:
                HELD.wait_for(lambda: FAULT.get("hold") is None
                              or len(i["data"]) < FAULT["hold"])
                if i["by"] is not self:  # a newer one has taken over
                    self.close_connection = True
                    return
            if cut is not None:
                n = min(n, cut)
                cut -= n
            if not n:
                self.close_connection = True
                return
            got = self.rfile.read(n)
            if not got:
                self.close_connection = True
                return
            i["data"] += got
            COUNT["bytes"] += len(got)
            left -= len(got)
        if self.headers["NTM-Hash"]:
            self.complete(i, self.headers["NTM-Hash"], i["size"])
        else:
            self.answer(200, {"offset": len(i["data"])})

    def get_items(self, part):
        i = self.item()
        if FAULT.get("deaf", 0) > 0:
            FAULT["deaf"] -= 1
            self.fail(503, "SERVER")
            return
        if not i:
            self.fail(404, "NOTFOUND")
            return
        self.answer(200, {"state": "lost" if FAULT.get("lost") else i["state"], "to": [
            said(n, *s) for n, s in i["to"].items()]})

    def delete_items(self, part):
        i = self.item()
        with LOCK:
            if i:
                i["state"] = "cancelled"
                for to in i["keys"]:
                    mine = LISTS.get(to, {})
                    for n in [n for n, e in mine.items() if e["item"] == i["ids"][2]]:
                        del mine[n]
        self.answer(200, {})

    def get_keys(self, part):
        for i in ITEMS.values():
            for key in i["keys"].values():
                if b64(hashlib.sha256(unb64(key)).digest()) == part[0]:
                    self.answer(200, {"key": key, **self.with_key(i)})
                    return
        self.fail(404, "NOTFOUND")

    def with_key(self, i):
        with LOCK:
            if (self.headers["NTM-With"] != "data" or i["state"] != "complete"
                    or len(i["data"]) > 16384 or FAULT.get("older") or FAULT.get("instead")
                    or FAULT.get("cut") is not None):
                return {}
            COUNT["with"] += 1
            COUNT["bytes"] += len(i["data"])
            return {"data": b64(bytes(i["data"]))}

    def get_data(self, part):
        i = next((i for i in ITEMS.values() if i.get("hash") == part[0]), None)
        if not i or i["state"] == "cancelled":
            self.fail(404, "NOTFOUND")
            return
        at = int(self.headers.get("Range", "bytes=0-")[6:-1])
        data = bytes(i["data"][at:])
        self.send_response(206 if at else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with LOCK:
            cut = FAULT.pop("cut", None)
            if FAULT.get("instead"):
                name, cut = FAULT["instead"].pop(0)
                with open(name, "rb") as f:
                    data = f.read()
        COUNT["bytes"] += len(data[:cut])
        self.wfile.write(data[:cut])
        if cut is not None:
            self.close_connection = True

    def post_confirmations(self, part):
        body = self.json()
        if FAULT.get("unheard", 0) > 0:
            FAULT["unheard"] -= 1
            COUNT["unheard"] += 1
            self.fail(503, "SERVER")
            return
        with LOCK:
            i = next(i for i in ITEMS.values() if i.get("hash") == body["hash"])
            i["to"][self.headers["NTM-Node"]] = ["refused" if body["code"] else "received",
                                                 body["code"], body.get("receipt")]
            COUNT["receipts"] += "receipt" in body
            RECEIPTS.append(body.get("receipt"))
            listed(i["from"], i, "status", {"from": self.headers["NTM-Node"]})
        self.answer(200, {})


class Part(Handler):
    """a request of a batch"""

    def __init__(self, around, r):
        body = json.dumps(r["json"]).encode() if "json" in r else unb64(r.get("data", ""))
        self.command, self.path, self.status = r["method"], r["path"], 500
        self.headers = HTTPMessage()
        for name in ("NTM-Version", "NTM-Node", "Authorization"):
            if name not in r["headers"]:
                self.headers[name] = around.headers[name]
        for name, value in {**r["headers"], "Content-Length": str(len(body))}.items():
            self.headers[name] = value
        self.rfile, self.wfile = io.BytesIO(body), io.BytesIO()
        COUNT["parts"] += 1
        part = self.path.strip("/").split("/")
        getattr(self, (self.command + "_" + part[1]).replace("-", "_").lower())(part[2:])

    def send_response(self, status, message=None):
        self.status, self.is_json = status, False

    def send_header(self, name, value):
        self.is_json |= value == "application/json"

    def end_headers(self):
        pass

    def told(self):
        data = self.wfile.getvalue()
        return {"status": self.status,
                **({"json": json.loads(data)} if self.is_json else {"data": b64(data)})}


def said(name, state, code, receipt):
    """of a receiver, to the sender"""
    claim = FAULT.get("claim")
    if claim == "refused":
        state, code = "refused", 8
    elif claim:
        state, code = "received", 0
        receipt = {"bare": None, "forged": b64(os.urandom(81)),
                   "replayed": RECEIPTS[-1] if RECEIPTS else None}[claim]
    if FAULT.get("mute"):
        receipt = None
    return {"name": name, "state": state, "code": code, "at": 1,
            **({"receipt": receipt} if receipt else {})}


def cs():
    return {"name": "box.example.org", "addresses": ["127.0.0.1:%d" % PORT]}


def listed(to, i, kind, more):
    COUNT["entry"] += 1
    n = COUNT["entry"]
    e = {"id": n, "number": n, "kind": kind, "from": i["from"], "application": i["ids"][0],
         "service": i["ids"][1], "item": i["ids"][2], "message": "", "cs": cs(),
         "at": 1, "expires": 4000000000}
    e.update(more)
    if FAULT.get("cs"):
        e["cs"]["name"] = FAULT["cs"]
    LISTS.setdefault(to, {})[n] = e
    EVER.append((to, e))


def relist(how):
    for to, e in list(EVER):
        if e["kind"] == "item":
            COUNT["entry"] += 1
            n = COUNT["entry"]
            e = {**e, "id": n, "number": n, "expires": 1}
            if how == "announce":
                e.update(data_hash="", size=0, expires=4000000000)
            LISTS.setdefault(to, {})[n] = e


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


server = Server(("127.0.0.1", 0), Handler)
PORT = server.server_port
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
print(PORT, flush=True)
server.serve_forever()
