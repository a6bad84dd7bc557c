#!/bin/bash
# SPDX-License-Identifier: MIT
# relay - what our relay forwards, beside coturn in one run; memory of its paths
#
# a holds two clients, b what they send to, r both relays, one core for each relay
# (processor 1), the other for everything else. Both get the same bursts, as brokers
# and other programs with UDP_SEGMENT send them. One direction; delivered is what arrives
# at b.
#
# Datagrams each by itself are dear to send, too: with a whole core for the relay it is the
# sender that is measured. So for these both relays have a quarter of a core, and what
# they deliver is counted and dropped where it enters b; the sender then offers more than
# either takes, which is shown beside it.
. "$(dirname "$0")/bench.sh"

[ "$(nproc)" -ge 2 ] || lab_skip "needs two processors"
TOOL=$BENCH_TOOLS/relay_load
SECONDS_EACH=${SECONDS_EACH:-1.5}
CLIENTS=2
PATHS=100000
R=10.9.0.3
OURS=$R:4503
TURN=$R:3478

bench_pair
lab_host r
lab_link r lan $R/24 fd00:9::3/64

# --- the relays -----------------------------------------------------------------

lab_as_user r ntm-server init --domain ntm.example --listen "$R" >/dev/null
conf=$(lab_home r)/.local/share/ntm-server
sed -i -e 's/^#roles = .*/roles = rs/' -e 's/^#threads = .*/threads = 1/' \
	-e '/^\[rs\]/,/^\[/s/^#dc = .*/dc = 10.9.0.1:4502/' "$conf/ntm-server.conf"

# our_relay PATHS: start it, and a DC that directs so many
our_relay()
{
	lab_start rs user r taskset -c 1 ntm-server run
	lab_start dc root a taskset -c 0 "$TOOL" dc "$conf" 10.9.0.1:4502 "$1" \
		10.9.0.1 10.9.0.2
	wait_for 60 'grep -q ready "$(lab_log dc)"'
}

our_relay_ends()
{
	lab_stop dc
	lab_stop rs
}

lab_start turn root r taskset -c 1 turnserver -n -c /dev/null --no-auth \
	--listening-ip $R --relay-ip $R --listening-port 3478 --no-tls \
	--no-dtls --no-cli --no-multicast-peers --relay-threads 1 \
	--log-file stdout --simple-log
wait_for 10 "lab_root r ss -Hlun sport = :3478 | grep -q ."
our_relay $CLIENTS
bench_versions
note "coturn $(dpkg-query -W -f '${Version}' coturn), one relay thread; ours, one"

# --- rounds -----------------------------------------------------------------------

# deliver KIND SIZE BURST RATE: sets SENT and GOT, datagrams a second
deliver()
{
	local sink=() to=() log sent

	if [ "$1" = turn ]; then
		sink=(turn 10.9.0.2:7000)
		to=("$TURN" $CLIENTS "$2" "$4" "$SECONDS_EACH" "$3" 10.9.0.2:7000)
	else
		sink=(ntm "$OURS" $CLIENTS)
		to=("$OURS" $CLIENTS "$2" "$4" "$SECONDS_EACH" "$3")
	fi
	lab_start sink root b taskset -c 0 "$TOOL" sink "${sink[@]}"
	log=$(lab_log sink)
	wait_for 10 "grep -q ready '$log'"
	sent=$(lab_root a taskset -c 0 "$TOOL" send "$1" "${to[@]}")
	lab_stop sink TERM
	SENT=$(awk -v n="$sent" -v s="$SECONDS_EACH" 'BEGIN { printf "%.0f", n / s }')
	GOT=$(awk 'END { printf "%.0f", $3 ? $1 / $3 : 0 }' "$log")
}

# burst SIZE: as many as a broker puts into one send
burst()
{
	[ "$1" -gt 1000 ] && echo 40 || echo 64
}

