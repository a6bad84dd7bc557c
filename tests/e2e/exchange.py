#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""exchange.py - a client of the Cache Server for tests, held to docs/exchange.yaml

Usage: exchange.py SCENARIO SESSION SERVER_DIR ADDRESS [ARGUMENT...]
Prints `ok ...` lines; ends with status 1 and a sentence at the first thing wrong.
SESSION: the state file of a node that is logged in. SERVER_DIR: the server's folder, of
which the CA is read, and tickets (what a box would have been told).
"""
import base64
import http.client
import json
import os
import random
import re
import resource
import select
import socket
import sqlite3
import ssl
import sys
import time

import jsonschema
import yaml

import blobname

ROOT = os.path.dirname(os.path.abspath(__file__)) + "/../.."
PORT = 4507


def fail(text):
    sys.exit("exchange.py: " + text)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def session_fields(path):
    """numbers and bytes of a protobuf message, the last of each field"""
    data, at, fields = open(path, "rb").read(), 0, {}

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value = data[at:at + size]
            at += size
        else:
            size = varint()
            value = data[at:at + size]
            at += size
        fields[key >> 3] = value
    return fields


class Spec:
    """docs/exchange.yaml: is a request, is an answer as it says?"""

    def __init__(self):
        self.root = self.plain(yaml.safe_load(open(ROOT + "/docs/exchange.yaml")))
        self.used = set()

    def plain(self, node):
        """OpenAPI 3.0's nullable as JSON Schema has it"""
        if isinstance(node, list):
            return [self.plain(v) for v in node]
        if not isinstance(node, dict):
            return node
        node = {k: self.plain(v) for k, v in node.items()}
        if node.pop("nullable", False):
            return {"anyOf": [node, {"type": "null"}]}
        return node

    def follow(self, node):
        while "$ref" in node:
            target = self.root
            for part in node["$ref"].split("/")[1:]:
                target = target[part]
            node = target
        return node

    def check(self, schema, value, what):
        resolver = jsonschema.RefResolver("", self.root)
        errors = list(jsonschema.Draft4Validator(schema, resolver=resolver)
                      .iter_errors(value))
        if errors:
            fail("%s: %s" % (what, errors[0].message))

    def operation(self, method, path):
        for template, item in self.root["paths"].items():
            pattern = re.sub(r"\{[^}]*\}", "([^/]+)", template)
            found = re.fullmatch(pattern, path)
            if found and method.lower() in item:
                op = item[method.lower()]
                parameters = item.get("parameters", []) + op.get("parameters", [])
                names = re.findall(r"\{([^}]*)\}", template)
                return (op, [self.follow(p) for p in parameters],
                        dict(zip(names, found.groups())), template)
        fail("%s %s is not in the file" % (method, path))

    def request(self, method, url, headers, body):
        path, _, query = url.partition("?")
        op, parameters, values, template = self.operation(method, path)
        query = dict(p.split("=") for p in query.split("&")) if query else {}
        lower = {k.lower(): v for k, v in headers.items()}
        for p in parameters:
            value = {"path": values, "query": query,
                     "header": lower}[p["in"]].get(p["name"].lower())
            if value is None:
                if p.get("required"):
                    fail("%s %s lacks %s" % (method, template, p["name"]))
                continue
            schema = self.follow(p["schema"])
            if schema.get("type") == "integer":
                value = int(value)
            self.check(schema, value, p["name"])
        if isinstance(body, dict):
            content = op["requestBody"]["content"]["application/json"]
            self.check(content["schema"], body, "%s %s" % (method, template))
        return op, "%s %s" % (method, template)

    def answer(self, op, name, status, headers, body):
        if str(status) not in op["responses"]:
            fail("%s answers %d, which is not in the file: %s"
                 % (name, status, body[:200]))
        self.used.add((name, status))
        response = self.follow(op["responses"][str(status)])
        for header, rule in response.get("headers", {}).items():
            value = headers.get(header)
            if value is None:
                fail("%s %d lacks %s" % (name, status, header))
            if rule["schema"].get("type") == "integer":
                value = int(value)
            self.check(rule["schema"], value, header)
        kind = headers.get("Content-Type")
        if kind not in response["content"]:
            fail("%s %d is %s" % (name, status, kind))
        if kind == "application/json":
            body = json.loads(body)
            self.check(response["content"][kind]["schema"], body,
                       "%s %d" % (name, status))
        return body

    def part(self, op, name, answer):
        """the answer to a part of a batch; its body"""
        name = "%s %d in a batch" % (name, answer["status"])
        if str(answer["status"]) not in op["responses"]:
            fail(name + " is not in the file")
        content = self.follow(op["responses"][str(answer["status"])])["content"]
        if "data" in answer:
            if "application/octet-stream" not in content:
                fail(name + " is bytes")
            text = answer["data"]
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        self.check(content["application/json"]["schema"], answer.get("json"), name)
        return answer["json"]

    def operations(self, server):
        """those of that server, as answer() names them"""
        return {"%s %s" % (method.upper(), template)
                for template, item in self.root["paths"].items()
                if server in json.dumps(item.get("servers", self.root["servers"]))
                for method in ("get", "put", "post", "patch", "delete")
                if method in item}


