#!/bin/bash
# SPDX-License-Identifier: MIT
# 165-exit - a host without NTMobile, reached through the exit: TCP, UDP, echo
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab
exit_nginx
head -c 3000000 /dev/urandom >"$LAB/www/file"
assert_contains "$(lab_as_user a ntm exit)" "the exit is on" "as chosen at login"
assert_contains "$(lab_as_user server ntm-server account list | grep ^alice)" \
	"exit" "the list of accounts says who may"

# TCP, both families
for host in $EXIT_GENERAL4 "[$EXIT_GENERAL6]"; do
	exit_run curl -sS -m 20 -o "$(lab_home a)/out" "http://$host/file"
	cmp "$(lab_home a)/out" "$LAB/www/file"
	ok "a download from $host is whole"
done
wait_for 5 '[ "$(wc -l <"$(lab_log web)")" = 2 ]'
assert_eq "$(cut -d' ' -f1 "$(lab_log web)" | xargs)" \
	"$EXIT_RELAY4 $EXIT_RELAY6" "nginx sees the exit's addresses"
assert_contains "$(lab_as_user a ntm status)" "exit.$NTM_DOMAIN, direct" \
	"the exit stands in ntm status"
assert_between "$(exit_status bytes_out)" 6000000 9000000 \
	"bytes that the exit brought to the node"

assert_between "$(lab_as_user server ntm-server relay status --json |
	tr -d '\n' | json exit_bytes_out)" 6000000 9000000 \
	"and relay status tells it, too"

# Without --exit a person who turned it on means auto; direct is as ever
lab_as_user a ntm-run curl -sS -m 20 -o "$(lab_home a)/out" "http://$EXIT_GENERAL4/file"
lab_as_user a ntm-run --exit=direct curl -sS -m 20 -o "$(lab_home a)/out" \
	"http://$EXIT_GENERAL4/file"
wait_for 5 '[ "$(wc -l <"$(lab_log web)")" = 4 ]'
assert_eq "$(tail -n 2 "$(lab_log web)" | cut -d' ' -f1 | xargs)" \
	"$EXIT_RELAY4 10.2.0.2" "the exit turned on is the default, --exit=direct is not"
lab_as_user a ntm-run --exit=auto curl -sS -m 20 -o "$(lab_home a)/out" \
	"http://$EXIT_GENERAL4/file"
wait_for 5 '[ "$(wc -l <"$(lab_log web)")" = 5 ]'
assert_eq "$(tail -n 1 "$(lab_log web)" | cut -d' ' -f1)" $EXIT_RELAY4 \
	"--exit=auto goes through the exit"

# UDP: a connected socket and one that is not
for family in 4 6; do
	where=EXIT_GENERAL$family
	relay=EXIT_RELAY$family
	lab_start echo$family user general "$LAB_SRC/tests/lab/general.py" \
		serve $family 7000
	wait_for 5 "lab_listens general udp 7000"
	for how in connect sendto; do
		assert_eq "$(exit_run "$LAB_SRC/tests/lab/general.py" \
			$how "${!where}" 7000)" "${!relay}" \
			"UDP over IPv$family, $how: whom the host saw"
	done
	lab_stop echo$family
	# an unprivileged ping socket
	assert_eq "$(exit_run "$LAB_SRC/tests/lab/general.py" \
		ping "${!where}" 0)" "${!where}" "echo over IPv$family"
done
assert_eq "$(exit_status echo_denied)" 0 "ping sockets that were denied"
