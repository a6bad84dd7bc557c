#!/bin/bash
# SPDX-License-Identifier: MIT
# 268-group-across - five members in three networks and two domains, and unmodified programs
# that go on through all that happens: socat (50 lines a second), iperf (100 packets a
# second; iperf 2, as iperf3 knows no multicast), ffmpeg (a film of 25 frames a second by
# RTP). Formed by both methods, with one that is off; joined, removed, left, renewed by its
# timer: how long each program of each member hears nothing then, at a renewal 200 ms at
# most; who is outside at a moment hears nothing of it
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star root sa sb a c
lab_host b
lab_link b n4 10.4.0.3/24 2001:db8:4::3/64 5
lab_host d
lab_link d n5 10.5.0.3/24 2001:db8:5::3/64 5
lab_host e
lab_link e other 10.200.0.9/24 2001:db8:200::9/64 5
groups_across
declare -n N=NTM_NAME

# --- formed: b and c through tunnels, d by the Cache Server: it is off throughout
lab_as_user d ntm down
group a create band renew=60 >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group a invite band "${N[b]}" "${N[c]}" "${N[d]}" >"$LAB/out" 2>&1 ||
	not_ok "not invited: $(cat "$LAB/out")"
for h in b c; do
	group_invited 40 $h band
	group $h accept band >"$LAB/out" 2>&1 || not_ok "$h: $(cat "$LAB/out")"
done
for h in a b c; do group_in 40 $h band 3; done

# --- programs, from now on
G=band.group.one.example
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
V6=$(ntm_run a getent ahostsv6 "$G" | awk '{print $1; exit}')
declare -A LINE=()
# hears HOST: three programs there, whose logs say when something came
hears()
{
	ntm_start "socat-$1" "$1" socat -v -u \
		"UDP6-RECV:5006,reuseaddr,ipv6-join-group=[$V6]:lo" OPEN:/dev/null
	ntm_start "iperf-$1" "$1" iperf -s -u -B "$V4" -p 5010 -i 0.5 -e
	ntm_start "ffmpeg-$1" "$1" ffmpeg -loglevel error -nostdin -y \
		-analyzeduration 500000 -probesize 50000 \
		-use_wallclock_as_timestamps 1 -copyts -i "rtp://$V4:5020" \
		-c copy -f framecrc -flush_packets 1 film
}
# log_of PROGRAM HOST
log_of()
{
	case $1 in
	ffmpeg) echo "$(lab_home "$2")/film" ;;
	*) lab_log "$1-$2" ;;
	esac
}
# heard PROGRAM HOST FROM TO: how many, and the longest silence, ms
heard()
{
	/usr/bin/python3 "$LAB_SRC/tests/lab/streams.py" "$(log_of "$1" "$2")" "$3" "$4"
}
# goes_on PROGRAM HOST SINCE: something came after that
goes_on()
{
	case $1 in
	iperf) [ "$(iperf_lines "$2")" -gt "$3" ] ;;
	*) [ "$(heard "$1" "$2" "$3" 9999999999999999 | cut -d' ' -f1)" -gt 0 ] ;;
	esac
}
# iperf_lines HOST: so many half seconds it has told of; and of the packets that were lost
# since a line, 10 ms each
iperf_lines()
{
	grep -c 'pkts' "$(lab_log "iperf-$1")" || :
}
iperf_lost()
{
	grep 'pkts' "$(lab_log "iperf-$1")" | tail -n +$(($2 + 1)) |
		sed 's|.* ms *\([0-9]*\)/[0-9]* (.*|\1|' | awk '{ n += $1 } END { print n + 0 }'
}
# numbers FILE: of the lines that were said, or heard
numbers()
{
	sed -n 's/^for the band \([0-9]*\)$/\1/p' "$(lab_log "$1")"
}
# begins HOST...: a change begins, here
begins()
{
	local h
	T0=$(lab_now)
	for h; do LINE[$h]=$(iperf_lines "$h"); done
}
# across TEXT MS HOST...: the change is over; a second later no program there has waited longer
across()
{
	local text=$1 most=$(($2 * LAB_SLOW)) h p end ms=() lost
	shift 2
	end=$(($(lab_now) + 1000000))
	for h; do
		for p in socat ffmpeg; do
			wait_for 20 "goes_on $p $h $end" \
				"tail -n 3 $(log_of $p "$h"); lab_as_user $h ntm status --json; lab_as_user a ntm peers"
		done
		wait_for 20 "goes_on iperf $h $((LINE[$h] + 2))"
	done
	for h; do
		ms=()
		for p in socat ffmpeg; do
			ms+=("$(heard $p "$h" "$T0" "$end" | cut -d' ' -f2)")
		done
		lost=$(iperf_lost "$h" "${LINE[$h]}")
		assert_between "$(printf '%s\n' "${ms[@]}" $((lost * 10)) | sort -n | tail -n 1)" \
			0 "$most" "$text, $h: socat waits ${ms[0]} ms, ffmpeg ${ms[1]} ms, iperf lacks $lost packets; ms at most"
	done
}
# comes HOST SAID: it has come when that number had been said
comes()
{
	hears "$1"
	wait_for 20 "goes_on socat $1 0 && goes_on iperf $1 0 && goes_on ffmpeg $1 0" \
		"cat '$(lab_log "ffmpeg-$1")'; lab_as_user $1 ntm status --json"
	assert_between "$(numbers "socat-$1" | head -n 1)" "$2" 100000 \
		"$1 hears nothing of before it joined: the first number"
}
# gone HOST: since now it hears nothing, with SAID the last number that it may have heard
gone()
{
	local said=$2
	GONE[$1]=$(lab_now)
	LINE[$1]=$(iperf_lines "$1")
	assert_between "$(numbers "socat-$1" | tail -n 1)" 1 "$said" \
		"the last that $1 heard was said before (of $said)"
}
declare -A GONE=()
ntm_start speaks a bash -c "/usr/bin/python3 -u -c '
import sys, time
n = 0
while True:
    n += 1
    line = \"for the band %d\\n\" % n
    sys.stdout.write(line)
    sys.stderr.write(line)
    time.sleep(0.02) # the pace of the stream; nothing is waited for
