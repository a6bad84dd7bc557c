#!/bin/bash
# SPDX-License-Identifier: MIT
# 195-away-evil - a Cache Server that serves changed, cut, grown, reordered or swapped
# data, or another item's key, and a sender whose list of files has tricks in it: all of
# it is refused with a sentence, to both sides, and nothing is written; and one that says
# that an item was received, which nobody has fetched
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

MODES=(good flipped reordered repeated dropped extended swapped sealless otherkey
	truncated)
items_server a b
ntm_node a laptop.alice
ntm_node b desk.bob
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
dir=$(server_dir server)
lab_as_user b ntm allow "$A" >"$LAB/out"

# item HOST LIST N FILTER: of the N-th that a has sent
ITEMS=()
item()
{
	lab_as_user "$1" ntm "$2" --json |
		jq -r ".items[] | select(.item == \"${ITEMS[$3]}\") | $4"
}
# sent: ITEMS has what a's outbox has
sent()
{
	mapfile -t ITEMS < <(echo; lab_as_user a ntm outbox --json | jq -r '.items[].item')
}
# what_lies: every file below b's home that is none of its own state
what_lies()
{
	find "$(lab_home b)" -newer "$LAB/begin" -type f -path '*/tree/*' \
		-o -newer "$LAB/begin" -name '*evil*'
}
items_prekey b
touch "$LAB/begin"

# --- an evil Cache Server
lab_as_user b ntm down
for i in "${!MODES[@]}"; do
	head -c 200000 /dev/urandom >"$(lab_home a)/${MODES[i]}.file"
