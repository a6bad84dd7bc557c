#!/bin/bash
# SPDX-License-Identifier: MIT
# group-relay - one packet to 50 members by a relay, against sendmmsg() of the same
# datagrams
. "$(dirname "$0")/bench.sh"

SMALL=180	# 120 bytes inside, header, tag and hop
LARGE=1400

bench_versions
bench_fanout group.relay-fanout relay_fanout $SMALL $LARGE
ok "a relay's copies to a group measured"