class Cs:
    spec = Spec()

    def __init__(self, session, server_dir, address):
        fields = session_fields(session)
        self.node, self.token = fields[2].decode(), fields[20]
        self.domain = self.node.split(".", 2)[2]
        self.dir, self.address = server_dir, address
        self.tls = ssl.create_default_context(cafile=server_dir + "/cs/ca.pem")
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.http = None

    def connect(self):
        raw = socket.create_connection((self.address, PORT), 30)
        return self.tls.wrap_socket(raw, server_hostname="cs." + self.domain)

    def send(self, method, url, headers, body):
        for again in (False, True):
            if not self.http:
                self.http = http.client.HTTPConnection("cs." + self.domain)
                self.http.sock = self.connect()
            try:
                self.http.request(method, url, body, headers)
                r = self.http.getresponse()
                return r.status, r.headers, r.read()
            except (OSError, http.client.HTTPException):
                self.http.close()
                self.http = None
                if again:
                    raise

    def headers(self, token=None, node=None, **more):
        all_of_them = {"NTM-Version": "test", "NTM-Node": node or self.node,
                       "Authorization": "Bearer " + b64(token or self.token),
                       "NTM-Application": "ntm", "NTM-Service": "file"}
        for name, value in more.items():
            all_of_them[name.replace("_", "-")] = str(value)
        return all_of_them

    def ask(self, want, method, url, headers=None, body=None, lax=False):
        """@lax: the request is wrong on purpose, and not held to the file"""
        headers = headers or self.headers()
        if lax:
            op, _, _, template = self.spec.operation(method, url.split("?")[0])
            name = "%s %s" % (method, template)
        else:
            op, name = self.spec.request(method, url, headers, body)
        data = json.dumps(body) if isinstance(body, dict) else body
        status, answer_headers, answer = self.send(method, url, headers, data)
        got = self.spec.answer(op, name, status, answer_headers, answer)
        if status != want:
            fail("%s %s: %d instead of %d: %s"
                 % (method, url, status, want, answer[:200]))
        return got

    def batch(self, headers, want, parts):
        """parts of a batch, each held to the file; @want: their statuses. Return: bodies"""
        plain = {k: v for k, v in headers.items()
                 if k in ("NTM-Version", "NTM-Node", "Authorization")}
        ops, bodies = [], []
        for part, status in zip(parts, want):
            mine = dict(plain, **part.get("headers", {}))
            if status == 400:  # wrong on purpose
                op, _, _, template = self.spec.operation(part["method"], part["path"])
                ops.append((op, part["method"] + " " + template))
            else:
                ops.append(self.spec.request(part["method"], part["path"], mine,
                                             part.get("json")))
        answers = self.ask(200, "POST", "/v1/batch", plain,
                           {"requests": list(parts)})["answers"]
        if [a["status"] for a in answers] != list(want):
            fail("a batch is answered with %r" % answers)
        for (op, name), a in zip(ops, answers):
            bodies.append(self.spec.part(op, name, a))
        return bodies

    def begin(self, item, size, to=("a.b.example.net",), want=201, **more):
        body = {"keys": [{"to": t, "key": b64(sealed(item, t))} for t in to],
                "size": size}
        return self.ask(want, "POST", "/v1/items/%s/keys" % item,
                        self.headers(NTM_To=", ".join(to), NTM_Item=item, **more),
                        body)

    def patch(self, item, offset, data, want=200, **more):
        return self.ask(want, "PATCH", "/v1/items/%s/data" % item,
                        self.headers(NTM_Offset=offset, **more), data)

    def item(self, item, want=200):
        return self.ask(want, "GET", "/v1/items/" + item)

    def ticket(self, item, name):
        db = sqlite3.connect("file:%s/cs/cs.db?mode=ro" % self.dir, uri=True)
        row = db.execute("SELECT ticket, key_hash FROM receivers JOIN items ON"
                         " receivers.item = items.number WHERE items.item = ?"
                         " AND name = ?", (item, name)).fetchone()
        db.close()
        return row


