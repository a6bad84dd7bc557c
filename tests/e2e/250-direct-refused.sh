#!/bin/bash
# SPDX-License-Identifier: MIT
# 250-direct-refused - what comes to port 4507 of a device that is no item of its sender:
# foreign bytes, other names, other people's items, slow ones, many, somebody who is not
# allowed: each is refused, ntm-post lives on, and meanwhile an item comes
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_pair
ntm_account server carol
ntm_login c carol phone >"$LAB/log/c" 2>&1 || { ntm_up c; ntm_login c carol phone; }
ntm_wait_online c
C=${NTM_NAME[c]}

# knock HOST SCRIPT [ARGUMENT...]: what knocks at b's door from there prints
knock()
{
	local host=$1
	shift
	ntm_run "$host" /usr/bin/python3 "$LAB_SRC/tests/e2e/knock.py" "$B" "$@" 2>&1
}

# --- who is not allowed
assert_eq "$(knock c code "$C")" "no connection" "somebody who is not allowed in is not spoken to"
assert_eq "$(items_newest b inbox .id)" null "and nothing is listed of him"

# --- bytes and requests that are none; the process that answers stays the same
knock a hold &
holder=$!
wait_for 10 '[ -n "$(items_post b)" ]'
pid=$(items_post b)
for what in garbage zeros longline manyheaders nolength notjson wrongpath nokeys chunked \
	othernode otherreceiver noids traversal badsize badkey toobig badoffset; do
	got=$(knock a "$what" "$A")
	case $what in
	garbage|zeros|longline|manyheaders)	want='closed|40[0-9]|41[0-9]|431|50[0-9]' ;;
	othernode|otherreceiver)		want=403 ;;
	nokeys|wrongpath)			want=404 ;;
	toobig)					want='413|closed' ;;
	badkey)					want='40[0-9]' ;;
	*)					want='40[0-9]|413' ;;
	esac
	[[ $got =~ ^($want)$ ]] || not_ok "$what is answered with '$got', wanted $want"
done
ok "foreign bytes and false requests are refused"
wait "$holder"
assert_eq "$(items_post b)" "$pid" "ntm-post has lived through it: process"
assert_eq "$(items_newest b inbox .id)" null "and nothing of it is listed"

# --- other people's items: an item of a is on its way, c is allowed now and knows its name
lab_as_user b ntm allow carol >"$LAB/log/allow"
head -c $((300 << 20)) /dev/zero >"$(lab_home a)/big"
lab_give "$(lab_home a)/big"
lab_as_user a ntm send --background --json "$(lab_home a)/big" "$B" >"$LAB/out"
item=$(items_newest a outbox .item)
wait_for 10 '[ "$(items_newest b inbox .state)" = fetching ]'
assert_eq "$(knock c steal "$C" "$item")" "404 404 404" \
	"data, end and withdrawal of another's item are refused"
assert_eq "$(knock c pretend "$C" "$A" "$item")" "403 403 403" "in another's name, too"

# --- slow ones and many: c holds all it can, and an item of a arrives meanwhile
knock c slow "$C" >"$LAB/slow" &
slow=$!
knock c many "$C" >"$LAB/many" &
many=$!
items_await b inbox .state here
items_await a outbox '.state + " " + .to[0].by' "done direct"
ok "an item arrives straight, whatever others do at the door"
wait "$slow" "$many"
assert_between "$(cat "$LAB/slow")" 8 15 "seconds until a header of a byte a second is cut off"
read -r open held <"$LAB/many"
assert_between "$open" 1 8 "connections of one device that are held at once, of 24"
assert_between "$held" 5 15 "seconds until the last silent one is cut off"
# without work it may have ended by itself
assert_eq "$(grep -c "ntm-post \(was \)\?ended" "$(state_dir b)/broker.log" || :)" 0 \
	"that nothing ended it"
