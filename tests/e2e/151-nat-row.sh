#!/bin/bash
# SPDX-License-Identifier: MIT
# 151-nat-row - one row of the grid (make check-e2e T=nat-grid) and its corners
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_lab
grid_row port 4
grid_cells <<-END
	symm 4	symm 4
	open 6	port 6
	port 6	symm 6
	same 4	same 4
	same 6	same 6
	symm 46	port 46
END
