#!/bin/bash
# SPDX-License-Identifier: MIT
# ns - Notification Servers with 100,000 idle nodes: memory, processor time of their
# keep-alives, and how soon one of them is told
#
# One NS, or as many as it takes where this machine lets no process have so many
# descriptors: n1, n2 ...; c1, c2 ... are the nodes of each, and the DC that wants them.
# guests.c promises a place in a table and a socket for a node, no timer and no buffer:
# 1 KiB of the process. Keep-alives come every 10 s here; at the first interval there
# is, 60 s, those of 100,000 may take a tenth of a processor. A node is told before the
# DC repeats itself, 250 ms, though all of them came at once and are due at once.
. "$(dirname "$0")/bench.sh"
. "$LAB_SRC/tests/lab/faults.sh"

NODES=${NODES:-100000}
WINDOW_S=${WINDOW_S:-30}
SPARED=2304	# descriptors: strangers, links, files

may=$(($(ulimit -Hn) - SPARED))
SERVERS=$(((NODES + may - 1) / may))
EACH=$((NODES / SERVERS))
NODES=$((EACH * SERVERS))
bench_versions
note "$SERVERS NS with $EACH nodes each: a process may have $(ulimit -Hn)" \
	"descriptors here"

# begin NUMBER: its NS
begin()
{
	local i=$1 conf
	lab_net lan$i
	lab_host c$i
	lab_host n$i
	lab_link c$i lan$i 10.9.0.1/24 -
	lab_link n$i lan$i 10.9.0.3/24 -
	lab_root c$i ip route add local 10.64.0.0/10 dev lo
	lab_root n$i ip route add 10.64.0.0/10 via 10.9.0.1
	lab_as_user n$i ntm-server init --domain ntm.example \
		--listen 10.9.0.3 >/dev/null
	conf=$(server_dir n$i)/ntm-server.conf
	sed -i -e 's/^#roles = .*/roles = ns/' \
		-e "s/^#connections = .*/connections = $EACH/" \
		-e '/^\[ns\]/,/^\[/s/^#dc =.*/dc = 10.9.0.1:4502/' \
		-e '/^\[ns\]/,/^\[/s/^#keepalive = .*/keepalive = 10s/' "$conf"
	lab_start server-n$i user n$i ntm-server run
	wait_for 10 "lab_listens n$i tcp 4505"
	PIDS+=("$(server_role n$i ns)")
}
# sum: of the numbers on standard input
sum()
{
	awk '{ s += $1 } END { printf "%.0f\n", s }'
}
keepalives()
{
	local i
	for i in $(seq $SERVERS); do
		server_status n$i roles.ns.keepalives
	done | sum
}
used_ms()
{
	local pid
	for pid in "${PIDS[@]}"; do
		cpu_ms "$pid"
	done | sum
}
slab_kb()
{
	awk '/^Slab:/ { print $2 }' /proc/meminfo
}
# said WORD: have all loads said it?
said()
{
	local i
	for i in $(seq $SERVERS); do
		grep -q "$1" "$(lab_log load$i)" || return 1
	done
}

PIDS=()
for i in $(seq $SERVERS); do
	begin $i
done
empty=$(anon "${PIDS[@]}" | sum)
slab=$(slab_kb)
for i in $(seq $SERVERS); do
	lab_start load$i root c$i "$BENCH_TOOLS/ns_load" "$(server_dir n$i)" \
		10.9.0.1:4502 10.9.0.3:4505 $EACH
done
wait_for 300 'said here' 'cat "$LAB"/log/load*'
note "all are registered; the slowest NS took" \
	"$(sed -n 's/^here [0-9]* //p' "$LAB"/log/load* | sort -g | tail -n 1) s"
figure ns-memory $((($(anon "${PIDS[@]}" | sum) - empty) * 1024 / NODES)) \
	B/node "<=" 1024
note "of that $(server_status n1 roles.ns.connection_bytes) B are the node's place;" \
	"the kernel has $((($(slab_kb) - slab) * 1024 / NODES)) B for both ends"

kept=$(keepalives)
cpu=$(used_ms)
start=$(lab_now)
wait_for $((WINDOW_S + 10)) "[ \$(lab_ms_since $start) -ge ${WINDOW_S}000 ]"
cpu=$(($(used_ms) - cpu))
kept=$(($(keepalives) - kept))
note "$kept keep-alives in $WINDOW_S s took $cpu ms of a processor"
figure ns-keepalives-60s "$(awk -v c=$cpu -v k=$kept -v n=$NODES \
	'BEGIN { printf "%.2f", k ? c / k * n / 60 / 10 : 100 }')" % "<=" 10

for i in $(seq $SERVERS); do
	kill -USR1 "${LAB_PID[load$i]}"
done
wait_for 60 'said notified' 'cat "$LAB"/log/load*'
read -r told p50 p99 max < <(sed -n 's/^notified //p' "$LAB"/log/load* | awk '
	{ told += $1; p50 += $2; if ($3 > p99) p99 = $3; if ($4 > max) max = $4 }
	END { print told, p50 / NR / 1000, p99 / 1000, max / 1000 }')
note "$told were wanted while keep-alives went on: told after $p50 ms, the median;" \
	"the worst NS"
figure ns-notification-p99 "$p99" ms "<=" 250
figure ns-notification-max "$max" ms "<=" 250
figure ns-notified "$told" nodes ">=" $((500 * SERVERS))
for i in $(seq $SERVERS); do
	server_status n$i roles.ns.nodes
done >"$LAB/here"
assert_eq "$(sum <"$LAB/here")" $NODES "all of them are still there"
