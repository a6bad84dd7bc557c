#!/bin/bash
# SPDX-License-Identifier: MIT
# 119-iperf3 - iperf3, TCP and UDP, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair

# measure FAMILY OUT IN OPTION...
measure()
{
	local family=$1 out=$2 in=$3
	shift 3
	ntm_start iperf3 b iperf3 -s -1 -J -p 5201
	wait_for 5 'ntm_listens b tcp 5201'
	ntm_carried a "$out" "$in" ntm_run a timeout 15 iperf3 -J -c "$B" \
		-p 5201 -$family -t 1 "$@"
	lab_join iperf3
	assert_eq "$(json_file "$(lab_log iperf3)" \
		start.accepted_connection.host | sed 's/^::ffff://')" \
		"${NTM_VIP[a.$family]}" "iperf3 $*: the control connection's source"
	assert_eq "$(json_file "$(lab_log iperf3)" \
		start.connected.0.remote_host | sed 's/^::ffff://')" \
		"${NTM_VIP[a.$family]}" "iperf3 $*: the data's source, IPv$family"
}

# json_file FILE PATH: of one JSON text
json_file()
{
	tr -d '\n' <"$1" | json "$2"
}

for family in 4 6; do
	measure $family 200000 1000
	assert_between "$(json_file "$LAB/out" end.sum_received.bytes)" \
		200000 1e12 "TCP: bytes received"
	measure $family 1000 200000 -R -P 2
	assert_between "$(json_file "$LAB/out" end.sum_received.bytes)" \
		200000 1e12 "TCP back, two streams: bytes received"
	measure $family 200000 1000 -u -b 5M -l 1200
	assert_between "$(json_file "$LAB/out" end.sum.packets)" 200 700 \
		"UDP: datagrams sent"
	assert_between "$(json_file "$LAB/out" end.sum.lost_percent)" 0 5 \
		"UDP: percent lost"
done
