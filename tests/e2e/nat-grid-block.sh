#!/bin/bash
# SPDX-License-Identifier: MIT
# nat-grid-block - a node whose UDP is blocked, with a node of every kind
. "$(dirname "$0")/../lab/lab.sh"

left=$("$LAB_SRC/tests/e2e/natgrid.py" table | grep -ow none | wc -l)
lab_skip "$left of 576 pairs are left out: where UDP is blocked nothing passes yet"
