#!/bin/bash
# SPDX-License-Identifier: MIT
# 216-connections - a peer that opens 10,000 connections, to a program that accepts and to
# one that does not: others are served meanwhile, and all is given back
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

MANY=10000
ntm_pair
lab_host c
ntm__link c other 10.200.0.9/24 2001:db8:200::9/64 5
ntm_node c phone.alice
tool=$LAB_SRC/tests/e2e/connections.py
ntm_start serve b "$tool" serve 7000
ntm_start deaf b bash -c "sleep infinity | '$tool' deaf 7001"
wait_for 5 'ntm_listens b tcp 7000 && ntm_listens b tcp 7001'
ntm_run c "$tool" echo "$B" 7000 >"$LAB/out"
worker=$(ntm_worker b) keeper=$(ntm_keeper b)
before=$(descriptors "$worker")
memory=$(anon "$worker")

# many PORT SECONDS: a opens them all, in four programs, until enough is called
many()
{
	local i
	mkfifo "$LAB/hold"
	for i in 1 2 3 4; do
		ntm_start many$i a bash -c \
			"'$tool' open '$B' $1 $((MANY / 4)) $2 <'$LAB/hold'"
	done
	exec {HOLD}>"$LAB/hold"
}
opened()
{
	[ "$(cat "$LAB"/log/many? | grep -c ^open)" = 4 ]
}
enough()
{
	local i
	exec {HOLD}>&-
	for i in 1 2 3 4; do
		lab_join many$i
	done
	rm "$LAB/hold"
}
sum()
{
	cat "$LAB"/log/many? | sed -n "s/.*$1 \\([0-9]*\\).*/\\1/p" |
		awk '{ n += $1 } END { print n + 0 }'
}

# served TEXT: another peer and the same peer get an answer
served()
{
	assert_between "$(ntm_run c "$tool" echo "$B" 7000)" 0 \
		$((5000 * LAB_SLOW)) "$1: another peer is served, ms"
	assert_between "$(anon "$worker")" 0 $((memory + GROWTH)) \
		"$1: the worker's memory, KiB (before: $memory)"
}

many 7000 20
served "while they connect"
wait_for 25 opened "cat $LAB/log/many?"
echo "# $(cat "$LAB"/log/many? | tr '\n' ';')"
assert_between "$(sum open)" $((MANY * 9 / 10)) $MANY \
	"connections stand at a program that accepts"
served "while they stand"
ntm_run a "$tool" echo "$B" 7000 >"$LAB/out"
ok "and the peer itself may have one more"
enough
wait_for 10 "[ \$(descriptors $worker) -le $((before + 16)) ]" \
	"ls -l /proc/$worker/fd"
ok "the worker has given all back"

many 7001 4
served "while they knock at a deaf one"
wait_for 25 opened "cat $LAB/log/many?"
echo "# $(cat "$LAB"/log/many? | tr '\n' ';')"
served "while nobody accepts"
enough
lab_stop deaf KILL
kill -KILL $(pgrep -f 'connections.py deaf') 2>"$LAB/out" || :
wait_for 10 "[ \$(descriptors $worker) -le $((before + 16)) ]" \
	"ls -l /proc/$worker/fd"
ok "the worker has given all back"
assert_eq "$(ntm_worker b) $(ntm_keeper b)" "$worker $keeper" "nobody has died"
served "afterwards"
