#!/bin/bash
# SPDX-License-Identifier: MIT
# 193-away-secrecy - whoever has all disks and memories of AS, DC, box and Cache Server of
# both domains does not read an item that waits there: with all keys that are in them it
# cannot be opened, nor can what was copied before, when the receiver has fetched it
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

[ "$LAB_MODE" = root ] ||
	lab_skip "memory that a server hides can be read by the machine's root alone"
[ -z "$NTM_SAN" ] ||
	lab_skip "a sanitizer keeps gigabytes beside what a server has, too much to look through"
items_domains

# column EXPRESSION: of the item at the Cache Server, as text
column()
{
	lab_as_user sa python3 -c '
import os, sqlite3, sys
db = sqlite3.connect(os.path.expanduser("~/.local/share/ntm-server/cs/cs.db"))
print(db.execute("SELECT %s FROM items JOIN receivers ON receivers.item = number"
                 " LEFT JOIN small ON small.item = number" % sys.argv[1]).fetchone()[0])' "$1"
}
items_prekey b

# --- sent to who is off
NAME="Lageplan der alten Saline.txt"
WORDS="Unter der dritten Stufe liegt der Schluessel zum Stollen"
lab_as_user b ntm down
echo "$WORDS" >"$(lab_home a)/$NAME"
lab_give "$(lab_home a)"
lab_as_user a sh -c "cd && ntm send '$NAME' '$B'" >"$LAB/out" 2>&1 ||
	not_ok "it was not sent: $(cat "$LAB/out")"
wait_for 20 '[ "$(column receivers.state)" = 2 ]'
lab_as_user a ntm down

# --- all of it: files, and memory of each process
# descendants PID
descendants()
{
	local child
	for child in $(pgrep -P "$1"); do
		echo "$child"
		descendants "$child"
	done
}
# loot FOLDER: disks and memories of both servers
loot()
{
	local s pid
	for s in sa sb; do
		mkdir -p "$1/disk/$s"
		cp -a "$(server_dir $s)/." "$1/disk/$s"
		for pid in ${LAB_PID[server-$s]} \
			$(descendants "${LAB_PID[server-$s]}"); do
			/usr/bin/python3 "$LAB_SRC/tests/e2e/memory.py" "$pid" \
				"$1/$s.$(cat "/proc/$pid/comm").$pid"
		done
	done
}
# readable FOLDER: the text in it that is the sender's secret
readable()
{
	grep -rlaF -e "$NAME" -e "$WORDS" "$1" || :
}
loot "$LAB/first"
assert_between "$(find "$LAB/first" -maxdepth 1 -type f -size +100k | wc -l)" 16 100 \
	"processes whose memory was copied: supervisor, AS, DC, box, CS, .. of two domains"
assert_ne "$(grep -rlaF "$B" "$LAB/first" | grep -c '/s[ab]\.box\.')" 0 \
	"a name is found in the memory of a box, if it is there"
assert_eq "$(readable "$LAB/first")" "" "neither file name nor words are in any of it"

# what the burglar has copied, for the time when it has a key
ITEM=$(column items.item)
column "hex(key)" | python3 -c 'import sys
sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >"$LAB/sealed"
column "hex(data)" | python3 -c 'import sys
sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >"$LAB/blob"

# --- fetched, and all of it once more
ntm_up b
ntm_wait_online b
wait_for 30 '[ "$(items_newest b inbox .state)" = here ]' \
	"lab_as_user b ntm inbox; tail -n 30 $(state_dir b)/broker.log"
wait_for 20 '[ "$(column items.state)" = 3 ]'
loot "$LAB/then"
assert_eq "$(readable "$LAB/then")" "" "nor when it was fetched"

# --- opened?
# burglar FILE OR @DUMP...: status and verdict of the burglar
burglar()
{
	"$LAB_O/tests/e2e/burglar" "$LAB/first/disk/sa/cs/ca.pem" "$A" "$B" ntm file \
		"$ITEM" "$LAB/sealed" "$LAB/blob" "$@" >"$LAB/verdict" && status=0 ||
		status=$?
	echo "# $(tail -n 1 "$LAB/verdict")"
}
mapfile -t LOOT < <(find "$LAB"/{first,then}/disk -type f
	find "$LAB"/{first,then} -maxdepth 1 -type f -printf '@%p\n')
burglar "${LOOT[@]}"
[ $status = 1 ] || not_ok "it was opened: $(cat "$LAB/verdict")"
assert_contains "$(cat "$LAB/verdict")" "as T: 1, as prekey: 0, blob opened: 0 times" \
	"the temporal key is found, and opens the outer seal; no key opens what is inside"

# --- the same burglar, with what the receiver has
lab_as_user b ntm down
# First in memory alone, as the servers' was read: of a process that has these two keys,
# each in one place.
# holds DATABASE COLUMN...: a process on b with these keys; its memory is in $LAB/memory
holds()
{
	lab_start holder root b /usr/bin/python3 -c '
import signal, sqlite3, sys
keys = []
for file, table, column in zip(*[iter(sys.argv[1:])] * 3):
    db = sqlite3.connect(file)
    keys += [row[0] for row in db.execute("SELECT %s FROM %s" % (column, table))]
    db.close()
print(len(keys), "keys", flush=True)
signal.pause()' "$@"
	wait_for 10 'grep -q keys "$(lab_log holder)"' 'cat "$(lab_log holder)"'
	/usr/bin/python3 "$LAB_SRC/tests/e2e/memory.py" "${LAB_PID[holder]}" "$LAB/memory"
	lab_stop holder
}
mkdir "$LAB/copy"
cp "$LAB"/first/disk/sb/box/box.db* "$(state_dir b)"/post/post.db* "$LAB/copy"
holds "$LAB/copy/box.db" keys key
burglar "@$LAB/memory"
assert_eq "$status" 1 "with the temporal key alone, in a memory, it is not opened"
assert_contains "$(cat "$LAB/verdict")" "as T: 1, as prekey: 0" \
	"but the key is found there"
holds "$LAB/copy/box.db" keys key "$LAB/copy/post.db" prekey priv
burglar "@$LAB/memory"
assert_eq "$status" 0 "with the receiver's prekey besides, in a memory, it is opened"
burglar "$LAB"/first/disk/sb/box/box.db* "$(state_dir b)"/post/post.db*
assert_eq "$status" 0 "with the receiver's prekey it is opened"
assert_contains "$(cat "$LAB/verdict")" "as T: 1, as prekey: 1" "by that prekey"
assert_contains "$(cat "$LAB/verdict")" "$NAME" "with its name"
assert_contains "$(cat "$LAB/verdict")" "$WORDS" "and its words"