def ok(text):
    print("ok - " + text, flush=True)


def sealed(item, name):
    return ("sealed %s %s" % (item, name)).encode()


def named(data):
    return b64(blobname.of(data))


# --- every request and answer of the file ---------------------------------------------

def conform(cs):
    data = random.Random(1).randbytes(300000)
    name, hash_text = "a.b.example.net", named(data)
    message = "gr%C3%BC%C3%9Fe"
    cs.begin("x1", len(data), NTM_Message=message)
    cs.begin("x1", len(data), want=200)
    cs.begin("x1", len(data), to=("c.d.example.net",), want=409)
    cs.begin("x2", 1 << 50, want=507)
    cs.patch("x1", 0, data[:100000])
    cs.patch("x1", 0, data[:10], want=409)
    cs.patch("x1", 100000, data, want=413)
    cs.patch("none", 0, b"x", want=404)
    cs.ask(400, "PATCH", "/v1/items/x1/data", cs.headers(), b"x", lax=True)
    cs.ask(409, "POST", "/v1/items/x1/complete",
           body={"hash": hash_text, "size": len(data)})
    ticket, key_hash = cs.ticket("x1", name)
    mine = cs.headers(ticket, name)
    if cs.ask(200, "GET", "/v1/keys/" + b64(key_hash), mine)["hash"] is not None:
        fail("an item has a hash before its data")
    cs.ask(404, "GET", "/v1/data/" + hash_text, mine)
    cs.patch("x1", 100000, data[100000:])
    if cs.item("x1")["offset"] != len(data):
        fail("the offset is not the size")
    cs.ask(200, "POST", "/v1/items/x1/complete",
           body={"hash": hash_text, "size": len(data)})
    cs.ask(404, "POST", "/v1/items/none/complete",
           body={"hash": hash_text, "size": 5})
    cs.ask(400, "POST", "/v1/items/x1/complete", body={"size": 5}, lax=True)
    if cs.ask(200, "GET", "/v1/data/" + hash_text, mine) != data:
        fail("other data came")
    ranged = dict(mine, Range="bytes=299990-")
    if cs.ask(206, "GET", "/v1/data/" + hash_text, ranged) != data[299990:]:
        fail("another part came")
    cs.ask(416, "GET", "/v1/data/" + hash_text, dict(mine, Range="bytes=300000-"))
    cs.ask(403, "GET", "/v1/data/" + named(b"x"), mine)
    cs.ask(403, "GET", "/v1/keys/" + hash_text, mine)
    tickets(cs, hash_text, key_hash, name, ticket)
    key = cs.ask(200, "GET", "/v1/keys/" + b64(key_hash), mine)
    if key["message"] != "gr\u00fc\u00dfe" or key["hash"] != hash_text:
        fail("the key came with %r" % key)
    receipt = b64(os.urandom(81))
    confirm = {"hash": hash_text, "code": 0, "receipt": receipt}
    cs.ask(400, "POST", "/v1/confirmations", mine, dict(confirm, receipt="AAAA"),
           lax=True)
    cs.ask(409, "POST", "/v1/confirmations", mine,
           dict(confirm, hash=named(b"x")))
    cs.ask(400, "POST", "/v1/confirmations", mine, {"code": -1}, lax=True)
    cs.ask(200, "POST", "/v1/confirmations", mine, confirm)
    cs.ask(200, "POST", "/v1/confirmations", mine, confirm)
    cs.ask(404, "GET", "/v1/keys/" + b64(key_hash), mine)
    got = cs.item("x1")
    if (got["state"] != "done" or got["to"][0]["state"] != "received"
            or got["to"][0]["receipt"] != receipt):
        fail("the sender sees %r" % got)
    cs.ask(404, "GET", "/v1/items/none")
    cs.begin("x3", 5)
    cs.patch("x3", 0, b"12345", NTM_Hash=named(b"12345"))
    cs.begin("x4", 5)
    got = cs.patch("x4", 0, b"12345", NTM_Hash=named(b"6"), want=409)
    if got["offset"] != 0 or got["error"] != "AUTH":
        fail("a wrong hash is answered with %r" % got)
    if cs.ask(200, "DELETE", "/v1/items/x3")["state"] != "cancelled":
        fail("it is not cancelled")
    cs.ask(404, "DELETE", "/v1/items/none")
    first = cs.ask(200, "GET", "/v1/items?limit=2")
    rest = cs.ask(200, "GET", "/v1/items?limit=1000&after=%d"
                  % first["items"][-1]["number"])
    if [i["item"] for i in first["items"] + rest["items"]] != ["x1", "x5", "x3", "x4"]:
        fail("the list is %r %r" % (first, rest))
    cs.ask(400, "GET", "/v1/items?limit=5000", lax=True)
    foreign(cs, hash_text, key_hash)
    batches(cs, name)
    small(cs, name)
    cs.ask(413, "POST", "/v1/confirmations", cs.headers(ticket, name),
           b" " * 5000, lax=True)
    done = {kind for kind, status in cs.spec.used if status < 300}
    for missing in sorted(cs.spec.operations("//cs.") - done):
        fail(missing + " never succeeded")
    ok("every request and answer is as docs/exchange.yaml says: %d kinds"
       % len(cs.spec.used))