done
lab_give "$(lab_home a)"/*.file
for mode in "${MODES[@]}"; do
	lab_as_user a ntm send "$(lab_home a)/$mode.file" "$B" >"$LAB/out" 2>&1
done
sent
server_set server "server.roles=as, dc, rs, ns"
lab_start evil user server /usr/bin/python3 "$LAB_SRC/tests/e2e/evilcs.py" "$dir" \
	"$LAB/hosts/server/home/confirmed" "${MODES[@]}"
wait_for 5 'lab_listens server tcp 4507'
ntm_up b
ntm_wait_online b
for i in "${!MODES[@]}"; do
	n=$((i + 1)) mode=${MODES[i]} wanted=refused
	case $mode in
	good)	wanted=here ;;
	truncated) continue ;;
	esac
	wait_for 30 "[ \"\$(item b inbox $n .state)\" = $wanted ]" \
		"lab_as_user b ntm inbox; tail -n 30 $(state_dir b)/broker.log"
	[ $wanted = here ] || assert_contains "$(item b inbox $n .text)" \
		"not what its sender sent" "$mode: $wanted; $(item b inbox $n .error)"
done
cmp "$(lab_home a)/good.file" "$(item b inbox 1 .folder)/tree/good.file"
ok "and what was not changed is here"
wait_for 20 '[ "$(jq -s "map(select(.code > 0)) | length" \
	"$LAB/hosts/server/home/confirmed")" = 8 ]'
ok "each refusal was told to the Cache Server"
assert_eq "$(what_lies | grep -v /good.file | grep -v /truncated.file || :)" "" \
	"of what was refused nothing is left"
wait_for 20 '[ -n "$(item b inbox 10 ".text // empty")" ]'
assert_eq "$(item b inbox 10 .state)" waiting "what was cut waits: $(item b inbox 10 .text)"
lab_stop evil
server_set server "server.roles=as, dc, rs, ns, cs"
lab_as_user b ntm receive "$(item b inbox 10 .id)" --to="$(lab_home b)" >"$LAB/out" 2>&1 ||
	not_ok "it was not received: $(cat "$LAB/out")"
cmp "$(lab_home a)/truncated.file" "$(lab_home b)/truncated.file"
ok "and comes whole from an honest one"

# --- an evil sender: the lists of files that wait to be sent are changed
lab_stop server-server
mkdir -p "$(lab_home a)/evil"
TRICKS=(up absolute part control twice through order mode)
first=$((${#MODES[@]} + 1))
for trick in "${TRICKS[@]}"; do
	mkdir -p "$(lab_home a)/evil/$trick/xx"
	echo "evil $trick" >"$(lab_home a)/evil/$trick/xx/evil"
	# a large item's list is in a file of its own
	head -c 200000 /dev/zero >"$(lab_home a)/evil/$trick/xx-evil"
	lab_give "$(lab_home a)/evil" "$(lab_home a)/evil/$trick" \
		"$(lab_home a)/evil/$trick"/{xx,xx/evil,xx-evil}
	lab_as_user a sh -c "cd evil/$trick && ntm send --background xx ./xx-evil '$B'" \
		>"$LAB/out"
done
sent
lab_as_user a ntm down
wait_for 10 '[ -z "$(lab_pids a ntm-post)" ]'
n=$first
for trick in "${TRICKS[@]}"; do
	lab_as_user a /usr/bin/python3 "$LAB_SRC/tests/e2e/tricks.py" \
		"$(state_dir a)/post/out.$n/manifest" $trick
	n=$((n + 1))
done
ntm_server_start server
ntm_up a
ntm_wait_online a
n=$first
for trick in "${TRICKS[@]}"; do
	wait_for 60 "[ \"\$(item b inbox $n .state)\" = refused ]" \
		"lab_as_user b ntm inbox; tail -n 30 $(state_dir b)/broker.log"
	assert_contains "$(item b inbox $n .text)" "breaks a rule for items" \
		"$trick: the receiver reads: $(item b inbox $n .text)"
	wait_for 30 "[ \"\$(item a outbox $n '.to[0].state')\" = refused ]" \
		"lab_as_user a ntm outbox; tail -n 30 $(state_dir a)/broker.log"
	n=$((n + 1))
done
assert_contains "$(item a outbox $first '.to[0].text')" "refused it" \
	"and the sender: $(item a outbox $first '.to[0].text')"
assert_eq "$(what_lies | grep -v /good.file || :)" "" "nothing was written"
for path in "$(lab_home b)/evil" /tmp/ev "$(state_dir b)/evil"; do
	[ ! -e "$path" ] || not_ok "$path was written"
done

# --- a Cache Server that says of the newest item that it was received
# says STATE [KIND]: of its receiver; and has our box told, so that the sender asks
says()
{
	lab_stop server-server
	lab_as_user server /usr/bin/python3 - "$dir/cs/cs.db" "$@" <<-'EOF'
		import os, sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		n, = db.execute("SELECT max(number) FROM items").fetchone()
		db.execute("UPDATE receivers SET state = ?, receipt = ? WHERE item = ?",
		           (sys.argv[2], os.urandom(81) if sys.argv[3:] == ["forged"] else None, n))
		db.execute("INSERT OR REPLACE INTO asks (item, kind, name, tries, due, account)"
		           " SELECT number, 3, name, 0, 0, account FROM receivers JOIN items"
		           " ON number = receivers.item WHERE number = ?", (n,))
		db.commit()
	EOF
	ntm_server_start server
}
lab_as_user b ntm down
items_text a "$B" "for b, who is away"
items_await a outbox .state waiting
RECEIVED=3
for kind in bare forged; do
	before=$(items_newest a outbox '.to[0].claims // 0')
	says $RECEIVED $kind
	items_await a outbox ".to[0].claims > $before" true -1 60
	assert_eq "$(items_newest a outbox '.state + " " + .to[0].state')" \
		"waiting waiting" "a word that is $kind is not believed"
done
assert_contains "$(lab_as_user a ntm outbox)" "without the receiver's signature" \
	"the person is told: $(items_newest a outbox '.to[0].text')"
says 2
ntm_up b
items_await b inbox .state here -1 60
items_await a outbox '.to[0] | "\(.state) \(.signed)"' "received true" -1 60
ok "and when it was received its receiver says so"
