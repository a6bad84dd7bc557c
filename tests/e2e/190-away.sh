#!/bin/bash
# SPDX-License-Identifier: MIT
# 190-away - what is sent to who is off arrives: the sender goes, the receiver comes back
# in another network and of another domain, three receivers share one blob, and the
# outbox hears of each
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
for h in a b c d; do
	items_prekey $h
done
ok "each device's prekey is at its box"

# b, c and d go; a sends, and goes too
for h in b c d; do
	lab_as_user $h ntm down
done
head -c 3000000 /dev/urandom >"$(lab_home a)/big file"
mkdir -p "$(lab_home a)/folder/sub"
echo inside >"$(lab_home a)/folder/sub/text"
ln -s sub/text "$(lab_home a)/folder/link"
lab_give "$(lab_home a)"
lab_as_user a sh -c "cd && ntm send 'big file' folder/ '$B' '$C' '$D'" >"$LAB/out" 2>&1 ||
	not_ok "it was not sent: $(cat "$LAB/out")"
assert_contains "$(cat "$LAB/out")" "is sent" "the sender is told that it is sent"
assert_eq "$(items_newest a outbox '.to | map(.state) | unique | join(",")')" waiting \
	"three receivers wait"
assert_eq "$(lab_as_user sa find "$(server_dir sa)/cs" -size +2000k -type f | wc -l)" 1 \
	"one blob for three receivers"
lab_as_user a ntm down

# the receivers come back, b from another network
lab_lose b
lab_gain b other 10.200.0.3/24 2001:db8:200::3/64
for h in b c d; do
	ntm_up $h
	ntm_wait_online $h
	wait_for 30 "[ \"\$(items_newest $h inbox .state)\" = here ]" \
		"lab_as_user $h ntm inbox; tail -n 30 $(state_dir $h)/broker.log"
	ok "$h has it"
	mkdir -p "$(lab_home $h)/got"
	lab_give "$(lab_home $h)/got"
	lab_as_user $h sh -c "cd && ntm receive --to=got" >"$LAB/out"
	cmp "$(lab_home a)/big file" "$(lab_home $h)/got/big file"
	assert_eq "$(cat "$(lab_home $h)/got/folder/link")" inside "$h has the folder and its link"
done
assert_eq "$(items_newest b inbox '.from')" null "what was taken is not listed any more"

# and the sender hears of it, once it is back
ntm_up a
ntm_wait_online a
wait_for 30 '[ "$(items_newest a outbox .state)" = done ]' \
	"lab_as_user a ntm outbox; tail -n 30 $(state_dir a)/broker.log"
assert_eq "$(items_newest a outbox '.to | map(.state) | unique | join(",")')" received \
	"the outbox has three confirmations"
assert_eq "$(items_newest a outbox '.to | map(.signed) | unique | join(",")')" true \
	"each of them is signed by its receiver"
wait_for 20 '[ -z "$(lab_as_user sa find "$(server_dir sa)/cs" -size +2000k -type f)" ]'
ok "the blob is gone from the Cache Server"

# a text, while both are there
echo "hello bob" | lab_as_user a ntm send "$B" >"$LAB/out"
assert_contains "$(cat "$LAB/out")" "item 2 is sent" "a text is sent"
wait_for 20 '[ "$(items_newest b inbox .state)" = here ]' "lab_as_user b ntm inbox"
assert_eq "$(lab_as_user b ntm receive)" "hello bob" "a text is printed"

# who waits for the next change hears that the Cache Server has an item
lab_as_user b ntm down
lab_as_user a timeout 30 "$LAB_SRC/tests/bench/exchange_items.py" put \
	"$(lab_home a)/big file" "$B" >"$LAB/out" 2>&1 ||
	not_ok "nobody was told of a change: $(cat "$LAB/out"; lab_as_user a ntm outbox)"
ok "a change of the outbox is told"
