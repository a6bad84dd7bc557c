#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tricks.py - a list of files that waits to be sent is made one that no sender makes

Usage: tricks.py MANIFEST TRICK
MANIFEST lists folder xx, file xx-evil, file xx/evil, in the order of paths. It stays as
long as it is: nothing else of the item has to be changed. See broker/post/item.proto.
"""
import sys

KIND_LINK = 3


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def path(name):
    return b"\x0a" + varint(len(name)) + name


def replaced(data, old, new):
    if len(old) != len(new) or data.count(old) != 1:
        sys.exit("tricks.py: %r is there %d times" % (old, data.count(old)))
    return data.replace(old, new)


def through(data):
    """the folder as a link, below which a file is: what follows is moved up"""
    at = data.index(path(b"xx")) + len(path(b"xx"))
    if data[at] != 0x10 or data[at + 1] != 2:
        sys.exit("tricks.py: xx is no folder")
    return data[:at + 1] + bytes([KIND_LINK]) + data[at + 2:]


def mode(data):
    """set-user-ID: 0644 is 0xa4 0x03 in a varint, 04755 is 0xed 0x13"""
    at = data.index(path(b"xx/evil"))
    at = data.index(b"\x18\xa4\x03", at)
    return data[:at] + b"\x18\xed\x13" + data[at + 3:]


TRICKS = {
    "up": lambda d: replaced(d, path(b"xx/evil"), path(b"../evil")),
    "absolute": lambda d: replaced(d, path(b"xx/evil"), path(b"/tmp/ev")),
    "part": lambda d: replaced(d, path(b"xx/evil"), path(b"xx/./ev")),
    "control": lambda d: replaced(d, path(b"xx/evil"), path(b"xx/\x1b[2J")),
    "twice": lambda d: replaced(d, path(b"xx-evil"), path(b"xx/evil")),
    "order": lambda d: replaced(d, path(b"xx-evil"), path(b"aa-evil")),
    "through": through,
    "mode": mode,
}

name = sys.argv[1]
data = open(name, "rb").read()
new = TRICKS[sys.argv[2]](data)
if len(new) != len(data) or new == data:
    sys.exit("tricks.py: nothing was changed")
with open(name, "wb") as f:
    f.write(new)
