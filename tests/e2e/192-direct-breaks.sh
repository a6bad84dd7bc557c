#!/bin/bash
# SPDX-License-Identifier: MIT
# 192-direct-breaks - what goes straight breaks in the middle, in every way: the
# connection, ntm-post and workers of both sides, the receiver's network; it goes on
# straight, nothing is written twice but what a killed receiver had not saved, nothing
# touches the Cache Server
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

SIZE=$((400 << 20))
SAVED=$((64 << 20))	# at most that was not saved when somebody is killed
items_pair
lab_as_user b ntm down

# what b's broker and its children write to files is in $LAB/trace/b.TID
mkdir "$LAB/trace"
lab__words user b
(
	trap - ERR EXIT
	exec strace -ff --seccomp-bpf -qq -y -ttt -s 0 -o "$LAB/trace/b" \
		-e trace=pwrite64,write,lseek "${LAB_CMD[@]}" ntm-broker \
		</dev/null >>"$LAB/log/broker-b" 2>&1
) &
LAB_PID[broker-b]=$!
wait_for 10 'lab_as_user b ntm status >"$LAB/log/status"'
ntm_wait_online b
# written PATTERN: bytes, bytes twice, bytes below where somebody had gone on
written()
{
	/usr/bin/python3 "$LAB_SRC/tests/e2e/written.py" "$LAB/trace/b" "$1" |
		awk '{ print $2, $4, $6 }'
}
# grown N PART: until that many eighths of item N are in b's folder
grown()
{
	wait_for 60 "[ \$(items__size $1) -ge $(($2 * SIZE / 8)) ]" \
		"lab_as_user a ntm outbox; lab_as_user b ntm inbox --json;
		tail -n 30 $(state_dir a)/broker.log $(state_dir b)/broker.log"
}
items__size()
{
	stat -c %s "$(state_dir b)/post/in.$1/tree/big" 2>"$LAB/log/size" || echo 0
}
send_big()
{
	lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
}
openssl enc -aes-128-ctr -pass "pass:$RANDOM" -nosalt -pbkdf2 -in /dev/zero 2>"$LAB/out" |
	head -c $SIZE >"$(lab_home a)/big" || :
lab_give "$(lab_home a)/big"

# --- straight, whatever breaks
begun=$(lab_now)
send_big
grown 1 1
ntm_inside b ss -K sport = :4507 >"$LAB/out" 2>"$LAB/log/ss"
assert_ne "$(wc -l <"$LAB/out")" 0 "the connection is cut: sockets"
grown 1 2
kill -KILL "$(items_post a)"
grown 1 3
kill -KILL "$(ntm_worker b)"
grown 1 4
kill -KILL "$(ntm_worker a)"
grown 1 5
lab_lose b
lab_gain b other 10.200.0.3/24 2001:db8:200::3/64
grown 1 6
read -r _ twice _ <<<"$(written '/post/in\.1/tree/')"
assert_eq "$twice" 0 "bytes written twice so far"
grown 1 7
kill -KILL "$(items_post b)"
items_await b inbox .state here -1 60
echo "# straight after $(lab_ms_since "$begun") ms"
items_await a outbox '.state + " " + .to[0].by' "done direct"
ok "it is there, and went straight"
assert_eq "$(sha256sum <"$(state_dir b)/post/in.1/tree/big")" \
	"$(sha256sum <"$(lab_home a)/big")" "it is what was sent"
assert_eq "$(items_stored server)" "0 0" "the Cache Server has no item and no byte"
read -r bytes twice below <<<"$(written '/post/in\.1/tree/')"
echo "# $SIZE bytes: $bytes written, $twice of them twice"
assert_between "$twice" 0 $SAVED "bytes written twice after the receiver was killed"
assert_eq "$below" 0 "bytes written anew that it had said were there"
