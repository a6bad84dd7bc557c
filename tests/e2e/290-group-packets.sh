#!/bin/bash
# SPDX-License-Identifier: MIT
# 290-group-packets - programs talk to a group: sealed once, heard by members alone
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/played.sh"

ntm_installed
ntm_star server a b c d
ntm_account server alice
ntm_account server bob
ntm_node a laptop.alice
ntm_node b desk.alice
ntm_node c phone.bob		# another account: nobody has allowed it anything
ntm_node d tv.alice		# of the account, and in no group

played_group chat "$NTM_DOMAIN" mac a b c
G=$PLAYED

# --- names ------------------------------------------------------------------------

V6=$(played_get a vip6) V4=$(played_get a vip4)
assert_contains "$V6" ff38:40:fd6e: "the group's IPv6 address"
[[ $V4 =~ ^239\.19[2345]\. ]] || not_ok "IPv4 address '$V4'"
for host in a b c; do
	got=$(ntm_run $host getent ahosts "$G" | awk '{print $1}' | sort -u |
		tr '\n' ' ')
	assert_eq "$got" "$V4 $V6 " "$host resolves $G"
done
assert_eq "$(ntm_run a getent hosts "$V6" | awk '{print $2}')" "$G" \
	"the address gives the name back"
assert_fails "a node that is in no group does not know the name" \
	ntm_run d getent ahosts "$G"
assert_eq "$(ntm_run a getent ahosts "other.group.$NTM_DOMAIN")" "" \
	"a group that is not ours is no name"
assert_eq "$(lab_as_user server cat .local/share/ntm-server/log 2>/dev/null |
	grep -c "group.$NTM_DOMAIN")" 0 "the coordinator is not asked for groups"

# --- socat: bound to the wildcard, joined with an interface of the host ---------------

# listen_on HOST 4|6 PORT: what comes goes to a file of that name
listen_on()
{
	local name=on-$1-$2-$3 host=$1
	if [ "$2" = 4 ]; then
		ntm_start "$name" "$host" socat -u \
			"UDP4-RECV:$3,reuseaddr,ip-add-membership=$V4:lo" \
			"OPEN:$LAB/hosts/$host/home/$name,creat,append"
	else
		ntm_start "$name" "$host" socat -u \
			"UDP6-RECV:$3,reuseaddr,ipv6-join-group=[$V6]:lo" \
			"OPEN:$LAB/hosts/$host/home/$name,creat,append"
	fi
	wait_for 5 "ntm_inside $host ss -Hlnu sport = :$3 | grep -q ."
}

# heard HOST 4|6 PORT TEXT
heard()
{
	wait_for 5 "grep -q -- '$4' $LAB/hosts/$1/home/on-$1-$2-$3" \
		"lab_as_user $1 ntm status --json; lab_as_user $1 ntm peers"
	ok "$1 hears '$4' by IPv$2"
}

# speak HOST 4|6 PORT TEXT
speak()
{
	local to=UDP4-DATAGRAM:$V4:$3
	[ "$2" = 4 ] || to="UDP6-DATAGRAM:[$V6]:$3"
	echo "$4" | ntm_run "$1" socat -u - "$to"
}

for family in 4 6; do
	for host in a b c; do
		listen_on $host $family 500$family
	done
done
# nobody has met anybody: the first word waits for the tunnels
speak a 4 5004 first
for host in a b c; do
	heard $host 4 5004 first
done
for family in 4 6; do
	for from in a b c; do
		speak $from $family 500$family "$from-by-$family"
		for host in a b c; do
			heard $host $family 500$family "$from-by-$family"
		done
	done
done
echo by-name | ntm_run a socat -u - "UDP6-DATAGRAM:chat.group.$NTM_DOMAIN:5006"
for host in b c; do
	heard $host 6 5006 by-name
done
for host in a b c; do
	for family in 4 6; do
		file=$LAB/hosts/$host/home/on-$host-$family-500$family
		assert_eq "$(sort "$file" | uniq -d)" "" \
			"$host has everything once (IPv$family)"
	done
	assert_eq "$(played_get $host bad_source)" 0 "$host: no wrong source"
done
assert_between "$(played_get a tx_datagrams)" 4 40 "one datagram a member"

# --- a program that has not joined hears nothing, though it has the port -----------------

lab_start deaf user b env NTM_LISTEN=virtual ntm-run socat -u \
	UDP4-RECV:5040,reuseaddr "OPEN:$LAB/hosts/b/home/deaf,creat,append"
wait_for 5 "ntm_inside b ss -Hlnu sport = :5040 | grep -q ."
listen_on c 4 5040
speak a 4 5040 to-who-has-joined
heard c 4 5040 to-who-has-joined
speak a 4 5004 behind-it	# b has joined there
heard b 4 5004 behind-it
assert_eq "$(cat $LAB/hosts/b/home/deaf)" "" \
	"a port that no rule opens is not reached by the group's address"