# offer SIZE RATE: sets SENT and GOT, counted where they enter b, and dropped there:
# a receiver would take the processor that offers. Answers to punches (another type)
# come through.
offer()
{
	local size=$1 rate=$2 sent counted

	lab_root b nft -f - <<-EOF
		table ip count {
			chain in {
				type filter hook prerouting priority -300
				ip saddr $R udp sport 4503 @th,64,8 1 counter drop
			}
		}
	EOF
	sent=$(lab_root a taskset -c 0 "$TOOL" send ntm "$OURS" $CLIENTS "$size" \
		"$rate" "$SECONDS_EACH" "$(burst "$size")")
	counted=$(lab_root b nft list table ip count)
	lab_root b nft delete table ip count
	SENT=$(awk -v n="$sent" -v s="$SECONDS_EACH" 'BEGIN { printf "%.0f", n / s }')
	# A message of UDP_SEGMENT is one packet here, with one pair of headers.
	GOT=$(sed -n 's/.*counter packets \([0-9]*\) bytes \([0-9]*\).*/\1 \2/p' \
		<<<"$counted" | awk -v size="$size" -v s="$SECONDS_EACH" \
		'{ printf "%.0f", ($2 - 28 * $1) / size / s }')
}

for round in $(seq "$BENCH_ROUNDS"); do
	for size in 120 1400; do
		for kind in turn ntm; do
			deliver $kind $size "$(burst $size)" 0
			echo "$GOT" >>"$LAB/$kind.$size"
			deliver $kind $size 1 0
			echo "$GOT" >>"$LAB/$kind.$size.whole"
		done
	done
done

# Each by itself, a quarter of a core for each relay

# cpu_ns PID: that all its threads have used
cpu_ns()
{
	cat /proc/"$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f", s }'
}

# scarce KIND SIZE: sets SENT and GOT, datagrams a second, and EACH, nanoseconds of the
# relay's processor for one that was delivered
scarce()
{
	local kind=$1 size=$2 match pid to before after sent counted

	if [ "$kind" = turn ]; then
		match='udp dport 7000'
		pid=$(lab_root r pgrep -x turnserver)
		to=("$TURN" $CLIENTS "$size" 0 "$SECONDS_EACH" 1 10.9.0.2:7000)
	else
		match='udp sport 4503 @th,64,8 1'
		pid=$(lab_root r pgrep -x rs)
		to=("$OURS" $CLIENTS "$size" 0 "$SECONDS_EACH" 1)
	fi
	lab_root b nft -f - <<-EOF
		table ip count {
			chain in {
				type filter hook prerouting priority -300
				ip saddr $R $match counter drop
			}
		}
	EOF
	before=$(cpu_ns "$pid")
	sent=$(lab_root a taskset -c 0 "$TOOL" send "$kind" "${to[@]}")
	after=$(cpu_ns "$pid")
	counted=$(lab_root b nft list table ip count)
	lab_root b nft delete table ip count
	SENT=$(awk -v n="$sent" -v s="$SECONDS_EACH" 'BEGIN { printf "%.0f", n / s }')
	read -r GOT EACH < <(sed -n \
		's/.*counter packets \([0-9]*\) bytes \([0-9]*\).*/\1 \2/p' \
		<<<"$counted" | awk -v size="$size" -v s="$SECONDS_EACH" \
		-v cpu=$((after - before)) '{ n = ($2 - 28 * $1) / size
			printf "%.0f %.0f\n", n / s, n ? cpu / n : 0 }')
}

lab_start sink root b taskset -c 0 "$TOOL" sink ntm "$OURS" $CLIENTS
wait_for 10 'grep -q ready "$(lab_log sink)"'
for hog in 1 2 3; do
	lab_start hog$hog root r taskset -c 1 sh -c 'while :; do :; done'
done
for round in $(seq "$BENCH_ROUNDS"); do
	for size in 120 1400; do
		for kind in turn ntm; do
			scarce $kind $size
			echo "$GOT" >>"$LAB/$kind.$size.single"
			echo "$EACH" >>"$LAB/$kind.$size.each"
			ratio "$SENT" "$GOT" >>"$LAB/$kind.$size.over"
		done
	done
