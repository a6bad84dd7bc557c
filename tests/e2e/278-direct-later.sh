#!/bin/bash
# SPDX-License-Identifier: MIT
# 278-direct-later - a large item goes to a Cache Server, as its receiver is off; the receiver
# comes online while that takes its time, and gets the item straight: the upload ends, and
# of what the Cache Server had nothing is fetched, and nothing is kept there
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

SIZE=$((40 << 20))
items_pair
head -c $SIZE /dev/urandom >"$(lab_home a)/big"
lab_give "$(lab_home a)/big"
lab_as_user b ntm down
logs="lab_as_user a ntm outbox --json; tail -n 40 $(state_dir a)/broker.log $(state_dir b)/broker.log"
# kept: bytes that the Cache Server has of items; came: that the server's host has had
kept()
{
	items_stored server | cut -d' ' -f2
}
came()
{
	ip -n server -s -j link show dev eth0 | jq '.[0].stats64.rx.bytes'
}

# 2 Mbit/s to the server: the upload would take nearly three minutes
lab_root net tc qdisc add dev eth1 root tbf rate 2mbit burst 32k latency 200ms
before=$(came)
lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
wait_for 30 '[ "$(kept)" -gt $((1 << 20)) ]' "$logs"
ok "its receiver is off, so it goes to the Cache Server"
ntm_up b
begun=$(lab_now)
items_await a outbox '.state + " " + .to[0].by' "done direct" -1 90
echo "# done, straight, $(lab_ms_since "$begun") ms after the receiver came online"
assert_between $(($(came) - before)) $((1 << 20)) $((SIZE - (8 << 20))) \
	"the upload has not come to its end: bytes"
assert_eq "$(sha256sum <"$(state_dir b)/post/in.1/tree/big")" \
	"$(sha256sum <"$(lab_home a)/big")" "it is what was sent"
wait_for 10 '[ "$(kept)" = 0 ]' "$logs"
ok "the Cache Server has forgotten its part"
