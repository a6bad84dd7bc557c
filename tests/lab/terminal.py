#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""terminal - runs a command on a terminal of its own, as a person would see it

Usage: terminal.py [--columns N] [--say PATTERN=TEXT]... COMMAND...

What the command writes goes to standard output as it is. When PATTERN (a regular
expression) has appeared, TEXT is typed, in the order given; \\x03 in it is Ctrl-C, \\x04
the end of input. The status is the command's, 128 + N where signal N ended it.
"""
import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--columns", type=int, default=80)
    p.add_argument("--say", action="append", default=[])
    p.add_argument("command", nargs=argparse.REMAINDER)
    args = p.parse_args()
    says = [(re.compile(a.encode()), t.encode().decode("unicode_escape").encode())
            for a, t in (s.split("=", 1) for s in args.say)]
    sized, tell = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.close(tell)
        os.read(sized, 1)       # until the terminal has its size
        os.execvp(args.command[0], args.command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, args.columns, 0, 0))
    os.close(tell)
    seen = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:         # Linux's way to say that nobody has it open any more
            break
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        seen += data
        if says and (m := says[0][0].search(seen)):
            os.write(fd, says.pop(0)[1])
            seen = seen[m.end():]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


main()
