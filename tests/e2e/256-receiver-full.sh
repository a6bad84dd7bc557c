#!/bin/bash
# SPDX-License-Identifier: MIT
# 256-receiver-full - a disk that is full at the receiver: where ntm-post keeps what comes,
# and where the person wants it. Each is said, nothing is lost, and it goes on when there
# is room again
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_pair
# disk FOLDER MIB: one of its own there, b's
disk()
{
	lab_as_user b mkdir -p "$1"
	lab_root b mount -t tmpfs -o "size=$2m,mode=700" disk "$1"
	[ "$LAB_MODE" != root ] || lab_root b chown "$LAB_UID:$LAB_GID" "$1"
}
# fill FOLDER: not a byte is left
fill()
{
	lab_as_user b dd if=/dev/zero of="$1/filler" bs=64k 2>"$LAB/out" || :
	lab_as_user b dd if=/dev/zero of="$1/filler" bs=512 oflag=append conv=notrunc \
		2>"$LAB/out" || :
}
head -c 5000000 /dev/urandom >"$(lab_home a)/big"
lab_give "$(lab_home a)/big"

# --- the person's folder
to=$(lab_home b)/stick
disk "$to" 2
lab_as_user a ntm send "$(lab_home a)/big" "$B" >"$LAB/out"
refused "the folder is full" "the disk may be full; what is not there yet stays in the inbox" \
	lab_as_user b ntm receive --to="$to"
assert_eq "$(lab_as_user b ls -A "$to")" "" "nothing half is left there"
assert_eq "$(items_newest b inbox .state)" here "the item is in the inbox"
lab_root b mount -o remount,size=8m "$to"
lab_as_user b ntm receive --to="$to" >"$LAB/out"
lab_root b cmp "$(lab_home a)/big" "$to/big"
ok "with room it is placed"

# --- ntm-post's: 2 MB are left for its store
lab_as_user b ntm down
kept=$(state_dir b)/post
mv "$kept" "$kept.before"
disk "$kept" 80
lab_as_user b cp -r "$kept.before/." "$kept"
fill "$kept"
lab_as_user b truncate -s -2M "$kept/filler"
ntm_up b
ntm_wait_online b
lab_as_user a ntm send --background "$(lab_home a)/big" "$B" >"$LAB/out"
items_await a outbox '.state + " " + .to[0].by' "waiting server"
ok "the item goes by the Cache Server, as the receiver has no room"
wait_for 20 '[[ $(items_newest b inbox .text) == *"has no room for 6 MB; make room"* ]]' \
	'lab_as_user b ntm inbox --json'
ok "the receiver is told: $(items_newest b inbox .text)"
post=$(items_post b)
lab_as_user b rm "$kept/filler"
items_await b inbox .state here
assert_eq "$(items_post b)" "$post" "with room it comes by itself, to the same ntm-post"
items_receive b
cmp "$(lab_home a)/big" "$(lab_home b)/got/big"
ok "and is what was sent"
