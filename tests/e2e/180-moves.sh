#!/bin/bash
# SPDX-License-Identifier: MIT
# 180-moves - moves of every kind, a few each: the stream is whole, the gap bounded
#             (make bench B=handover-grid: a hundred each, and figures)
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"
. "$LAB_SRC/tests/lab/moves.sh"

ntm_installed
moves_lab
# Generous, as the machine is busy with other tests: it is for what is forgotten.
for row in v4-v4:2:1000 v4-v6:4:1000 open-nat:2:1000 nat-nat:3:1000 make-first:2:1000 \
	break-500:1:1000 both:2:1000 both-nat:2:1000 dc-killed:1:1000 \
	nat-lost:1:3000 relay-killed:1:3000; do
	IFS=: read -r case count most <<<"$row"
	moves_run "$case" "$count"
	for kind in $(moves_kinds "$case"); do
		assert_between "$(moves_value "$case" "$kind" service_max_ms)" 0 \
			$((most * LAB_SLOW)) \
			"$kind, $(moves_value "$case" "$kind" moves) times: longest silence, ms"
	done
	assert_eq "$MOVES_BROKEN" 0 "$case: the TCP stream arrived whole"
done
