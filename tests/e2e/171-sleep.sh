#!/bin/bash
# SPDX-License-Identifier: MIT
# 171-sleep - all of a node's processes stand still for a minute, while its NAT, its
# relay, its peers and the DC go on: it wakes, and its connections live
# waits
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/nats.sh"

SLEEP_S=60
nats_server
nats_behind a 1 auto symmetric timeout=31
nats_behind far 2 auto symmetric timeout=31
nats_behind near 3 auto full-cone timeout=31
for host in near far; do
	mkdir -p "$LAB/www"
	head -c 40000000 /dev/urandom >"$LAB/www/big"
	ntm_slow_web $host 8000 300k
	lab_pids $host nginx >/dev/null
	ntm_start get-$host a curl -sS -o got-$host -w '%{num_connects}' \
		"http://${NTM_NAME[$host]}:8000/big"
done
way()
{
	ntm_peer a "${NTM_NAME[$1]}" path
}
wait_for 15 '[ "$(way far)" = relay ] && [ "$(way near)" = direct ]' \
	'lab_as_user a ntm peers'
size()
{
	stat -c %s "$(lab_home a)/got-$1"
}
for host in near far; do
	wait_for 10 "[ \$(size $host) -gt 300000 ]"
done

mapfile -t pids < <(lab_pids a ntm-broker; lab_pids a ntm-inside; lab_pids a ntm-worker)
assert_eq ${#pids[@]} 3 "keeper, inside and worker of a"
worker=$(ntm_worker a)
kill -STOP "${pids[@]}"
slept=$(lab_now)
near=$(size near) far=$(size far)
wait_for $((SLEEP_S + 5)) "[ \$(lab_ms_since $slept) -ge ${SLEEP_S}000 ]"
assert_between $(($(size near) + $(size far) - near - far)) 0 200000 \
	"bytes that came while it slept"
near=$(size near) far=$(size far)
woke=$(lab_now)
kill -CONT "${pids[@]}"
for host in near far; do
	# far more than lay in queues on the way: no sign of life
	wait_for 20 "[ \$(size $host) -gt $((${!host} + 1000000)) ]" \
		'lab_as_user a ntm peers; lab_as_user near ntm peers'
	took=$(lab_ms_since "$woke")
	assert_between "$took" 0 $((5000 * LAB_SLOW)) \
		"$host, $(way $host): 1 MB more after waking: ms"
done
assert_eq "$(ntm_worker a)" "$worker" "the keeper took it for no illness"
wait_for 15 '[ "$(ntm_get a state)" = online ]'
for host in near far; do
	lab_running get-$host
	ok "$host: the download goes on, on the connection of before"
done
assert_eq "$(server_status server roles.dc.online)" 3 "all are online"
