#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""natgrid.py - what must come of two nodes, by what their networks do to packets

Usage: natgrid.py row KIND      every pair with that kind on the left side, a line:
                                KIND_A FAMILIES_A KIND_B FAMILIES_B OUTCOME
       natgrid.py cell KIND_A FAMILIES_A KIND_B FAMILIES_B      the outcome alone
       natgrid.py table         all outcomes, as a table for people

FAMILIES is 4, 6 or 46.  The outcome is

       local    by an address inside the one network that both are in
       direct   by an address that the other side sees
       relay    there is no direct way, however often both try

Nothing here was found by running NTMobile.  TABLE says what each kind does and passes()
when a packet gets through; the rest follows.  That the lab's NATs are so prove 004-nat,
and 005-nat-pairs with two plain sockets in the place of NTMobile.
"""
import sys

# Mapping: what an outer endpoint depends on besides the inner one.
#   none         inner and outer endpoint are the same
#   independent  on nothing: all the world sees the same endpoint
#   endpoint     on whom is written to: each sees another one
# Filtering: who may send to an endpoint that is in use.
#   none         everybody, and to one that is not in use, too
#   independent  everybody
#   address      every port of an address that was written to
#   endpoint     an address and port that was written to
#   blocked      nobody; nothing leaves either
TABLE = {
    # kind:   IPv4 mapping, filtering           IPv6 mapping, filtering
    "open":  (("none", "none"),                 ("none", "none")),
    "full":  (("independent", "independent"),   ("none", "independent")),
    "addr":  (("independent", "address"),       ("none", "address")),
    "port":  (("independent", "endpoint"),      ("none", "endpoint")),
    "symm":  (("endpoint", "endpoint"),         ("none", "endpoint")),
    # Two port-restricted NATs, one behind the other
    "dbl":   (("independent", "endpoint"),      ("none", "endpoint")),
    # A port-restricted NAT that the other side may be behind, too
    "same":  (("independent", "endpoint"),      ("none", "endpoint")),
    "block": (("independent", "blocked"),       ("none", "blocked")),
}
FAMILIES = ("4", "6", "46")


def passes(sender, receiver):
    """Both write to the endpoint at which the other is seen by the servers, again
    and again.  Does what the sender writes there reach the receiver?"""
    mapping, filtering = receiver
    # Where each is seen by another endpoint, the one that the servers saw is the
    # mapping for the servers, and its filter knows nobody else.
    if mapping == "endpoint":
        return False
    # The receiver has written to the sender's address, so this one comes in.
    if filtering in ("none", "independent", "address"):
        return True
    # It has written to the sender's endpoint as the servers saw it: does the sender
    # use that one towards the receiver, too?
    return sender[0] != "endpoint"


def outcome(kind_a, family_a, kind_b, family_b):
    # No UDP passes there: by TLS to the relay, and from there on.
    if "block" in (kind_a, kind_b):
        return "relay"
    common = [f for f in family_a if f in family_b]
    if common and kind_a == kind_b == "same":
        return "local"
    for f in common:
        a, b = (TABLE[k][0 if f == "4" else 1] for k in (kind_a, kind_b))
        # One way is enough: the answer goes where the packet came from.
        if passes(a, b) or passes(b, a):
            return "direct"
    return "relay"


def row(kind_a):
    for family_a in FAMILIES:
        for kind_b in TABLE:
            for family_b in FAMILIES:
                yield kind_a, family_a, kind_b, family_b


def table():
    sides = [(k, f) for k in TABLE for f in FAMILIES]
    print("%-9s" % "" + "".join("%-9s" % (k + "/" + f) for k, f in sides))
    for a in sides:
        print("%-9s" % "/".join(a) +
              "".join("%-9s" % outcome(*a, *b) for b in sides))


if __name__ == "__main__":
    if sys.argv[1] == "row":
        for cell in row(sys.argv[2]):
            print(*cell, outcome(*cell))
    elif sys.argv[1] == "cell":
        print(outcome(*sys.argv[2:6]))
    else:
        table()