def small(cs, name):
    """all of it with its keys, and out with its key"""
    item, data = "x7", random.Random(2).randbytes(16384)
    body = {"keys": [{"to": name, "key": b64(sealed(item, name))}], "size": len(data),
            "data": b64(data), "hash": named(data)}
    headers = cs.headers(NTM_To=name, NTM_Item=item)
    for status in (201, 200):
        if cs.ask(status, "POST", "/v1/items/x7/keys", headers, body)["offset"] != len(data):
            fail("not all of it is there")
    cs.ask(400, "POST", "/v1/items/x7/keys", headers, dict(body, data=b64(data[1:])),
           lax=True)
    cs.ask(409, "POST", "/v1/items/x7/keys", headers,
           dict(body, data=b64(b"x" + data[1:]), hash=named(b"x" + data[1:])))
    ticket, key_hash = cs.ticket(item, name)
    mine = cs.headers(ticket, name)
    key = "/v1/keys/" + b64(key_hash)
    if cs.ask(200, "GET", key, dict(mine, **{"NTM-With": "data"}))["data"] != b64(data):
        fail("other data came with the key")
    if "data" in cs.ask(200, "GET", key, mine):
        fail("data came that nobody asked for")
    if cs.ask(200, "GET", "/v1/data/" + named(data), mine) != data:
        fail("other data came")
    if cs.ask(206, "GET", "/v1/data/" + named(data),
              dict(mine, Range="bytes=-3")) != data[-3:]:
        fail("another part came")
    cs.ask(200, "POST", "/v1/confirmations", mine, {"hash": named(data), "code": 0})


