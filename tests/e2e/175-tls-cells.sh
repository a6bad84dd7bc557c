#!/bin/bash
# SPDX-License-Identifier: MIT
# 175-tls-cells - corners of the grid's row of networks that pass no UDP
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_lab
grid_cells <<-END
	block 4		open 4
	open 4		block 4
	block 4		block 4
	block 6		port 46
	block 4		block 6
	symm 46		block 46
END