' | socat -u - UDP6-DATAGRAM:$G:5006"
ntm_start iperf-a a iperf -c "$V4" -u -p 5010 -b 100pps -l 400 -t 600
ntm_start film a ffmpeg -loglevel error -nostdin -re -f lavfi \
	-i testsrc=size=160x120:rate=25 -c:v mpeg2video -g 1 \
	-f rtp_mpegts "rtp://$V4:5020?pkt_size=1316"
DEV=$(lab_dev c n5)
lab_capture wire c "$DEV" udp
for h in b c; do comes $h 1; done
ok "b, and c of the other domain, hear socat, iperf and ffmpeg"

# --- it comes, and joins: d, which was off all the time; then e
begins b c
ntm_up d
ntm_wait_online d
group_invited 40 d band
said=$(numbers speaks | tail -n 1)
group d accept band >"$LAB/out" 2>&1 || not_ok "d: $(cat "$LAB/out")"
group_in 40 d band 4
comes d "$said"
across "d joins" 500 b c
begins b c d
said=$(numbers speaks | tail -n 1)
group_joins e band a "${N[e]}"
group_in 40 e band 5
comes e "$said"
across "e joins" 500 b c d
ok "five members in three networks and two domains, one of which was off till now"

# --- removed, and left: the others go on
begins b c e
group a remove band "${N[d]}" >"$LAB/out" 2>&1 || not_ok "d stays: $(cat "$LAB/out")"
gone d "$(numbers speaks | tail -n 1)"
for h in a b c e; do group_in 30 $h band 4; done
across "d is removed" 500 b c e
begins c e
group b leave band -y >"$LAB/out" 2>&1 || not_ok "b stays: $(cat "$LAB/out")"
for h in a c e; do group_in 30 $h band 3; done
gone b "$(numbers speaks | tail -n 1)"
across "b leaves" 500 c e

# --- the timer
epoch=$(group_get a band .epoch)
begins c e
wait_for 75 "[ \$(group_get a band .epoch) -gt $epoch ]" "group a status band"
T0=$(($(lab_now) - 1000000))
for h in a c e; do group_in 20 $h band 3; done
assert_contains "$(group a log band | tail -n 1)" "renew  by the server" "renewed by time"
across "the timer renews" 200 c e

# --- whoever was outside
for h in b d; do
	for p in socat ffmpeg; do
		assert_eq "$(heard $p $h "${GONE[$h]}" "$(lab_now)" | cut -d' ' -f1)" 0 \
			"$p of $h, which is outside, has heard nothing since"
	done
	# it tells of the last half second when the next packet comes, or after a while
	assert_between "$(iperf_lines $h)" "${LINE[$h]}" $((LINE[$h] + 1)) \
		"nor has its iperf: half seconds"
done
lab_stop capture-wire INT
assert_between "$(stat -c %s "$LAB/wire.pcap")" 1000000 1000000000 "c's wire: bytes"
assert_eq "$(grep -aco -e 'for the band' -e 0123456789 "$LAB/wire.pcap" || :)" 0 \
	"and none of $(numbers socat-c | wc -l) lines can be read on c's wire"
for h in c e; do
	# from number to number
	assert_eq "$(numbers socat-$h | awk 'p && $1 > p + m { m = $1 - p } { p = $1 } END { print m }')" \
		1 "$h: socat lacks none of $(numbers socat-$h | wc -l) lines from its joining to the end"
	lost=$(iperf_lost $h 1)
	assert_between "$lost" 0 $((50 * LAB_SLOW)) \
		"$h: iperf lacks so many of $(($(iperf_lines $h) * 50)) packets from its joining to the end"
done
