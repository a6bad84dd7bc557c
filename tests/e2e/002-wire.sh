#!/bin/bash
# SPDX-License-Identifier: MIT
# 002-wire - the wire loses, reorders, limits and cuts as it is told, by its seed
. "$(dirname "$0")/../lab/lab.sh"

lab_net n
lab_host a
lab_host b
lab_link a n 10.0.0.1/24 - 1
lab_link b n 10.0.0.2/24 -

# The sequence numbers answered, in the order of their arrival.
answered()
{
	lab_root a ping -c 300 -i 0.002 -W 1 10.0.0.2 |
		sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p'
}

lab_wire a seed 7
lab_wire a ab loss 10
first=$(answered)
lab_wire a seed 7
assert_eq "$(answered)" "$first" "one seed, one pattern of loss"
lab_wire a seed 8
assert_ne "$(answered)" "$first" "another seed, another pattern"
assert_between "$(wc -l <<<"$first")" 240 295 "300 pings at 10 % loss: answers"
lab_wire a ab loss 0
assert_eq "$(answered)" "$(seq 300)" "no loss, no disorder"

lab_wire a jitter-ms 6
assert_eq "$(answered)" "$(seq 300)" "jitter keeps the order"
lab_wire a jitter-ms 0
lab_wire a ab reorder 20
lab_wire a ab reorder-ms 30	# ping sends every 10 ms while answers are late
got=$(answered)
assert_eq "$(sort -n <<<"$got")" "$(seq 300)" "disorder loses nothing"
assert_ne "$got" "$(seq 300)" "disorder disorders"
lab_wire a ab reorder 0

lab_wire a drop-above 1000
lab_root a ping -q -c 1 -s 972 10.0.0.2 >/dev/null
ok "1000 bytes pass a limit of 1000"
assert_fails "1001 bytes do not" lab_root a ping -q -c 1 -W 0.3 -s 973 10.0.0.2

# transfer BYTES [SOCAT OPTION]: by TCP from a to b, within 3 s; prints how many
# milliseconds it took until all was there.
transfer()
{
	local start
	lab_start sink root b socat -u TCP-LISTEN:9,reuseaddr CREATE:"$LAB/got"
	wait_for 5 'lab_root b ss -Hltn sport = 9 | grep -q LISTEN'
	start=$(lab_now)
	head -c "$1" /dev/zero |
		lab_root a timeout 3 socat -u - "TCP:10.0.0.2:9${2-}" ||
		{ lab_stop sink; return 1; }
	lab_join sink
	lab_ms_since "$start"
}
transfer 300000 ,mss=900 >/dev/null
ok "super-packets of segments within the limit pass"
before=$(lab_wire_count a ab large)
assert_fails "segments above it do not, though super-packets carry them" \
	transfer 300000
assert_between "$(lab_wire_count a ab large)" $((before + 1)) 1000000 \
	"and are counted"
lab_wire a drop-above 0

frame_size()
{
	local frames bytes
	frames=$(lab_wire_count a ab frames)
	bytes=$(lab_wire_count a ab bytes)
	transfer 3000000 >/dev/null
	echo $((($(lab_wire_count a ab bytes) - bytes) /
		($(lab_wire_count a ab frames) - frames)))
}
assert_between "$(frame_size)" 3000 65600 "super-packets cross whole: mean size"
lab_wire a loss 0.01
assert_between "$(frame_size)" 500 1514 "loss strikes single packets: mean size"
lab_wire a loss 0

lab_wire a rate-mbit 16
assert_between "$(transfer 2000000)" 900 1600 "2 MB at 16 Mbit/s: ms"
lab_wire a rate-mbit 0

lab_wire a down
assert_fails "a cut wire carries nothing" \
	lab_root a ping -q -c 1 -W 0.3 10.0.0.2
lab_wire a up
lab_root a ping -q -c 1 -W 2 10.0.0.2 >/dev/null
ok "until it is mended"
lab_wire a carrier off
wait_for 2 'ip -n a link show dev eth0 | grep -q NO-CARRIER'
ok "the carrier can go"
lab_wire a carrier on
wait_for 2 'ip -n a link show dev eth0 | grep -q LOWER_UP'
assert_fails "nonsense is refused" lab_wire a loss many
