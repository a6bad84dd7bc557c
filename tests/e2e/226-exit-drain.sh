#!/bin/bash
# SPDX-License-Identifier: MIT
# 226-exit-drain - an exit is taken out of service without a connection being cut
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab
exit_nginx 500k
head -c 4000000 /dev/urandom >"$LAB/www/file"
head -c 1000 /dev/urandom >"$LAB/www/small"
got=$(lab_home a)/got
get()
{
	exit_run curl -sS -m 20 -o "$got" "http://$EXIT_GENERAL4/$1"
}
seen()
{
	tail -n 1 "$(lab_log web)" | cut -d' ' -f1
}
get small
wait_for 5 '[ "$(wc -l <"$(lab_log web)")" = 1 ]'
assert_eq "$(seen)" $EXIT_RELAY4 "programs of a come from the first exit"

# A second one, on a machine of its own
lab_net n9
ntm__link net n9 10.9.0.1/24 2001:db8:9::1/64
lab_host second
ntm__link second n9 10.9.0.2/24 2001:db8:9::2/64 5
file=$(lab_home server)/enrolled
lab_as_user server ntm-server exit enrol "$file" >/dev/null
dir=$(server_dir second)
lab_as_user second mkdir -p -m 700 "$dir/exit"
cp "$file" "$dir/exit/enrol"
lab_give "$dir/exit/enrol"
lab_as_user second sh -c "printf '[server]\\nroles = exit\\ndomain = $NTM_DOMAIN\\n' >'$dir/ntm-server.conf'"
lab_start second-server user second ntm-server run
wait_for 20 'lab_as_user second ntm-server exit status --json 2>/dev/null |
	tr -d "\n" | json online | grep -q true' 'tail -n 20 "$(lab_log second-server)"'

# The first one drains while it carries a download
lab_start get user a ntm-run --exit=relay curl -sS -o got \
	"http://$EXIT_GENERAL4/file"
wait_for 10 '[ "$(stat -c %s "$got")" -gt 500000 ]'
lab_as_user server ntm-server exit drain --json >"$LAB/drained"
assert_contains "$(cat "$LAB/drained")" '"draining": true' "the first exit drains"
lab_join get
cmp "$got" "$LAB/www/file"
ok "a download that it carried is whole"
wait_for 5 '[ "$(seen)" = $EXIT_RELAY4 ]'
wait_for 15 'lab_as_user a ntm status | grep -q "exit.*second.exit"' \
	'lab_as_user a ntm status'
ok "with nothing open a is led to the other one"
get small
wait_for 5 '[ "$(seen)" = 10.9.0.2 ]' 'tail "$(lab_log web)"'
ok "and its next connection begins there"
wait_for 5 '[ "$(exit_status sockets)" = 0 ]'

# Over a restart it still drains, and is stopped without harm
lab_start get user a ntm-run --exit=relay curl -sS -o got \
	"http://$EXIT_GENERAL4/file"
wait_for 10 '[ "$(stat -c %s "$got")" -lt 2000000 ]'
server_set server "roles=as, dc, rs, exit"
wait_for 20 '[ "$(exit_status draining)" = true ]'
lab_join get
cmp "$got" "$LAB/www/file"
ok "a restart of the first one disturbs nobody"
lab_as_user server ntm-server exit undrain >/dev/null
assert_eq "$(exit_status draining)" false "it takes nodes again"
