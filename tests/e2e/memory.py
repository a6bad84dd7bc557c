#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""memory.py - all that a process has in memory, into a file

Usage: memory.py PID FILE
What it maps of files and cannot have changed is left out, as the file is there to be
read; so are pages of zeros.
"""
import sys

PAGE = 4096
PIECE = 256 * PAGE


def pages(pid):
    with open("/proc/%s/maps" % pid) as maps, open("/proc/%s/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, mode, _, _, inode = line.split()[:5]
            name = line.split(None, 5)[5].strip() if len(line.split()) > 5 else ""
            if mode[0] != "r" or name in ("[vvar]", "[vsyscall]", "[vvar_vclock]") or \
                    (int(inode) and mode[1] != "w"):
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            while at < end:
                mem.seek(at)
                piece = mem.read(min(PIECE, end - at))
                if not piece: # it has ended meanwhile
                    sys.exit(1)
                at += len(piece)
                if piece.count(0) == len(piece):
                    continue
                for i in range(0, len(piece), PAGE):
                    page = piece[i:i + PAGE]
                    if page.count(0) != len(page):
                        yield page


with open(sys.argv[2], "wb") as out:
    for page in pages(sys.argv[1]):
        out.write(page)
