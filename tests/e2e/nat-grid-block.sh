#!/bin/bash
# SPDX-License-Identifier: MIT
# nat-grid-block - a node whose UDP is blocked, with a node of every kind
# limit: 600
# show
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_lab
grid_row block
