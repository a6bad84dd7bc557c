# SPDX-License-Identifier: MIT
"""playedpost - an ntm-post and a broker that answer `ntm` as the test wants

playedpost.py FOLDER STATES: control.sock and post.sock there. What `send`, `fetch` and
`taken` ask for is a line of JSON on standard output; the item is "done" then, and its
receivers have, in order, the STATES given, with commas between. In the inbox is one item
of a group and one of another program.
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


inbox = [{"id": i + 1, "application": of, "service": "x", "item": "x", "from": "a.b.example.org", "state": "here",
          "title": "t", "size": 9, "message": "", "folder": "/nowhere"} for i, of in enumerate(["ntm-group", "other"])]


def answer(ask):
    if ask["cmd"] in ("fetch", "taken"):
        print(json.dumps(ask), flush=True)
        return {"ok": True}
    if ask["cmd"] == "inbox":
        found = [i for i in inbox if i["id"] == ask.get("id", i["id"]) and i["id"] > ask.get("after", 0)]
        columns = ("id", "from", "title", "message", "size", "state", "text", "application")
        return {"ok": True, "logged_in": True, "items": found,
                "rows": [[i.get(c, "") for c in columns] for i in found]}
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
            # without blanks, as ntm-post writes
            text = json.dumps(answer(json.loads(line)), separators=(",", ":"))
            self.wfile.write(text.encode() + b"\n")


servers = [socketserver.ThreadingUnixStreamServer(f"{folder}/{name}.sock", Played) for name in ("control", "post")]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