def batches(cs, name):
    """several requests in one: each part, and the whole, as the file says"""
    item = {"NTM-Application": "ntm", "NTM-Service": "file"}
    got = cs.batch(cs.headers(), (201, 404, 400), (
        {"method": "POST", "path": "/v1/items/x6/keys",
         "headers": dict(item, **{"NTM-To": name, "NTM-Item": "x6"}),
         "json": {"keys": [{"to": name, "key": b64(sealed("x6", name))}], "size": 5}},
        {"method": "GET", "path": "/v1/items/none", "headers": item},
        {"method": "GET", "path": "/v1/items"}))
    if got[0]["offset"] != 0:
        fail("an item begins with %r" % got[0])
    hash_text = named(b"batch")
    cs.batch(cs.headers(), (200, 404), (
        {"method": "PATCH", "path": "/v1/items/x6/data", "data": b64(b"batch"),
         "headers": dict(item, **{"NTM-Offset": "0", "NTM-Hash": hash_text})},
        {"method": "DELETE", "path": "/v1/items/none", "headers": item}))
    ticket, key_hash = cs.ticket("x6", name)
    got = cs.batch(cs.headers(ticket, name), (200, 200, 403), (
        {"method": "GET", "path": "/v1/keys/" + b64(key_hash)},
        {"method": "GET", "path": "/v1/data/" + hash_text},
        {"method": "GET", "path": "/v1/data/" + named(b"x")}))
    if got[1] != b"batch":
        fail("other data came: %r" % got[1])
    cs.batch(cs.headers(ticket, name), (200,), (
        {"method": "POST", "path": "/v1/confirmations",
         "json": {"hash": hash_text, "code": 0}},))
    cs.batch(cs.headers(), (200,), (
        {"method": "GET", "path": "/v1/items/x6", "headers": item},))
    for wrong in ({}, {"requests": []}):
        cs.ask(400, "POST", "/v1/batch", body=wrong, lax=True)
    cs.ask(401, "POST", "/v1/batch", cs.headers(bytes(32)),
           {"requests": [{"method": "GET", "path": "/v1/items/x6", "headers": item}]})


def tickets(cs, hash_text, key_hash, name, ticket):
    """a ticket opens one item for one receiver"""
    other = "c.d.example.net"
    cs.begin("x5", 5, to=(name, other))
    cs.patch("x5", 0, b"12345", NTM_Hash=named(b"12345"))
    his, his_key = cs.ticket("x5", other)
    mine, my_key = cs.ticket("x5", name)
    for headers, want in ((cs.headers(ticket, other), 401),  # another's, of that item
                          (cs.headers(his, name), 401),  # mine with his ticket
                          (cs.headers(cs.token, cs.node), 401),  # a token is no ticket
                          (cs.headers(his, other), 403),  # his, for another item
                          (cs.headers(mine, name), 403)):
        cs.ask(want, "GET", "/v1/keys/" + b64(key_hash), headers)
        cs.ask(want, "GET", "/v1/data/" + hash_text, headers)
        cs.ask({403: 409}.get(want, want), "POST", "/v1/confirmations", headers,
               {"hash": hash_text, "code": 0})
    cs.ask(403, "GET", "/v1/keys/" + b64(his_key), cs.headers(mine, name))
    # whoever fetches is no sender: a ticket does not list, cancel or write
    for method, url in (("GET", "/v1/items"), ("DELETE", "/v1/items/x5")):
        cs.ask(401, method, url, cs.headers(mine, name))
    if cs.item("x5")["state"] != "complete":
        fail("somebody has changed it")
    if cs.ask(200, "DELETE", "/v1/items/x5")["state"] != "cancelled":
        fail("it is not cancelled")


def foreign(cs, hash_text, key_hash):
    """whoever has no token, or another's"""
    for headers in (cs.headers(bytes(32)), cs.headers(node="other." + cs.domain)):
        for method, url, body in (
                ("GET", "/v1/items", None), ("GET", "/v1/items/x1", None),
                ("DELETE", "/v1/items/x1", None),
                ("PATCH", "/v1/items/x1/data", b"x"),
                ("POST", "/v1/items/x1/complete", {"hash": hash_text, "size": 1}),
                ("GET", "/v1/keys/" + b64(key_hash), None),
                ("GET", "/v1/data/" + hash_text, None),
                ("POST", "/v1/confirmations", {"hash": hash_text, "code": 0})):
            more = dict(headers, **{"NTM-Offset": "0"}) if body == b"x" else headers
            cs.ask(401, method, url, more, body)


# --- faults ----------------------------------------------------------------------------

