#!/bin/bash
# SPDX-License-Identifier: MIT
# connect - what connect() to a virtual address costs more than to a host's
. "$(dirname "$0")/bench.sh"

# The node's own virtual address: the shim and its broker are measured, no tunnel.
bench_pair
bench_ntm
lab_as_user a "$BENCH_TOOLS/connect" libntm.so "$(ntm_get a vip4)"
ok "measured"
