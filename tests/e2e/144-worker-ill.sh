#!/bin/bash
# SPDX-License-Identifier: MIT
# 144-worker-ill - a worker that hangs, or that lost its TUN, is replaced, and nobody's
# connection notices
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_slow_web b 8000 4m
head -c 24000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
ntm_start get a curl -sS -o got -w '%{num_connects}' "http://$B:8000/big"
wait_for 15 "[ \$(stat -c %s '$got') -gt 2000000 ]"

# another HOST WORKER: it has a worker, and not that one
another()
{
	local now
	now=$(ntm_worker "$1")
	[ -n "$now" ] && [ "$now" != "$2" ]
}

# flows: more of the download arrives
flows()
{
	local size
	size=$(stat -c %s "$got")
	# What was on its way is no proof.
	wait_for 15 "[ \$(stat -c %s '$got') -gt $((size + 500000)) ]" \
		"lab_as_user a ntm peers"
}

# --- a healthy one: each of its threads is confined -----------------------------

if [ -z "${NTM_SAN-}" ] && grep -q '^Seccomp:' /proc/self/status; then
	threads=$(grep -hE '^(Seccomp|NoNewPrivs):' \
		/proc/"$(ntm_worker a)"/task/*/status | sort | uniq -c | xargs)
	assert_eq "$threads" "2 NoNewPrivs: 1 2 Seccomp: 2" \
		"both threads of a worker are confined"
fi

# --- the interface is deleted while nobody but the worker can notice ------------

keeper=$(ntm_keeper a) worker=$(ntm_worker a)
kill -STOP "$keeper"
ntm_inside a ip link del ntm0
wait_for 5 "grep -q '^State:.Z' /proc/$worker/status"
ok "a worker without a TUN ends by itself"
kill -CONT "$keeper"
wait_for 10 "another a $worker"
flows
assert_eq "$(ntm_keeper a)" "$keeper" "the next one carries on, on another TUN"

# --- its loop turns no more ------------------------------------------------------

worker=$(ntm_worker a)
kill -STOP "$worker"
start=$(lab_now)
wait_for 25 "another a $worker"
echo "# another worker after $(lab_ms_since "$start") ms"
flows
assert_eq "$(ntm_keeper a)" "$keeper" "a worker that hangs is replaced"

lab_join get
cmp "$got" "$LAB/www/big"
ok "the download is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
