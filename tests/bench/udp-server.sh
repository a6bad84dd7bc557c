#!/bin/bash
# SPDX-License-Identifier: MIT
# udp-server - what the mapping adds to a datagram's echo by a wildcard UDP server
. "$(dirname "$0")/bench.sh"

# The node's own virtual address: the shim and its broker are measured, no tunnel.
bench_pair
bench_ntm
lab_as_user a "$BENCH_TOOLS/udp_server" libntm.so "$(ntm_get a vip4)"
ok "measured"
