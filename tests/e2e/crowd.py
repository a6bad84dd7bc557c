#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""crowd.py - connections that ask nothing, and come again when they are ended

Usage: crowd.py HOST PORT COUNT PACE [SOURCE]
That many at once, until the end of standard input. Those that are ended come again, PACE
of them a second. Of SOURCE (10.2.0.), 250 from each address from .10 on. Of ten, five are bare, two stop within the TLS handshake, two have
it behind them, one has besides said half of a header. Each second it prints how many
have stood, how many handshakes were whole, and how many ended.
"""
import resource
import select
import socket
import ssl
import sys
import time

HOST, PORT, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PACE = int(sys.argv[4])
SOURCE = sys.argv[5] if len(sys.argv) > 5 else None
UNDER_WAY = 500  # as many as a server's queue takes

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname = False
tls.verify_mode = ssl.CERT_NONE
poll = select.epoll()
conns, missing, due = {}, list(range(COUNT)), 0
came = time.monotonic()  # when all had come once
stood = shaken = ended = again = coming = 0
poll.register(0, select.EPOLLIN)


class Conn:
    def __init__(self, number):
        self.number, self.kind, self.begun = number, number % 10, False
        self.s = socket.socket(socket.AF_INET)
        self.s.setblocking(False)
        if SOURCE:
            self.s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            self.s.bind((SOURCE + str(10 + number // 250), 0))
        self.s.connect_ex((HOST, PORT))
        poll.register(self.s, select.EPOLLOUT)
        conns[self.s.fileno()] = self

    def stands(self):
        if self.kind < 5:
            pass
        elif self.kind < 7:
            out = ssl.MemoryBIO()
            try:
                tls.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
            except ssl.SSLWantReadError:
                self.s.send(out.read()[:100])
        else:
            fd = self.s.fileno()
            del conns[fd]
            self.s = tls.wrap_socket(self.s, do_handshake_on_connect=False)
            conns[self.s.fileno()] = self
            self.shakes()

    def shakes(self):
        global shaken
        try:
            self.s.do_handshake()
        except ssl.SSLWantReadError:
            return
        shaken += 1
        if self.kind == 9:
            self.s.send(b"GET /v1/items/none HTTP/1.1\r\nHost: ")
        self.kind = 0

    def can_go_on(self, event):
        """False: it has ended"""
        global stood, coming
        try:
            if not self.begun:
                if event & (select.EPOLLERR | select.EPOLLHUP):
                    return False
                poll.modify(self.s, select.EPOLLIN)
                self.begun = True
                coming -= 1
                stood += 1
                self.stands()
            elif self.kind >= 7:
                self.shakes()
            else:
                return len(self.s.recv(4096)) > 0
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            return False
        return True


while True:
    now = time.monotonic()
    allowed = COUNT if stood < COUNT else (now - came) * PACE - again
    while missing and coming < UNDER_WAY and allowed > 0:
        Conn(missing.pop(0))
        coming += 1
        allowed -= 1
        again += stood >= COUNT
    came = now if stood < COUNT else came
    for fd, event in poll.poll(0.1):
        if fd == 0:
            sys.exit()
        c = conns.get(fd)
        if c and not c.can_go_on(event):
            ended += 1
            coming -= not c.begun
            conns.pop(fd)
            c.s.close()
            missing.append(c.number)
    if now > due:
        due = now + 1
        print("stood", stood, "shaken", shaken, "ended", ended, flush=True)