def truncated(cs):
    """a body that ends early leaves what came, and nothing else"""
    data = random.Random(2).randbytes(200000)
    cs.begin("t", len(data))
    s = cs.connect()
    lines = ["PATCH /v1/items/t/data HTTP/1.1", "Host: cs." + cs.domain,
             "Content-Length: %d" % len(data)]
    lines += ["%s: %s" % h for h in cs.headers(NTM_Offset=0).items()]
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data[:70000])
    end = time.monotonic() + 20
    while cs.item("t")["offset"] < 70000:
        if time.monotonic() > end:
            fail("what came is not there")
    s.close()
    # the one whose connection hangs has lost it to the next
    got = cs.patch("t", 70000, data[70000:], NTM_Hash=named(data))
    if got["offset"] != len(data):
        fail("it is not complete")
    cs.ask(200, "DELETE", "/v1/items/t")
    ok("a body that ended early went on where it ended")


def box_loris(cs):
    """a header, and a body, of which a byte comes now and then, and nothing at all"""
    box = Box(sys.argv[2], cs.dir, cs.address)
    begun = time.monotonic()
    head, body, idle = box.connect(), box.connect(), box.connect()
    lines = ["PUT /v1/prekeys HTTP/1.1", "Host: box." + box.domain, "Content-Length: 20000"]
    lines += ["%s: %s" % h for h in box.headers().items()]
    body.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    head.sendall(b"GET /v1/cache?after=0 HTTP/1.1\r\n")
    ends = drip({"header": head, "body": body, "silence": idle}, begun)
    if ends["header"] > 20 or ends["silence"] > 20 or ends["body"] > 50:
        fail("they ended late: %r" % ends)
    if ends["body"] < 20:
        fail("the body was refused, not too slow: %r" % ends)
    ok("slow ones end: header after %.0f s, body after %.0f s, silence after %.0f s"
       % (ends["header"], ends["body"], ends["silence"]))


def drip(all, begun):
    """a byte to each but "silence", until the server has ended all; when, by name"""
    ends = {}
    while len(ends) < len(all) and time.monotonic() - begun < 60:
        for name, s in all.items():
            if name in ends:
                continue
            try:
                if select.select([s], [], [], 0.3)[0] and not s.recv(1000):
                    ends[name] = time.monotonic() - begun
                elif name != "silence":
                    s.sendall(b"x")
            except OSError:
                ends[name] = time.monotonic() - begun
    if len(ends) < len(all):
        fail("still open after a minute: only %r ended" % ends)
    return ends


def loris(cs):
    """a header, and a body, of which a byte comes now and then"""
    begun = time.monotonic()
    head, body, idle = cs.connect(), cs.connect(), cs.connect()
    cs.begin("slow", 100000)
    lines = ["PATCH /v1/items/slow/data HTTP/1.1", "Host: cs." + cs.domain,
             "Content-Length: 100000"]
    lines += ["%s: %s" % h for h in cs.headers(NTM_Offset=0).items()]
    body.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    head.sendall(b"GET /v1/items HTTP/1.1\r\n")
    ends = drip({"header": head, "body": body, "silence": idle}, begun)
    cs.item("slow")
    if ends["header"] > 20 or ends["silence"] > 20 or ends["body"] > 50:
        fail("they ended late: %r" % ends)
    cs.ask(200, "DELETE", "/v1/items/slow")
    ok("slow ones end: header after %.0f s, body after %.0f s, silence after %.0f s"
       % (ends["header"], ends["body"], ends["silence"]))


