#!/bin/bash
# SPDX-License-Identifier: MIT
# 268-group-across - five members in three networks and two domains, and unmodified programs
# that go on all the time: socat, iperf, ffmpeg by RTP, and a count of 50 packets a second.
# Formed by both methods, with one that is off; joined, removed, left, renewed by its timer:
# who is outside at a moment hears nothing of it, no member waits 200 ms at a renewal
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
domains_root root one.example=sa two.example=sb
domains_server sa one.example
domains_server sb two.example
groups_server sa
domains_node a laptop.alice one.example
domains_node b desk.alice one.example
domains_node c desk.bob two.example
domains_node d phone.bob two.example
domains_node e tablet.alice one.example
domains_peer sa one.example sb two.example
for h in a b e; do domains_allow $h two.example; done
for h in c d; do domains_allow $h one.example; done
declare -n N=NTM_NAME
for h in a b c d e; do items_prekey $h; done

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
# hears HOST: a line for each packet: ms, and the number or word in it
hears()
{
	ntm_start "hears-$1" "$1" /usr/bin/python3 -u -c "
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5005))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
             struct.pack('4s4s', socket.inet_aton('$V4'), socket.inet_aton('0.0.0.0')))
while True:
    data = s.recv(2000)
    print(int(time.monotonic() * 1000), data.decode().strip())"
	ntm_start "socat-$1" "$1" socat -u "UDP6-RECV:5006,reuseaddr,ipv6-join-group=[$V6]:lo" -
	wait_for 10 "ntm_inside $1 ss -Hlnu sport = :5005 | grep -q . &&
		ntm_inside $1 ss -Hlnu sport = :5006 | grep -q ."
}
# counted HOST: the last number that it heard
counted()
{
	tail -n 1 "$(lab_log "hears-$1")" | awk '{ print $2 + 0 }'
}
# runs HOST...: each hears 50 more
runs()
{
	local h from
	for h; do
		from=$(counted "$h")
		wait_for 20 "[ \"\$(counted $h)\" -gt $((${from:-0} + 50)) ]" \
			"tail -n 3 $(lab_log "hears-$h"); lab_as_user $h ntm status --json; lab_as_user a ntm peers"
	done
}
# silent HOST: it hears nothing, while b and a's count go on
silent()
{
	local was words
	was=$(wc -l <"$(lab_log "hears-$1")") words=$(wc -c <"$(lab_log "socat-$1")")
	runs "$2"
	speak "not for $1" "$2"
	assert_eq "$(wc -l <"$(lab_log "hears-$1")") $(wc -c <"$(lab_log "socat-$1")")" \
		"$was $words" "$1, which is outside, hears nothing"
}
# speak WORDS HOST...: by socat and name, heard by each
speak()
{
	local words=$1 h
	shift
	for h; do
		wait_for 10 "echo '$words' | ntm_run a socat -u - UDP6-DATAGRAM:$G:5006 &&
			grep -q '$words' '$(lab_log "socat-$h")'" "lab_as_user $h ntm status --json"
	done
}
# gap HOST LINE: the longest silence since that line, ms
gap()
{
	tail -n +"$2" "$(lab_log "hears-$1")" |
		awk 'p && $1 - p > m { m = $1 - p } { p = $1 } END { print m + 0 }'
}
for h in b c; do hears $h; done
ntm_start speaks a /usr/bin/python3 -u -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
while True:
    s.sendto(str(n).encode(), ('$G', 5005))
    n += 1
    time.sleep(0.02)"
runs b c
ok "b, and c of the other domain, hear the count"

# --- it comes, and joins
ntm_up d
ntm_wait_online d
group_invited 40 d band
group d accept band >"$LAB/out" 2>&1 || not_ok "d: $(cat "$LAB/out")"
group_in 40 d band 4
hears d
runs b c d
assert_between "$(awk 'NR == 1 { print $2 }' "$(lab_log hears-d)")" 20 100000 \
	"d hears from its joining on: the first number"
group_joins e band a "${N[e]}"
group_in 40 e band 5
hears e
runs b c d e
speak "to all five" b c d e
ok "five members in three networks and two domains, one of which was off till now"

# --- iperf and ffmpeg across all of them
for h in b c d e; do
	ntm_start "iperf-$h" $h iperf -s -u -B "$V4" -p 5010 -i 1 -e
	ntm_start "ffmpeg-$h" $h timeout 30 ffmpeg -loglevel error -nostdin -y \
		-analyzeduration 500000 -probesize 200000 -i "rtp://$V4:5020" \
		-t 1.5 -c copy film.ts
	wait_for 10 "ntm_inside $h ss -Hlnu sport = :5010 | grep -q ."
done
ntm_start film a ffmpeg -loglevel error -nostdin -re -f lavfi \
	-i testsrc=size=320x240:rate=25 -c:v mpeg2video -g 10 \
	-f rtp_mpegts "rtp://$V4:5020?pkt_size=1316"
ntm_run a iperf -c "$V4" -u -p 5010 -b 1M -t 2 -l 1200 >"$LAB/log/iperf-a" 2>&1
for h in b c d e; do
	wait_for 10 "grep -qE '\(0(\.[0-9]+)?%\)' '$(lab_log iperf-$h)'" "cat '$(lab_log iperf-$h)'"
	lab_join ffmpeg-$h
	assert_between "$(lab_as_user $h ffprobe -loglevel error -count_frames \
		-show_entries stream=nb_read_frames -of csv=p=0 film.ts |
		tr -d ', ' | head -n 1)" 20 80 "$h: iperf loses nothing; frames of the film by RTP"
done
lab_stop film

# --- removed, and left: the others go on
group a remove band "${N[d]}" >"$LAB/out" 2>&1 || not_ok "d stays: $(cat "$LAB/out")"
for h in a b c e; do group_in 30 $h band 4; done
silent d b
group b leave band -y >"$LAB/out" 2>&1 || not_ok "b stays: $(cat "$LAB/out")"
for h in a c e; do group_in 30 $h band 3; done
silent b c
runs c e

# --- the timer
declare -A FROM
epoch=$(group_get a band .epoch)
for h in c e; do FROM[$h]=$(wc -l <"$(lab_log "hears-$h")"); done
wait_for 75 "[ \$(group_get a band .epoch) -gt $epoch ]" "group a status band"
for h in a c e; do group_in 20 $h band 3; done
assert_contains "$(group a log band | tail -n 1)" "renew  by the server" "renewed by time"
runs c e
for h in c e; do
	assert_between "$(gap $h "${FROM[$h]}")" 0 200 "$h: ms between packets at the renewal"
done
for h in b d; do silent $h c; done
