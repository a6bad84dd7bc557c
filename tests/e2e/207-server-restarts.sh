#!/bin/bash
# SPDX-License-Identifier: MIT
# 207-server-restarts - AS, DC and all of the server are killed: a transfer goes on,
# registrations return, addresses and accounts are what they were
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
server_set server dc.keepalive=2s
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
vip_a=$(ntm_get a vip6) vip_b=$(ntm_get b vip6)
ntm_slow_web b 8000 2m
head -c 26000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
ntm_start get a curl -sS -o got "http://$B:8000/big"
wait_for 10 "[ \$(stat -c %s '$got') -gt 100000 ]"

# back: both are registered anew and directed to each other, without the old tunnel
back()
{
	wait_for 15 '[ "$(server_status server roles.dc.online)" = 2 ]' \
		"lab_as_user server ntm-server status"
	ok "$1: both nodes are registered again"
	wait_for 5 "[ \$(stat -c %s '$got') -gt $(($(stat -c %s "$got") + 200000)) ]"
	lab_running get
	ok "$1: the transfer goes on"
}

kill -KILL "$(server_role server dc)"
wait_for 5 'ntm__server_listens server'
back "the DC killed"

as=$(server_role server as)
kill -KILL "$as"
wait_for 5 '[ "$(server_role server as)" != '"$as"' ]'
back "the AS killed"
wait_for 10 '[ "$(server_status server roles.as.dc_link)" = true ]' \
	"lab_as_user server ntm-server status"
ok "AS and DC are joined again"

lab_stop server-server KILL
wait_for 5 '[ -z "$(lab_pids server ntm-server)" ]'
wait_for 5 "[ \$(stat -c %s '$got') -gt $(($(stat -c %s "$got") + 1000000)) ]"
ok "the transfer needs no server"
ntm_server_start server
back "all of the server killed"

lab_host c
ntm__link c other 10.200.0.9/24 2001:db8:200::9/64 5
ntm_node c phone.alice
lab_as_user c ntm ping -c 1 "$A" >"$LAB/out"
lab_as_user c ntm ping -c 1 "$B" >"$LAB/out"
ok "a new device logs in and reaches both"
assert_eq "$(ntm_get a vip6) $(ntm_get b vip6)" "$vip_a $vip_b" \
	"the leases are what they were"
lab_join get
cmp "$got" "$LAB/www/big"
ok "the transfer is whole"

lab_stop server-server KILL
wait_for 30 "[[ \$(ntm_get a warnings) == *'the coordinator has not answered for '* ]]" \
	"lab_as_user a ntm status --json"
ok "without a server ntm status says so: $(ntm_get a warnings)"
assert_eq "$(ntm_get a state)" offline "and that this node is offline"
