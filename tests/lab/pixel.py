#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pixel.py - the colour of one pixel of a PNG picture, as "R G B"

Usage: pixel.py FILE X Y      eight bits a channel, RGB or RGBA, not interlaced
"""
import struct
import sys
import zlib


def rows(raw, width, height, bpp):
    """The scan lines, with their filters undone."""
    stride = width * bpp
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        kind, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride if kind else 0):
            left = line[i - bpp] if i >= bpp else 0
            corner = above[i - bpp] if i >= bpp else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + above[i]) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + above[i]) // 2) & 255
            else:
                p = left + above[i] - corner
                near = min((abs(p - left), 0, left),
                           (abs(p - above[i]), 1, above[i]),
                           (abs(p - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        above = line
        yield line


def main(name, x, y):
    with open(name, "rb") as f:
        data = f.read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit("not a PNG file")
    at, packed, head = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += size + 12
    width, height, depth, colours, _, _, interlaced = head
    if depth != 8 or colours not in (2, 6) or interlaced:
        sys.exit("not this kind of PNG")
    bpp = 3 if colours == 2 else 4
    for number, line in enumerate(rows(zlib.decompress(packed), width, height,
                                       bpp)):
        if number == y:
            print(*line[x * bpp:x * bpp + 3])
            return
    sys.exit("outside the picture")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
