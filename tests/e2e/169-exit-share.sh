#!/bin/bash
# SPDX-License-Identifier: MIT
# 169-exit-share - a rate for each account at the exit, and what it may use in a day
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab account_rate=1M account_day=20M
exit_nginx
head -c 3000000 /dev/urandom >"$LAB/www/file"
got=$(lab_home a)/got

# 3 MB, of which a quarter of a second's may come at once, last 2.6 s at 1 MiB/s; four
# downloads at once no less.
get()
{
	exit_run curl -sS -m 60 -o "$1" "http://$EXIT_GENERAL4/file"
}
start=$(lab_now)
get "$got"
took=$(lab_ms_since "$start")
cmp "$got" "$LAB/www/file"
assert_between "$took" 2300 $((5000 * LAB_SLOW)) "3 MB at 1 MiB/s are whole after ms"
start=$(lab_now)
for i in 1 2 3 4; do
	lab_start get$i user a ntm-run --exit=relay curl -sS -m 60 -o got$i \
		"http://$EXIT_GENERAL4/file"
done
for i in 1 2 3 4; do
	lab_join get$i
	cmp "$got$i" "$LAB/www/file"
done
assert_between "$(lab_ms_since "$start")" 10500 $((20000 * LAB_SLOW)) \
	"four connections at once bring no more: ms for 12 MB"
assert_eq "$(exit_status over_day)" 0 "packets beyond the day so far"

# 15 MB and what TCP adds are used; of 20 MiB the second 3 MB from here are too many, or
# where packets were large and added little, the third: the download ends with a reset,
# not by waiting.
status=0
start=$(lab_now)
for i in 1 2 3; do
	get "$got" || status=$?
done
assert_between "$status" 1 99 "curl's status beyond 20 MiB"
assert_between "$(lab_ms_since "$start")" 3000 $((15000 * LAB_SLOW)) "which came after ms"
start=$(lab_now)
if exit_run curl -sS -m 20 -o "$got" "http://$EXIT_GENERAL4/file"; then
	not_ok "the day is used up, and a download succeeds"
fi
assert_between "$(lab_ms_since "$start")" 0 $((3000 * LAB_SLOW)) \
	"and a program hears so at once: ms"
assert_between "$(exit_status over_day)" 1 100000 "packets beyond the day"
assert_contains "$(cat "$(lab_log server-server)")" "alice has used up its day" \
	"the log names who"
