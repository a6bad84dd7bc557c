#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_routers - ntm-portmap before played routers: good ones, and bad ones

Each on a loopback address of its own, drawn by lot, as the port is fixed."""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

SRC = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../.."))
PORTMAP = os.path.join(os.environ.get("O", "build"), "bin/ntm-portmap")
PCP, NATPMP, UPNP, NONE = range(4)
UNASKED, DONE, NO_ANSWER, NO_SERVICE, DENIED, GARBAGE, FAILED = range(7)
SAY = "=IIII4sH3B3x"
failed = 0


def check(ok, what):
    global failed
    print("ok -" if ok else "not ok -", what, flush=True)
    failed += not ok


class Router:
    def __init__(self, protocols, manner, outside="203.0.113.9"):
        self.address = "127.%d.%d.%d" % tuple(random.sample(range(1, 255), 3))
        self.program = subprocess.Popen(
            [SRC + "/tests/lab/portmapd.py", self.address, outside, protocols,
             manner], stdout=subprocess.PIPE, text=True)
        assert self.program.stdout.readline() == "ready\n"

    def end(self):
        """Return: what it heard"""
        self.program.kill()
        return self.program.communicate()[0].splitlines()


def start(router, life=7200, first=NONE, outer=4500, source="127.0.0.1"):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(struct.pack("=III4s4sHH12s", 1, life, first,
                          socket.inet_aton(source),
                          socket.inet_aton(router.address), 4500, outer,
                          os.urandom(12)))
    fd = theirs.fileno()

    def inherit():
        os.dup2(fd, 3)
    program = subprocess.Popen([PORTMAP], preexec_fn=inherit,
                               pass_fds=(3,) if fd == 3 else (3, fd))
    theirs.close()
    return program, ours


def ask(router, **how):
    """Return: protocol, outside, port, life, whys"""
    begin = time.monotonic()
    program, link = start(router, **how)
    said = link.recv(100)
    code = program.wait(30)
    if len(said) != struct.calcsize(SAY) or code:
        return (NONE, "", 0, 0, ("died", code), 0)
    _, protocol, life, routed, ip, port, *why = struct.unpack(SAY, said)
    return (protocol, socket.inet_ntoa(ip), port, life,
            tuple(why) if routed else "no router", time.monotonic() - begin)


def good():
    for name, protocol in (("pcp", PCP), ("natpmp", NATPMP), ("upnp", UPNP)):
        r = Router(name, "good")
        got = ask(r)
        check(got[0] == protocol and got[1] == "203.0.113.9" and
              got[2] == (4500 if name == "upnp" else 20000) and
              got[3] == 7200, f"{name}: mapped {got}")
        got = ask(r, life=0, first=protocol, outer=got[2])
        check(got[0] == protocol, f"{name}: deleted {got}")
        heard = r.end()
        check(any(" 0" in h or "Delete" in h for h in heard),
              f"{name}: the router was told so: {heard[-1:]}")
        check(len(heard) <= 12, f"{name}: by few packets: {len(heard)}")


def silent():
    r = Router("pcp,natpmp,upnp", "silent")
    got = ask(r)
    heard = r.end()
    check(got[0] == NONE and got[4] == (NO_ANSWER,) * 3, f"silence: {got}")
    check(len(heard) <= 6 and got[5] < 8,
          f"silence costs few packets and {got[5]:.1f} s: {heard}")


def bad():
    r = Router("pcp,natpmp,upnp", "garbage")
    got = ask(r)
    r.end()
    check(got[0] == NONE and DONE not in got[4] and UNASKED not in got[4],
          f"garbage: {got}")
    r = Router("pcp,natpmp,upnp", "deny")
    got = ask(r)
    r.end()
    check(got[0] == NONE and got[4] == (DENIED,) * 3, f"denied: {got}")
    r = Router("upnp", "foreign")
    got = ask(r)
    heard = r.end()
    check(got[0] == NONE and got[4][UPNP] == GARBAGE,
          f"a description that names another host is not followed: {got}")
    check(not any("POST" in h for h in heard), "nothing is commanded there")
    r = Router("pcp", "good", "10.9.9.9")
    got = ask(r)
    r.end()
    check(got[1] == "10.9.9.9", "a lie is for the worker to judge")
    r = Router("pcp", "good")
    got = ask(r, source="127.9.9.9")
    check(got[0] == NONE and got[4] == "no router" and not r.end(),
          f"not the router of that address: nobody is asked: {got}")


def hang():
    r = Router("upnp", "drip")
    program, link = start(r)
    link.settimeout(30)
    begin = time.monotonic()
    said = link.recv(100)
    code = program.wait(5)
    r.end()
    took = time.monotonic() - begin
    check(took < 22 and (said or code == -signal.SIGALRM),
          f"an answer that never ends is ended: {code} after {took:.1f} s")


def confined():
    """The address space and the calls: what a bug in there could do"""
    r = Router("pcp,natpmp,upnp", "silent")
    program, _ = start(r)
    status = ""
    for _ in range(1000):
        with open(f"/proc/{program.pid}/status", encoding="ascii") as f:
            status = f.read()
        if "Seccomp:\t2" in status:
            break
        time.sleep(0.001)  # between two looks
    program.kill()
    program.wait()
    r.end()
    check("NoNewPrivs:\t1" in status, "no new privileges")
    if not os.environ.get("NTM_SAN"):
        check("Seccomp:\t2" in status, "system calls are limited")


for test in (good, silent, bad, confined, hang):
    test()
sys.exit(failed != 0)
