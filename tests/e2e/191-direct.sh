#!/bin/bash
# SPDX-License-Identifier: MIT
# 191-direct - what is sent to who is online goes through the tunnel, and not a byte of it
# to the Cache Server; of three receivers the two that are there get it so, the third by
# one blob; who may not connect in is listed, as ever, and dropped without a word where its
# domain is forgotten; across two domains as well
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_domains c d
domains_node c phone.alice one.example
domains_node d tablet.alice one.example
C=${NTM_NAME[c]} D=${NTM_NAME[d]}
for h in b c d; do
	items_prekey $h
done

# one device of another domain, online
head -c 5000000 /dev/urandom >"$(lab_home a)/big file"
mkdir -p "$(lab_home a)/folder/sub"
echo inside >"$(lab_home a)/folder/sub/text"
lab_give "$(lab_home a)"
lab_as_user a sh -c "cd && ntm send 'big file' folder/ '$B'" >"$LAB/out" 2>&1 ||
	not_ok "it was not sent: $(cat "$LAB/out")"
assert_contains "$(cat "$LAB/out")" "received" "who sends is told that it is there"
assert_eq "$(items_newest a outbox '.state + " " + .to[0].state + " " + .to[0].by')" \
	"done received direct" "the outbox says so, and how it went"
assert_eq "$(items_newest b inbox '.state + " " + (.direct | tostring)')" "here true" \
	"the inbox too"
assert_eq "$(items_stored sa)" "0 0" "the Cache Server has no item and no byte"
items_receive b
cmp "$(lab_home a)/big file" "$(lab_home b)/got/big file"
assert_eq "$(cat "$(lab_home b)/got/folder/sub/text")" inside "what came is what was sent"

# a text to all devices of the own account: two are there, one is not
lab_as_user d ntm down
echo "hello all" | lab_as_user a ntm send "alice.one.example" >"$LAB/out" 2>&1 ||
	not_ok "it was not sent: $(cat "$LAB/out")"
echo "and bob" | lab_as_user a ntm send "$B" >>"$LAB/out" 2>&1 ||
	not_ok "it was not sent: $(cat "$LAB/out")"
by='.to | map(.name + " " + .by) | sort | join(",")'
assert_eq "$(lab_as_user a ntm outbox --json | jq -r ".items[1] | $by")" \
	"$C direct,$D server" "who is there gets it straight, who is not by the Cache Server"
assert_eq "$(items_stored sa | cut -d' ' -f1)" 1 "which has one item"
items_receive c
assert_eq "$(cat "$LAB/received")" "hello all" "a text that came straight is printed"
items_receive b
assert_eq "$(cat "$LAB/received")" "and bob" "and the other"
ntm_up d
ntm_wait_online d
items_await d inbox .state here
items_receive d
assert_eq "$(cat "$LAB/received")" "hello all" "the third has it when it is back"
items_await a outbox '.state' "done" 1

# who may not connect in is not spoken to: as ever, the item is listed
lab_as_user b ntm allow --remove one.example >"$LAB/log/deny-b"
echo "unasked" | lab_as_user a ntm send "$B" >"$LAB/out" 2>&1
assert_eq "$(items_newest a outbox '.to[0].by')" server "not allowed: by the Cache Server"
items_await b inbox .state held
ok "and held there"

# nor is a word said to a domain that is not known any more: who drops it is told so
lab_as_user b ntm forget one.example. >"$LAB/log/forget-b"
number=$(items_newest b inbox .id)
assert_eq "$(lab_as_user b ntm drop "$number")" \
	"item $number is dropped; its sender is not told, as its domain is not known here" \
	"who drops what came of a domain that is forgotten hears that its sender does not"
assert_eq "$(items_newest a outbox .state)" waiting "who sees that it waits"
