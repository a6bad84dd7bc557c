#!/bin/bash
# SPDX-License-Identifier: MIT
# accept - connections a second through the doorbell, and ordinary ones beside them
. "$(dirname "$0")/bench.sh"

# The node's own virtual address: the shim and its broker are measured, no tunnel.
bench_pair
bench_ntm
lab_as_user a "$BENCH_TOOLS/accept" libntm.so "$(ntm_get a vip4)"
ok "measured"
