#!/bin/bash
# SPDX-License-Identifier: MIT
# 168-exit-resume - a download through the exit goes on at once after a move, though the
# exit's TCP would wait for its timer
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

MOVES=${MOVES:-20}
GAP_MS=300

exit_lab
exit_nginx 2m
head -c 120000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
size()
{
	stat -c %s "$got" 2>/dev/null || echo 0
}

lab_start get user a ntm-run --exit=relay "$LAB_SRC/tests/lab/gapget.py" \
	$EXIT_GENERAL4 /big "$got" 60
wait_for 10 '[ "$(size)" -gt 1000000 ]'
: >"$LAB/gaps"
for i in $(seq "$MOVES"); do
	case $((i % 3)) in
	0)	lab_move a n2 10.2.0.$((10 + i))/24 2001:db8:2::1$i/64 ;;
	1)	lab_move a n2 10.2.0.$((10 + i))/24 - ;;
	2)	lab_move a n2 - 2001:db8:2::1$i/64 ;;
	esac
	start=$(size)
	wait_for 15 "[ \$(size) -gt $((start + 500000)) ]" 'lab_as_user a ntm peers'
	# the longest silence that ended since the move
	awk -v from="$LAB_MOVED" '$1 >= from && $2 > most { most = $2 }
		END { print most + 0 }' "$(lab_log get)" >>"$LAB/gaps"
	lab_running get || not_ok "the download ended before the last move"
done
lab_stop get
echo "# silence after a move, ms: $(sort -n "$LAB/gaps" | xargs)"
assert_between "$(sort -n "$LAB/gaps" | tail -n 1)" 1 $((GAP_MS * LAB_SLOW)) \
	"the longest silence of $MOVES moves, ms"