def many(cs, number, server="cs", source=None):
    """that many connections that say nothing; others are served meanwhile

    Of @source (10.2.0.), 250 from each address from .10 on."""
    number = int(number)
    port, url, want = (4508, "/v1/cache?after=0", 200) if server == "box" else \
        (PORT, "/v1/items/none", 404)

    def ask(c):
        status, _, body = c.send("GET", url, c.headers(), None)
        if status != want:
            fail("%d %s" % (status, body))

    def client():
        return (Box if server == "box" else Cs)(sys.argv[2], cs.dir, cs.address)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cs = client()
    ask(cs)
    held, worst = [], 0
    for i in range(number):
        s = socket.socket(socket.AF_INET)
        s.setblocking(False)
        s.bind(("127.0.%d.%d" % (i // 200 % 250, 1 + i % 200), 0)) \
            if cs.address.startswith("127.") else None
        if source:
            s.bind((source + str(10 + i // 250), 0))
        s.connect_ex((cs.address, port))
        held.append(s)
        if i % 500 == 499:
            begun = time.monotonic()
            ask(cs)
            worst = max(worst, time.monotonic() - begun)
            fresh = client()
            begun = time.monotonic()
            ask(fresh)
            worst = max(worst, time.monotonic() - begun)
            fresh.http.close()
    stand = sum(1 for s in held if not closed(s))
    print("held %d" % stand, flush=True)
    if worst > 5:
        fail("others waited %.1f s" % worst)
    ok("%d connections, others waited %.0f ms at most" % (stand, worst * 1000))
    sys.stdin.readline()


def served(cs, number):
    """so many small items, each of a connection of its own"""
    data, worst, all_of_them = b"12345", 0, time.monotonic()
    for i in range(int(number)):
        item = "served.%d" % time.time_ns()
        begun = time.monotonic()
        cs.begin(item, len(data))
        cs.patch(item, 0, data, NTM_Hash=named(data))
        cs.ask(200, "DELETE", "/v1/items/" + item)
        worst = max(worst, time.monotonic() - begun)
        cs.http.close()
        cs.http = None
    if worst > 5:
        fail("one took %.1f s" % worst)
    ok("%s is served %d times, %.0f ms each, %.0f at most" % (
        cs.node, i + 1, (time.monotonic() - all_of_them) * 1000 / (i + 1), worst * 1000))


def closed(s):
    try:
        return s.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def upload(cs, item, path):
    """until it is complete, whatever ends meanwhile"""
    size, begun, cuts = os.path.getsize(path), time.monotonic(), 0
    with open(path, "rb") as f:
        digest = blobname.of_file(f)
    while True:
        if time.monotonic() - begun > 200:
            fail("it does not become complete")
        try:
            state = cs.begin(item, size, want=201 if not cuts else 200) \
                if cuts == 0 else cs.item(item)
            if state.get("state") == "complete":
                break
            with open(path, "rb") as f:
                f.seek(state["offset"])
                headers = cs.headers(NTM_Offset=state["offset"],
                                     NTM_Hash=b64(digest),
                                     Content_Length=size - state["offset"])
                status, _, answer = cs.send_once("PATCH",
                                                 "/v1/items/%s/data" % item,
                                                 headers, f)
            if status == 200:
                break
            if status not in (409, 429, 503):
                fail("%d %s" % (status, answer))
        except (OSError, http.client.HTTPException):
            if cs.http:
                cs.http.close()
            cs.http = None
            time.sleep(0.2)  # it was killed: nobody says when it listens again
        cuts += 1
    ok("%s is complete after %d cuts" % (item, cuts))


def send_once(self, method, url, headers, body):
    if not self.http:
        self.http = http.client.HTTPConnection("cs." + self.domain)
        self.http.sock = self.connect()
    self.http.request(method, url, body, headers)
    r = self.http.getresponse()
    return r.status, r.headers, r.read()


Cs.send_once = send_once


def download(cs, item, path):
    ticket, _ = cs.ticket(item, "a.b.example.net")
    db = sqlite3.connect("file:%s/cs/cs.db?mode=ro" % cs.dir, uri=True)
    digest = db.execute("SELECT hash FROM items WHERE item = ?", (item,)).fetchone()[0]
    got = cs.ask(200, "GET", "/v1/data/" + b64(digest),
                 cs.headers(ticket, "a.b.example.net"))
    if got != open(path, "rb").read():
        fail("other data came")
    ok("%s comes back as it went" % item)


def full(cs, path, step):
    """a disk that becomes full while data comes: 507, and it goes on later"""
    data = open(path, "rb").read()
    if step == "begin":
        cs.begin("full", len(data))
        cs.patch("full", 0, data[:1000000])
        return
    offset = cs.item("full")["offset"]
    if step == "full":
        # what is too long to be read to its end is cut off; the next is told why
        got = cs.patch("full", offset, data[offset:offset + (8 << 20)], want=507)
        if got["error"] != "STORE":
            fail("%r" % got)
        cs.begin("full2", 1000, want=507)
        ok("a full disk is said")
    else:
        if offset < 1000000:
            fail("what was acknowledged is gone")
        cs.patch("full", offset, data[offset:], NTM_Hash=named(data))
        ok("it went on at %d" % offset)


class Box(Cs):
    """the same towards the box; not held to the file"""

    def connect(self):
        raw = socket.create_connection((self.address, 4508), 30)
        return self.tls.wrap_socket(raw, server_hostname="box." + self.domain)

    def entry(self, kind, item):
        """what waits for this node; it may be on its way"""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            status, _, body = self.send("GET", "/v1/cache?after=0", self.headers(), None)
            if status != 200:
                fail("the box says %d %s" % (status, body))
            for e in json.loads(body)["entries"]:
                if (e["kind"], e["item"]) == (kind, item) and \
                        (kind != "item" or e["data_hash"]):
                    return e
            time.sleep(0.1)  # the box tells devices by the DC, not by this connection
        fail("the box has no %s of %s: %s" % (kind, item, body))


def deliver(cs, other):
    """from a sender to a receiver of the same domain, by its box"""
    data, item = random.Random(3).randbytes(100000), "deliver"
    box = Box(other, cs.dir, cs.address)
    cs.begin(item, len(data), to=(box.node,))
    cs.patch(item, 0, data, NTM_Hash=named(data))
    e = box.entry("item", item)
    if e["from"] != cs.node or e["size"] != len(data) or \
            e["data_hash"] != named(data) or not e["cs"]["addresses"]:
        fail("the box says %r" % e)
    ticket = base64.urlsafe_b64decode(e["ticket"] + "=")
    mine = cs.headers(ticket, box.node)
    key = cs.ask(200, "GET", "/v1/keys/" + e["key_hash"], mine)
    if key["key"] != b64(sealed(item, box.node)):
        fail("another key came: %r" % key)
    if cs.ask(200, "GET", "/v1/data/" + e["data_hash"], mine) != data:
        fail("other data came")
    ok("%s is told by the box and fetches it by its ticket" % box.node)
    cs.ask(200, "POST", "/v1/confirmations", mine,
           {"hash": e["data_hash"], "code": 0})
    status = Box(sys.argv[2], cs.dir, cs.address).entry("status", item)
    if status["from"] != box.node or cs.item(item)["state"] != "done":
        fail("the sender sees %r %r" % (status, cs.item(item)))
    ok("and the sender is told that it has it")


def away(cs, name):
    """sent while the box is away"""
    cs.begin("away", 5, to=(name,))
    cs.patch("away", 0, b"12345", NTM_Hash=named(b"12345"))
    ok("an item is taken while the box is away")


def told(cs, other):
    Box(other, cs.dir, cs.address).entry("item", "away")
    ok("and told when it is back")


def says(cs, server):
    """status, and the sentence of an error, of a request with this token"""
    if server == "box":
        cs, url = Box(sys.argv[2], cs.dir, cs.address), "/v1/cache?after=0"
    else:
        url = "/v1/items"
    status, _, body = cs.send("GET", url, cs.headers(), None)
    print(" ".join([str(status), json.loads(body).get("text", "")]).strip())


def slowly(cs, flag):
    """an upload that is in the middle until there is a file @flag"""
    data = random.Random(4).randbytes(500000)
    cs.begin("slowly", len(data))
    s = cs.connect()
    lines = ["PATCH /v1/items/slowly/data HTTP/1.1", "Host: cs." + cs.domain,
             "Content-Length: %d" % len(data)]
    lines += ["%s: %s" % h for h in
              cs.headers(NTM_Offset=0, NTM_Hash=named(data)).items()]
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data[:1000])
    print("begun", flush=True)
    for i in range(1000, len(data) - 1):
        if os.path.exists(flag):
            break
        s.sendall(data[i:i + 1])
        time.sleep(0.1)  # as slow as this is the sender
    s.sendall(data[i:])
    r = http.client.HTTPResponse(s)
    r.begin()
    if r.status != 200:
        fail("%d %s" % (r.status, r.read()))
    ok("whole after %d bytes and the rest" % i)


SCENARIOS = {"says": says, "slowly": slowly, "conform": conform, "deliver": deliver, "away": away, "told": told, "truncated": truncated, "loris": loris, "box-loris": box_loris,
             "many": many, "served": served, "upload": upload, "download": download, "full": full}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Cs(*sys.argv[2:5]), *sys.argv[5:])