done
for hog in 1 2 3; do
	lab_stop hog$hog KILL
done
lab_stop sink

# Overload. Half of its processor is another's, so that the other one can offer twice
# what the relay carries: what a flood brings through is once, its double twice.
lab_start sink root b taskset -c 0 "$TOOL" sink ntm "$OURS" $CLIENTS
wait_for 10 'grep -q ready "$(lab_log sink)"'
lab_start hog root r taskset -c 1 sh -c 'while :; do :; done'
for round in $(seq "$BENCH_ROUNDS"); do
	for size in 120 1400; do
		offer $size 0
		rate=$GOT
		offer $size "$rate"
		one=$GOT
		echo "$GOT" >>"$LAB/once.$size"
		offer $size $((rate * 2))
		echo "$GOT" >>"$LAB/twice.$size"
		ratio "$GOT" "$one" >>"$LAB/overload.$size"
		ratio "$SENT" "$rate" >>"$LAB/offered.$size"
	done
done
lab_stop hog KILL
lab_stop sink
note "our relay:" "$(lab_as_user r ntm-server status | grep '^rs:' |
	grep -oE '(send_lost|gso_fallbacks|sent|sent_messages)=[0-9]+' | tr '\n' ' ')"
our_relay_ends
lab_stop turn

# --- memory -------------------------------------------------------------------------

rss()
{
	local pid

	pid=$(pgrep -P "${LAB_PID[rs]}" -x rs) || pid=$(lab_root r pgrep -x rs)
	awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$pid/status"
}
sed -i "s/^#paths = .*/paths = $PATHS/" "$conf/ntm-server.conf"
our_relay 1
before=$(rss)
our_relay_ends
our_relay $PATHS
after=$(rss)
our_relay_ends

# middle FILE: its median, as a whole number
middle()
{
	median "$1" | awk '{ printf "%.0f", $1 }'
}

for size in 120 1400; do
	note "$size bytes, datagrams/s delivered: coturn $(middle "$LAB/turn.$size")," \
		"ours $(middle "$LAB/ntm.$size"); each by itself: coturn" \
		"$(middle "$LAB/turn.$size.whole"), ours $(middle "$LAB/ntm.$size.whole")"
	for kind in turn ntm; do
		name=ours
		[ $kind = ntm ] || name=coturn
		note "$size bytes, each by itself, a quarter of a core: $name" \
			"$(middle "$LAB/$kind.$size.single")/s, offered" \
			"$(median "$LAB/$kind.$size.over") times that;" \
			"$(middle "$LAB/$kind.$size.each") ns of its processor each"
	done
	note "$size bytes, half a processor, offered $(median "$LAB/offered.$size")" \
		"times: $(middle "$LAB/once.$size") -> $(middle "$LAB/twice.$size")"
done
note "1400 bytes, Mbit/s: coturn $(($(middle "$LAB/turn.1400") * 112 / 10000))," \
	"ours $(($(middle "$LAB/ntm.1400") * 112 / 10000))"
figure relay.small-of-coturn "$(ratio "$(median "$LAB/ntm.120")" "$(median "$LAB/turn.120")")" x ">=" 1.5
figure relay.small-single-of-coturn "$(ratio "$(median "$LAB/ntm.120.single")" "$(median "$LAB/turn.120.single")")" x ">=" 1.5
figure relay.small-single-per-cpu-of-coturn "$(ratio "$(median "$LAB/turn.120.each")" "$(median "$LAB/ntm.120.each")")" x ">=" 1.5
figure relay.large-of-coturn "$(ratio "$(median "$LAB/ntm.1400")" "$(median "$LAB/turn.1400")")" x ">=" 3
figure relay.small-at-twice-the-load "$(median "$LAB/overload.120")" x ">=" 0.9
figure relay.large-at-twice-the-load "$(median "$LAB/overload.1400")" x ">=" 0.9
figure relay.bytes-a-path $(((after - before) / PATHS)) B "<=" 1024
ok "relay measured"
