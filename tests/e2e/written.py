#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""written.py - how often which bytes of a file were written, by strace

Usage: written.py TRACE PATTERN
TRACE.TID are the outputs of strace -ff -y -ttt with write, pwrite64 and lseek; PATTERN
is a regular expression for the file's path. Prints `written B twice T below L back N
most M`: bytes in all, bytes of them where something had been written before, and bytes
below where somebody had gone on by lseek before, who therefore had taken them for
stored; how often writing went back, and the most bytes that it went back by.
"""
import glob
import re
import sys

LINE = re.compile(r"([\d.]+) (write|pwrite64|lseek)\(\d+<([^>]*)>, .*\) += (\d+)$")
OFFSET = re.compile(r", (\d+)\) += \d+$")


def calls(trace, pattern):
    """(time, what, offset, length), in the order of time"""
    found = []
    for name in glob.glob(trace + ".*"):
        at = 0
        for line in open(name):
            m = LINE.match(line)
            if not m or not re.search(pattern, m[3]):
                continue
            time, n = float(m[1]), int(m[4])
            if m[2] == "lseek":
                at = n
                found.append((time, "lseek", at, 0))
            elif m[2] == "pwrite64":
                found.append((time, "write", int(OFFSET.search(line)[1]), n))
            else:
                found.append((time, "write", at, n))
                at += n
    return sorted(found)


total = below = gone_on = back = most = last = 0
spans = []
for _, what, at, n in calls(sys.argv[1], sys.argv[2]):
    if what == "lseek":
        gone_on = max(gone_on, at)
        continue
    if at < last:
        back += 1
        most = max(most, last - at)
    last = at + n
    total += n
    below += max(0, min(at + n, gone_on) - at)
    spans.append((at, at + n))
union = end = 0
for a, b in sorted(spans):
    union += max(0, b - max(a, end))
    end = max(end, b)
print("written %d twice %d below %d back %d most %d"
      % (total, total - union, below, back, most))
