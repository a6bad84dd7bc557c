#!/bin/bash
# SPDX-License-Identifier: MIT
# 194-away-kills - 1 GiB by way of the Cache Server, while the sender's ntm-post, the
# Cache Server and the receiver's ntm-post are killed at random moments, ten times in all:
# it arrives intact, no byte is stored twice, and both ntm-posts stay small
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

SIZE=$((1 << 30))
SEED=${SEED:-$RANDOM}
echo "# SEED=$SEED"
ntm_installed
lab_net lan
for host in server a b; do
	lab_host $host
	case $host in
	server)	lab_link $host lan 10.1.0.2/24 2001:db8:1::2/64 ;;
	a)	lab_link $host lan 10.1.0.3/24 2001:db8:1::3/64 ;;
	b)	lab_link $host lan 10.1.0.4/24 2001:db8:1::4/64 ;;
	esac
done
# 180 MB/s at most: a look takes a while, and who is to be killed must be at work by then
for host in server a; do
	lab_root $host tc qdisc add dev eth0 root tbf rate 1500mbit burst 2m latency 100ms
done
ntm_server server $NTM_DOMAIN
ntm_account server alice
server_set server "server.roles=as, dc, rs, ns, cs"
items_ready server
ntm_node a laptop.alice
ntm_node b desk.alice
B=${NTM_NAME[b]}
dir=$(server_dir server)

# traced NAME HOST PROGRAM...: what it and its children write to files is in
# $LAB/trace/NAME.TID
mkdir "$LAB/trace"
traced()
{
	local name=$1
	lab__words user "$2"
	shift 2
	(
		trap - ERR EXIT
		exec strace -ff --seccomp-bpf -qq -y -ttt -s 0 -o "$LAB/trace/$name" \
			-e trace=pwrite64,write,lseek "${LAB_CMD[@]}" "$@" \
			</dev/null >>"$LAB/log/$name" 2>&1
	) &
	LAB_PID[$name]=$!
}
# written NAME PATTERN: what $LAB/trace says of files whose path matches
written()
{
	/usr/bin/python3 "$LAB_SRC/tests/e2e/written.py" "$LAB/trace/$1" "$2"
}
# state HOST LIST FILTER: of the newest item
state()
{
	lab_as_user "$1" ntm "$2" --json | jq -r ".items[-1] | $3"
}
# size FILE...: 0 where there is none
size()
{
	stat -c %s "$@" 2>"$LAB/log/size" || echo 0
}

items_prekey b
lab_as_user b ntm down
lab_stop server-server
: >"$(lab_log server-server)"
traced server-server server ntm-server run
wait_for 10 '[ "$(server_status server roles.cs.as_link)" = true ] &&
	[ "$(server_status server roles.cs.box)" = true ]'

# The most memory that an ntm-post may ever have, KiB: 19 MiB were measured.
PEAK_MAX=$((32 << 10))
declare -A PEAK=([a]=0 [b]=0)
# peak HOST: looks; none may be there
peak()
{
	local pid kib
	for pid in $(lab_pids "$1" ntm-post); do
		kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" \
			2>>"$LAB/log/peak") || continue
		[ "${kib:-0}" -le "${PEAK[$1]}" ] || PEAK[$1]=$kib
	done
}
# small HOST: so is it; a sanitizer's own memory is none of its
small()
{
	echo "# ntm-post of $1: ${PEAK[$1]} KiB at most"
	[ -n "$NTM_SAN" ] || assert_between "${PEAK[$1]}" 1000 $PEAK_MAX \
		"KiB of memory that ntm-post of $1 had at most, with 1 GiB"
}

