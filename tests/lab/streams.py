#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""streams.py - how long programs heard nothing, by what they log themselves

Usage: streams.py FILE FROM TO
           "N MS" of the packets that came between: how many, and the longest silence;
           FROM and TO are such moments, too.  Microseconds since 1970 (lab_now).

FILE is of `socat -v`, a line with the time before each datagram, or of ffmpeg, by
`-use_wallclock_as_timestamps 1 -copyts ... -f framecrc`: a line for each frame, the
second field the clock in a unit that the file's head names.
"""
import sys
import time


def socat(line):
    """> 2026/01/31 12:00:00.000123456  length=4 from=0 to=3"""
    day, clock = line.split()[1:3]
    second, part = clock.split(".")
    at = time.mktime(time.strptime(day + " " + second, "%Y/%m/%d %H:%M:%S"))
    return int(at) * 1000000 + int(part)


def arrivals(path):
    unit = None
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.endswith("\n"):
                break  # being written
            if line.startswith("> ") and "length=" in line:
                yield socat(line)
            elif line.startswith("#tb 0:"):
                one, of = line.split(":")[1].split("/")
                unit = 1000000 * int(one) / int(of)
            elif unit and line.startswith("0,"):
                yield int(int(line.split(",")[1]) * unit)


def main():
    first, last = int(sys.argv[2]), int(sys.argv[3])
    seen = [at for at in arrivals(sys.argv[1]) if first <= at <= last]
    ends = [first] + sorted(seen) + [last]
    gap = max(b - a for a, b in zip(ends, ends[1:]))
    print(len(seen), gap // 1000)


main()