# --- who is no member connects nowhere, who is one reaches no port ---------------------

ntm_web a 8080
assert_fails "a member that no rule allows reaches no port" \
	ntm_run c curl -s -m 5 "http://${NTM_NAME[a]}:8080/"
lab_as_user a ntm allow @chat 8080 >"$LAB/log/allow" 2>&1
wait_for 5 "ntm_run c curl -s -m 3 http://${NTM_NAME[a]}:8080/ >$LAB/log/curl"
ok "allow @chat 8080: a member of another account reaches it"

# --- large datagrams, and streams of them -----------------------------------------------

head -c 6000 /dev/urandom | base64 -w 0 | head -c 6000 >"$LAB/large"
lab_give "$LAB/large"
ntm_run b socat -u -b 6000 "OPEN:$LAB/large" "UDP4-DATAGRAM:$V4:5004"
heard c 4 5004 "$(head -c 60 "$LAB/large")"
heard a 4 5004 "$(tail -c 60 "$LAB/large")"

if command -v iperf >/dev/null; then
	for host in b c; do
		ntm_start "iperf-$host" $host iperf -s -u -B "$V4" -p 5010 -i 1 -e
		wait_for 5 "ntm_inside $host ss -Hlnu sport = :5010 | grep -q ."
	done
	ntm_run a iperf -c "$V4" -u -p 5010 -b 2M -t 2 -l 1200 \
		>"$LAB/log/iperf-a" 2>&1
	for host in b c; do
		wait_for 8 "grep -qE '\(0(\.[0-9]+)?%\)' '$(lab_log iperf-$host)'" \
			"cat '$(lab_log iperf-$host)'"
		ok "iperf -u from a: nothing lost at $host"
	done
fi

if command -v ffmpeg >/dev/null; then
	ntm_start film a ffmpeg -loglevel error -nostdin -re -f lavfi \
		-i testsrc=size=320x240:rate=25 -c:v mpeg2video -g 10 \
		-f rtp_mpegts "rtp://$V4:5020?pkt_size=1316"
	for host in b c; do
		ntm_start "ffmpeg-$host" $host timeout 20 ffmpeg -loglevel error \
			-nostdin -y -analyzeduration 500000 -probesize 200000 \
			-i "rtp://$V4:5020" -t 1.5 -c copy film.ts
	done
	for host in b c; do
		lab_join ffmpeg-$host
		assert_between "$(lab_as_user $host ffprobe -loglevel error \
			-count_frames -show_entries stream=nb_read_frames \
			-of csv=p=0 film.ts | tr -d ', ' | head -n 1)" 25 60 \
			"ffmpeg at $host has frames of a's film, by RTP"
	done
	lab_stop film
fi

# --- epochs -------------------------------------------------------------------------------

listen_on b 4 5030
ntm_start count a "$LAB_SRC/tests/lab/manyhear.py" count 4 "$V4" 5030 150
wait_for 5 "grep -q n20 $LAB/hosts/b/home/on-b-4-5030"
played_say renew 'epoch 4'
played_say renew 'epoch 5'
lab_join count
heard b 4 5030 n149
assert_eq "$(seq -f n%g 0 149 | grep -vxFf "$LAB/hosts/b/home/on-b-4-5030" |
	tr '\n' ' ')" "" "two renewals under way: not one packet lost"
wait_for 3 "[ \$(played_get a sends) = 5 ]"

# --- a worker dies --------------------------------------------------------------------------

kill -9 "$(ntm_worker b)"
wait_for 5 "[ \$(ntm_get b generation) = 2 ]"
played_say 'again 1' again
wait_for 5 "[ \$(played_get b members) = 3 ]"
speak a 4 5004 after-the-worker
heard b 4 5004 after-the-worker

# --- who is removed ---------------------------------------------------------------------------

played_say 'remove 2' '2 members'
before=$(wc -c <"$LAB/hosts/c/home/on-c-4-5004")
speak a 4 5004 not-for-c
heard b 4 5004 not-for-c
speak c 4 5004 from-outside	# with all that it had
speak b 4 5004 b-again
heard a 4 5004 b-again
assert_eq "$(wc -c <"$LAB/hosts/c/home/on-c-4-5004")" \
	"$((before + 13))" "c hears nothing but itself any more"
for host in a b; do
	assert_lacks "$(cat $LAB/hosts/$host/home/on-$host-4-5004)" from-outside \
		"$host does not hear it"
done
assert_fails "and what @chat allowed has ended" \
	ntm_run c curl -s -m 5 "http://${NTM_NAME[a]}:8080/"