# five moments of each direction, the last well before its end, and who is killed then
mapfile -t PLAN < <(/usr/bin/python3 - "$SEED" $SIZE <<'END'
import random, sys
r, size = random.Random(int(sys.argv[1])), int(sys.argv[2])
for who in (["a", "a", "a", "cs", "cs"], ["b", "b", "b", "cs", "cs"]):
    r.shuffle(who)
    at = sorted(r.sample(range(size // 50, size - size // 8), 5))
    for w, n in zip(who, at):
        print(w, n)
END
)
# victim HOST|cs: sets VICTIM; who was killed a moment ago may still be named
declare -A KILLED
victim()
{
	case $1 in
	cs)	VICTIM=$(server_role server cs) ;;
	*)	VICTIM=$(lab_pids "$1" ntm-post | head -n 1) ;;
	esac
	[ -n "$VICTIM" ] && [ "$VICTIM" != "${KILLED[$1]-}" ]
}
# kill_at DIRECTION LINES FILE...: as the plan has it, when that much of it is there
kill_at()
{
	local file=$1 line who at
	shift
	for line; do
		read -r who at <<<"$line"
		wait_for 20 "victim $who" # before: it takes longer than a look
		wait_for 60 "[ \$(size $file) -ge $at ]" \
			"ls -l $file; tail -n 20 $(state_dir a)/broker.log"
		peak a
		peak b
		kill -KILL "$VICTIM" || not_ok "$who, process $VICTIM, has ended by itself"
		KILLED[$who]=$VICTIM
		echo "# $who is killed at $(size $file) of $SIZE"
	done
}

# --- up
begun=$(lab_now)
openssl enc -aes-128-ctr -pass "pass:$SEED" -nosalt -pbkdf2 -in /dev/zero 2>"$LAB/out" |
	head -c $SIZE >"$(lab_home a)/big" || :
lab_give "$(lab_home a)/big"
echo "# made after $(lab_ms_since "$begun") ms"
begun=$(lab_now)
lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
wait_for 20 '[ -n "$(ls "$dir/cs/up")" ]'
kill_at "$dir/cs/up/1" "${PLAN[@]:0:5}"
wait_for 120 '[ "$(state a outbox .state)" = waiting ]' \
	"lab_as_user a ntm outbox; tail -n 20 $(state_dir a)/broker.log"
echo "# up after $(lab_ms_since "$begun") ms"
peak a
small a
lab_as_user a ntm down
blob=$(find "$dir/cs/blob" -type f)
stored=$(size "$blob")
written server-server "$dir/cs/(up|blob)/" >"$LAB/out"
echo "# $(cat "$LAB/out")"
read -r _ bytes _ twice _ lost _ <"$LAB/out"
assert_eq "$twice" 0 "bytes that the Cache Server stored twice"
# What the kernel had taken in a call that the kill ended is not in the trace.
assert_between "$((stored - bytes))" 0 $((2 << 20)) \
	"bytes of the blob whose writing nobody saw"

SHA=$(sha256sum <"$(lab_home a)/big")
rm "$(lab_home a)/big"

# --- down
begun=$(lab_now)
traced broker-b b ntm-broker
wait_for 30 '[ -n "$(find "$(state_dir b)/post" -name big)" ]' \
	"tail -n 20 $(state_dir b)/broker.log"
file=$(find "$(state_dir b)/post" -name big)
kill_at "$file" "${PLAN[@]:5}"
wait_for 120 '[ "$(state b inbox .state)" = here ]' \
	"lab_as_user b ntm inbox; tail -n 20 $(state_dir b)/broker.log"
echo "# down after $(lab_ms_since "$begun") ms"
peak b
small b
assert_eq "$(sha256sum <"$file")" "$SHA" "it is intact: its SHA-256"
written broker-b "/post/in\\.1/tree/" >"$LAB/out"
echo "# $(cat "$LAB/out")"
read -r _ bytes _ twice _ lost _ back _ most <"$LAB/out"
assert_eq "$((bytes - twice))" $SIZE "bytes of the file whose writing was seen"
assert_eq "$lost" 0 "bytes that were there for certain and were written again"
# A state is saved every 64 MiB; the turn of the loop in which that is may go on a little.
# A killed Cache Server costs no byte.
assert_between "$back" 0 3 "times that it went back, of three kills of ntm-post"
assert_between "$most" 0 $((65 << 20)) \
	"bytes that it went back by at most: to the last state that was saved"
assert_between "$twice" 0 $((back * (65 << 20))) "bytes written anew in all"
wait_for 30 '[ -z "$(find "$dir/cs" -size +1000k -path "*/blob/*")" ]'
ok "and gone from the Cache Server"
