#!/bin/bash
# SPDX-License-Identifier: MIT
# 166-exit-moves - a download from a plain nginx lives through ten moves of the node
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab
exit_nginx 400k
head -c 12000000 /dev/urandom >"$LAB/www/big"

got=$(lab_home a)/got
have()
{
	[ "$(stat -c %s "$got" 2>/dev/null || echo 0)" -gt "$1" ]
}

lab_start get user a ntm-run --exit=relay curl -sS -o got \
	-w '%{num_connects}' "http://$EXIT_GENERAL4/big"
wait_for 10 'have 200000'

# moved NET ADDRESS4|- ADDRESS6|-: all addresses go, others come; data must flow again,
# and the exit must see us there
moved()
{
	local start
	lab_move a "$@"
	start=$(stat -c %s "$got")
	wait_for 15 "have $((start + 100000))" \
		"lab_as_user a ntm peers; tail -n 30 $(lab_log server-server)"
	echo "# moved to $2 $3: 100 kB more after $(lab_ms_since "$LAB_MOVED") ms"
	lab_running get || not_ok "the download ended before the last move"
}

i=10
for way in "n2 4" "other 4" "n2 6" "other 6" "other 46" "n2 4" "n2 6" "other 4" \
	"n2 46" "other 4"; do
	read -r net families <<<"$way"
	i=$((i + 1))
	a4=- a6=-
	[ $net = n2 ] && p4=10.2.0 p6=2001:db8:2 || p4=10.200.0 p6=2001:db8:200
	[[ $families != *4* ]] || a4=$p4.$i/24
	[[ $families != *6* ]] || a6=$p6::$i/64
	moved $net $a4 $a6
done
lab_join get
cmp "$got" "$LAB/www/big"
ok "a download of 12 MB lived through ten moves and is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
wait_for 2 'grep -q big "$(lab_log web)"'
assert_eq "$(cat "$(lab_log web)")" "$EXIT_RELAY4 GET /big HTTP/1.1" \
	"nginx saw one request, from the exit"
