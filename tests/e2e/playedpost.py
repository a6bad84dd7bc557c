# SPDX-License-Identifier: MIT
"""playedpost - an ntm-post and a broker that answer `ntm` as the test wants

playedpost.py FOLDER STATES: control.sock and post.sock there. What `send` asks for is a
line of JSON on standard output; the item is "done" then, and its receivers have, in order,
the STATES given, with commas between.
"""
import json
import socketserver
import sys
import threading

folder, states = sys.argv[1], sys.argv[2].split(",")


def receivers(names):
    for i, name in enumerate(names):
        state = states[min(i, len(states) - 1)]
        yield {"name": name, "at": 1, "state": state, "by": "direct",
               **({"error": "AUTH", "text": "the receiver refused it"} if state == "refused" else {})}


def answer(ask):
    if ask["cmd"] == "status":
        return {"ok": True, "domain": "example.org"}
    if ask["cmd"] == "send":
        answer.to = ask["to"]
        print(json.dumps(ask), flush=True)
        return {"ok": True, "id": 1, "item": "x", "files": 1, "folders": 0, "bytes": 1, "left_out": 0}
    if ask["cmd"] == "outbox":
        return {"ok": True, "logged_in": True, "items": [
            {"id": 1, "state": "done", "title": "x", "size": 1, "sent": 1, "to": list(receivers(answer.to))}]}
    return {"ok": False, "error": "INVAL", "text": "not played"}


class Played(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(json.dumps(answer(json.loads(line))).encode() + b"\n")


servers = [socketserver.ThreadingUnixStreamServer(f"{folder}/{name}.sock", Played) for name in ("control", "post")]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
