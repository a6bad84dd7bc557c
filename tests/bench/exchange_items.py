#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""exchange_items.py - items for tests/bench/exchange.sh

Usage: exchange_items.py put FILE NAME | get      a large one, by ntm-post
       exchange_items.py send|spawn NUMBER NAME   small ones, until all were received
       exchange_items.py queue NUMBER NAME | done NUMBER
       exchange_items.py fill SESSION NUMBER NAME SERVER_DIR ADDRESS
       exchange_items.py list SESSION SERVER_DIR ADDRESS
       exchange_items.py hold
       exchange_items.py spend WHO:PID...
put, get, list print seconds; get takes what it fetched. send: by libntmclient, a call an
item; spawn: an `ntm send --background` an item. queue: by the library, until all are
with the Cache Server; done: until the last so many were received. fill: so many items at the Cache Server,
by its own requests; list: the box's whole list. hold: stays connected with ntm-post.
spend: for each of these processes, and children that it has waited for, WHO and its
CPU seconds as a program and in the kernel.
"""
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time

FILLERS = 16

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../e2e")


def fail(text):
    sys.exit("exchange_items.py: " + text)


class Post:
    """post.sock"""

    def __init__(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.environ["XDG_RUNTIME_DIR"] + "/ntm/post.sock")
        self.file = s.makefile("rwb")

    def ask(self, cmd, **more):
        self.file.write(json.dumps({"cmd": cmd, **more}).encode() + b"\n")
        self.file.flush()
        answer = json.loads(self.file.readline())
        if not answer["ok"]:
            fail("%s: %s" % (cmd, answer["text"]))
        return answer

    def watch(self, look):
        """what @look gives, once it gives something: asked again at each change"""
        if found := look():
            return found
        seen = self.ask("wait", seen=0)["changes"]
        while not (found := look()):
            seen = self.ask("wait", seen=seen)["changes"]
        return found

    def until(self, which, number, states):
        """one item at a time: to list all, again and again, is work, too"""

        def look():
            item = self.ask(which, id=number)["items"][0]
            if item["state"] in ("failed", "refused"):
                fail("%s" % item)
            return item if item["state"] in states else None

        return self.watch(look)


def put(path, name):
    post, begun = Post(), time.monotonic()
    number = post.ask("send", files=[path], to=[name])["id"]
    post.until("outbox", number, ("waiting", "done"))
    print("%.3f" % (time.monotonic() - begun))


def get():
    post = Post()

    def held():
        items = post.ask("inbox")["items"]
        return items[-1] if items and items[-1]["state"] == "held" else None

    number, begun = post.watch(held)["id"], time.monotonic()
    post.ask("fetch", id=number)
    post.until("inbox", number, ("here",))
    print("%.3f" % (time.monotonic() - begun))
    post.ask("taken", id=number)


class Order(ctypes.Structure):
    _fields_ = [("to", ctypes.POINTER(ctypes.c_char_p)),
                ("files", ctypes.POINTER(ctypes.c_char_p)),
                ("text", ctypes.c_char_p), ("message", ctypes.c_char_p),
                ("application", ctypes.c_char_p), ("service", ctypes.c_char_p),
                ("item", ctypes.c_char_p)]


def last_number(post):
    number = 0
    while items := post.ask("outbox", after=number)["items"]:
        number = items[-1]["id"]
    return number


def small(one, number, name, state="done"):
    post = Post()
    first = last_number(post) + 1
    for i in range(number):
        one(b"item %d" % i, name)
    for i in range(first, first + number):
        post.until("outbox", i, (state,))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("%.2f" % (used.ru_utime + used.ru_stime))


def done(number):
    post = Post()
    last = last_number(post)
    for i in range(last - int(number) + 1, last + 1):
        post.until("outbox", i, ("done",))


def queue(number, name):
    send(number, name, "waiting")


def send(number, name, state="done"):
    lib, ident = ctypes.CDLL("/usr/local/lib/libntmclient.so.0"), ctypes.c_int64()
    why = ctypes.create_string_buffer(300)
    to = (ctypes.c_char_p * 2)(name.encode(), None)

    def one(text, _name):
        order = Order(to=to, text=text)
        if lib.ntm_items_send(ctypes.byref(order), ctypes.byref(ident), why, 300):
            fail(why.value.decode())

    small(one, int(number), name, state)


def spawn(number, name):
    small(lambda text, name: subprocess.run(
        ["ntm", "send", "--background", name], check=True, input=text,
        stdout=subprocess.DEVNULL), int(number), name)


def fill(session, number, name, server_dir, address):
    """by some connections at once: they share the server's commits"""
    import exchange

    def some(numbers):
        cs = exchange.Cs(session, server_dir, address)
        for i in numbers:
            item, data = "list-%d" % i, b"%d" % i
            key = {"to": name, "key": exchange.b64(b"sealed %d" % i)}
            status, _, answer = cs.send(
                "POST", "/v1/items/%s/keys" % item, cs.headers(NTM_To=name, NTM_Item=item),
                json.dumps({"keys": [key], "size": len(data)}))
            if status == 201:
                digest = exchange.named(data)
                status, _, answer = cs.send(
                    "PATCH", "/v1/items/%s/data" % item,
                    cs.headers(NTM_Offset=0, NTM_Hash=digest), data)
            if status != 200:
                print("%d %s" % (status, answer), file=sys.stderr)
                os._exit(1)

    threads = [threading.Thread(target=some, args=(range(n, int(number), FILLERS),))
               for n in range(FILLERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def listing(session, server_dir, address):
    import exchange
    box = exchange.Box(session, server_dir, address)
    box.send("GET", "/v1/cache?after=0&limit=1", box.headers(), None)
    begun = time.monotonic()
    _, _, body = box.send("GET", "/v1/cache?after=0&limit=20000", box.headers(), None)
    print("%.4f" % (time.monotonic() - begun))
    if json.loads(body)["more"]:
        fail("there is more")


def hold():
    Post().file.read()


def spend(*processes):
    second = os.sysconf("SC_CLK_TCK")
    for process in processes:
        who, _, pid = process.rpartition(":")
        fields = open("/proc/%s/stat" % pid).read().rpartition(")")[2].split()
        user, kernel, its_user, its_kernel = (int(v) / second for v in fields[11:15])
        print("%s %.2f %.2f" % (who, user + its_user, kernel + its_kernel))


if __name__ == "__main__":
    {"put": put, "get": get, "send": send, "spawn": spawn,
     "queue": queue, "done": done, "fill": fill,
     "list": listing, "hold": hold, "spend": spend}[sys.argv[1]](*sys.argv[2:])
