#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""playedpost - stands in for ntm-post where a test looks at how it is started

Writes a JSON line for all that it hears to ~/post.log.  With ~/post.stay it stays, and
says that it is busy; without, it ends when it is idle: every connection is answered
with a line, and the first second without one is the end.
"""
import json
import os
import select
import socket
import sys

HOME = os.path.expanduser("~")


def log(**what):
    with open(os.path.join(HOME, "post.log"), "a", encoding="utf-8") as f:
        f.write(json.dumps({"pid": os.getpid(), **what}) + "\n")


def main():
    names = os.environ["LISTEN_FDNAMES"].split(":")
    own = int(os.environ["LISTEN_PID"]) == os.getpid()
    log(names=names, own=own, count=int(os.environ["LISTEN_FDS"]),
        preload=os.environ["LD_PRELOAD"], argv=sys.argv[1:])
    sockets = {socket.socket(fileno=3 + i): name for i, name in enumerate(names)}
    link = next(s for s, name in sockets.items() if name == "link")
    stay = os.path.exists(os.path.join(HOME, "post.stay"))
    events = 0
    if stay:
        link.send(b'{"say":"busy"}')
    while True:
        ready = select.select(list(sockets), [], [], None if stay else 1)[0]
        if not ready:
            break
        for s in ready:
            if s is link:
                text = s.recv(4096)
                if not text:
                    return
                events += 1
                log(heard=json.loads(text))
            else:
                c = s.accept()[0]
                c.sendall(b"post here\n")
                c.close()
                log(connected=sockets[s])
    link.send(json.dumps({"say": "idle", "events": events}).encode())


main()
