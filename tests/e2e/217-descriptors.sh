#!/bin/bash
# SPDX-License-Identifier: MIT
# 217-descriptors - a broker and a server that run out of descriptors neither die nor spin,
# and serve again when some are free
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b c
lab_stop server-server
lab_start server-server user server prlimit --nofile=48:48 ntm-server run
wait_for 10 "ntm__server_listens server"
ntm_account server alice
ntm_node a laptop.alice
lab_as_user b prlimit --nofile=128:128 ntm up >"$(lab_log up-b)" 2>&1
ntm_login b alice desk
ntm_wait_online b
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
tool=$LAB_SRC/tests/e2e/connections.py
as=$(server_role server as)
worker=$(ntm_worker b) keeper=$(ntm_keeper b)

# --- the Account Server ------------------------------------------------------------------
# strangers HOST: connections that say nothing
strangers()
{
	lab_start strangers-$1 user $1 bash -c "sleep infinity |
		'$tool' open 10.1.0.2 4501 300 3"
	wait_for 20 "grep -q ^open '$(lab_log strangers-$1)'"
}
strangers c
lab_as_user b ntm devices >"$LAB/out"
ok "one source does not take them all"
strangers a
wait_for 5 "grep -q 'out of descriptors.*accept rests' '$(lab_log server-server)'"
ok "two sources: the AS has none left, and says so"
idle "$as"
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "who has logged in needs no AS"
kill -KILL $(pgrep -f 'connections.py open') || :
lab_stop strangers-a KILL
lab_stop strangers-c KILL
ntm_up c
wait_for 10 'try_login c "$NTM_PASSWORD" alice phone' \
	"lab_as_user server ntm-server status"
ntm_wait_online c
assert_eq "$(server_role server as)" "$as" "it serves again, the same process"

# --- a broker: peers -----------------------------------------------------------------------
ntm_start serve b "$tool" serve 7000
ntm_start deaf b bash -c "sleep infinity | '$tool' deaf 7001"
wait_for 5 'ntm_listens b tcp 7000 && ntm_listens b tcp 7001'
ntm_start knock a bash -c "sleep infinity | '$tool' open '$B' 7001 500 3"
wait_for 20 "grep -q ^open '$(lab_log knock)'" "cat '$(lab_log knock)'"
echo "# $(<"$(lab_log knock)"); worker: $(descriptors "$worker")"
idle "$worker" "$keeper"
ntm_run c "$tool" echo "$B" 7000 >"$LAB/out"
ok "another program of the host is reached meanwhile"
kill -KILL $(pgrep -f 'connections.py open') || :
lab_stop knock KILL

# --- a broker: its own programs ---------------------------------------------------------------
run=/run/user/$LAB_UID/ntm
for name in broker keeper; do
	lab_start fill-$name user b bash -c "sleep infinity |
		'$tool' unix '$run/$name.sock' 300"
	wait_for 30 "grep -q ^open '$(lab_log fill-$name)'"
	echo "# $(<"$(lab_log fill-$name)"); worker $(descriptors "$worker")," \
		"keeper $(descriptors "$keeper")"
done
idle "$worker" "$keeper"
start=$(lab_now)
ntm_run b timeout 40 "$tool" echo "$A" 7009 >"$LAB/out" 2>&1 || :
assert_between "$(lab_ms_since "$start")" 0 $((15000 * LAB_SLOW)) \
	"a program waits no longer than its time limits, ms"
kill -KILL $(pgrep -f 'connections.py unix') || :
lab_stop fill-broker KILL
lab_stop fill-keeper KILL
wait_for 10 'ntm_run c "$tool" echo "$B" 7000' "lab_as_user b ntm status"
ntm_start serve-a a "$tool" serve 7000
wait_for 5 'ntm_listens a tcp 7000'
wait_for 10 'ntm_run b "$tool" echo "$A" 7000' "lab_as_user b ntm status"
ok "both ways all is well again"
assert_eq "$(ntm_worker b) $(ntm_keeper b)" "$worker $keeper" "nobody has died"
