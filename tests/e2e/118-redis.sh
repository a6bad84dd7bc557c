#!/bin/bash
# SPDX-License-Identifier: MIT
# 118-redis - redis-server under redis-benchmark and redis-cli
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_start redis b redis-server --port 6379 --bind 0.0.0.0 :: --save '' \
	--protected-mode no --loglevel verbose --dir "$(lab_home b)"
wait_for 5 'ntm_listens b tcp 6379'

ntm_look_up a "$B"
for family in 4 6; do
	to=${NTM_VIP[b.$family]}
	: >"$(lab_log redis)"
	ntm_carried a 100000 20000 ntm_run a \
		timeout 20 redis-benchmark -h "$to" \
		-n 2000 -c 20 -P 10 -t set,get --csv
	assert_eq "$(grep -c '^"[SG]ET",' "$LAB/out")" 2 \
		"redis-benchmark ended, IPv$family"
	sources=$(sed -n 's/.*Accepted \(.*\):[0-9]*$/\1/p' "$(lab_log redis)")
	assert_between "$(wc -l <<<"$sources")" 20 200 "connections accepted"
	assert_eq "$(sort -u <<<"$sources")" "${NTM_VIP[a.$family]}" \
		"all from the virtual IPv$family address"
done
ntm_carried a 50 50 ntm_run a redis-cli -h "$B" client list
assert_contains "$(cat "$LAB/out")" " addr=${NTM_VIP[a.4]}:" \
	"redis-cli by name: CLIENT LIST shows the virtual address"
