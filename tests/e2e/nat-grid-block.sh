#!/bin/bash
# SPDX-License-Identifier: MIT
# nat-grid-block - a node whose UDP is blocked, with a node of every kind
. "$(dirname "$0")/../lab/lab.sh"

lab_skip "where UDP is blocked nothing passes yet: $("$LAB_SRC/tests/e2e/natgrid.py" \
	row block | wc -l) pairs, and as many the other way round, are left out"
