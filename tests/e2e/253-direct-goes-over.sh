#!/bin/bash
# SPDX-License-Identifier: MIT
# 253-direct-goes-over - what goes straight does not end so: it is cancelled in the
# middle, after the receiver has moved, and nothing of it stays there; or the receiver goes
# off, and what is left comes by the Cache Server, without what had come
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

SIZE=$((300 << 20))
items_pair

# grown N PART: until that many eighths of item N are in b's folder
grown()
{
	wait_for 30 "[ \$(size $1) -ge $(($2 * SIZE / 8)) ]" \
		"lab_as_user a ntm outbox --json; lab_as_user b ntm inbox --json;
		tail -n 40 $(state_dir a)/broker.log $(state_dir b)/broker.log"
}
size()
{
	stat -c %s "$(state_dir b)/post/in.$1/tree/big" 2>"$LAB/log/size" || echo 0
}
send_big()
{
	lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
}
# came: bytes that b's interface has had
came()
{
	ip -n b -s -j link show dev eth0 | jq '.[0].stats64.rx.bytes'
}
openssl enc -aes-128-ctr -pass "pass:$RANDOM" -nosalt -pbkdf2 -in /dev/zero 2>"$LAB/out" |
	head -c $SIZE >"$(lab_home a)/big" || :
lab_give "$(lab_home a)/big"

# --- cancelled, after a move
echo moves | lab_as_user a ntm send "$B" >"$LAB/out"
items_await a outbox '.state + " " + .to[0].by' "done direct"
lab_lose b
lab_gain b other 10.200.0.3/24 2001:db8:200::3/64
send_big
grown 2 2
lab_as_user a ntm cancel 2 >"$LAB/out"
items_await a outbox .state cancelled
wait_for 10 '[ ! -e "$(state_dir b)/post/in.2" ]' "ls -lR $(state_dir b)/post"
assert_eq "$(items_newest b inbox .id)" 1 "what was cancelled is forgotten where it went"

# --- the receiver goes off: by the Cache Server, from there on
send_big
grown 3 4
lab_as_user b ntm down
at=$(size 3)
begun=$(lab_now)
items_await a outbox '.state + " " + .to[0].by' "waiting server" -1 60
echo "# at the Cache Server $(lab_ms_since "$begun") ms after the receiver went"
assert_eq "$(items_stored server | cut -d' ' -f1)" 1 "the Cache Server has it"
before=$(came)
ntm_up b
items_await b inbox .state here -1 60
after=$(came)
assert_eq "$(sha256sum <"$(state_dir b)/post/in.3/tree/big")" \
	"$(sha256sum <"$(lab_home a)/big")" "it is what was sent, by two ways"
items_await a outbox .state done
echo "# $at bytes of $SIZE had come straight, $((after - before)) came over the network then"
assert_between $((after - before)) $((SIZE - at)) $(((SIZE - at) * 23 / 20 + (4 << 20))) \
	"what had come does not come again: bytes"
