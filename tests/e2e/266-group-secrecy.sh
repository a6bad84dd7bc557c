#!/bin/bash
# SPDX-License-Identifier: MIT
# 266-group-secrecy - whoever has all disks and memories of GMS, DC, AS, CS, box, RS and NS,
# at several times, and all packets, opens nothing of a group: no packet, invitation,
# welcome or message. With the state of a member that was removed nothing that came after;
# with that of one who joined, or a stolen one, nothing that was before
# limit: 400
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/faults.sh"

[ "$LAB_MODE" = root ] ||
	lab_skip "memory that a server hides can be read by the machine's root alone"
[ -z "$NTM_SAN" ] ||
	lab_skip "a sanitizer keeps gigabytes beside what a server has, too much to look through"
ntm_installed
ntm_star server a b c d
server_set server gms.relay_from=2
groups_server server
ntm_account server alice
declare -A NODE=([a]=laptop [b]=desk [c]=phone [d]=tv)
for h in a b c d; do
	ntm_node $h ${NODE[$h]}.alice
	items_prekey $h
done
declare -n N=NTM_NAME
DIR=$(server_dir server)
GMS=$(server_role server gms)

# --- what a thief takes
# descendants PID
descendants()
{
	local child
	for child in $(pgrep -P "$1"); do
		echo "$child"
		descendants "$child"
	done
}
# memory FILE PID
memory()
{
	/usr/bin/python3 "$LAB_SRC/tests/e2e/memory.py" "$2" \
		"$1.$(cat "/proc/$2/comm").$2"
}
# loot_servers NAME: disks and memories of all roles
loot_servers()
{
	local pid
	mkdir -p "$LAB/loot/$1"
	cp -a "$DIR/." "$LAB/loot/$1"
	for pid in ${LAB_PID[server-server]} $(descendants "${LAB_PID[server-server]}"); do
		memory "$LAB/loot/memory-$1" "$pid"
	done
}
# loot_gms NAME: of the GMS alone
loot_gms()
{
	mkdir -p "$LAB/loot/$1"
	cp -a "$DIR/gms" "$LAB/loot/$1"
	memory "$LAB/loot/memory-$1" "$(server_role server gms)"
}
# steal HOST NAME: a device's disk, and the memories of who has keys of the group
steal()
{
	local program pid
	mkdir -p "$LAB/stolen-$2"
	cp -a "$(state_dir "$1")/." "$LAB/stolen-$2"
	for program in ntm-member ntm-worker ntm-post; do
		pid=$(lab_pids "$1" $program)
		# ntm-post ends when it has nothing to do
		[ -z "$pid" ] || memory "$LAB/stolen-$2/memory" "$pid" 2>/dev/null ||
			[ ! -e "/proc/$pid" ]
	done
}
# stolen NAME...: as the thief's arguments
stolen()
{
	local name
	for name; do
		echo "$LAB/stolen-$name/identity.key=$LAB/stolen-$name/member/groups.db"
		find "$LAB/stolen-$name" -name 'memory.*' -printf '@%p\n' -o \
			-type f ! -name 'groups.db*' -print
	done
}
# item_copy NAME SERVICE RECEIVER: the newest such item at the Cache Server
item_copy()
{
	lab_as_user server python3 - "$DIR/cs" "$2" "$3" >"$LAB/item-$1" <<-'END'
	import glob, os, sqlite3, sys
	folder, service, receiver = sys.argv[1:]
	db = sqlite3.connect(folder + "/cs.db")
	found = db.execute("SELECT i.item, hex(r.key), lower(hex(i.hash)), hex(s.data)"
	                   " FROM items i JOIN receivers r ON r.item = i.number"
	                   " LEFT JOIN small s ON s.item = i.number WHERE"
	                   " i.service = ? AND instr(?, r.name) = 1 ORDER BY i.number DESC",
	                   (service, receiver)).fetchone()
	print(*found or ())
	END
	read -r ITEM KEY HASH DATA <"$LAB/item-$1" && [ -n "$KEY" ] || return
	python3 -c 'import sys
sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$KEY" >"$LAB/sealed-$1"
	if [ -n "$DATA" ]; then
		python3 -c 'import sys
sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$DATA" >"$LAB/blob-$1"
	else
		cp "$DIR/cs/blob/${HASH:0:2}/$HASH" "$LAB/blob-$1"
	fi
}
# burglar NAME SERVICE RECEIVER FILE OR @DUMP...: does it open the item?
burglar()
{
	local name=$1 service=$2 to=$3
	shift 3
	read -r ITEM _ <"$LAB/item-$name"
	"$LAB_O/tests/e2e/burglar" "$DIR/cs/ca.pem" "${N[a]}" "$to" \
		ntm-group "$service" "$ITEM" "$LAB/sealed-$name" "$LAB/blob-$name" \
		"$@" >"$LAB/verdict" && status=0 || status=$?
	echo "# $name: $(tail -n 1 "$LAB/verdict")"
}
# thief ARGUMENT...: behind --; sets OPENED to the epochs of which it opened packets
thief()
{
	"$LAB_O/tests/e2e/groupthief" band "$LAB/way.pcap" "${STORES[@]}" -- "$@" \
		>"$LAB/verdict" 2>&1 && status=0 || status=$?
	sed 's/^/# /' "$LAB/verdict"
	[ $status -lt 2 ] || not_ok "the thief could not try"
	OPENED=$(sed -n 's/^epoch \([0-9]*\):.*opened [1-9].*/\1/p' "$LAB/verdict" |
		tr '\n' ' ')
}

# --- the group forms: b through the tunnel, c by the Cache Server alone
lab_as_user c ntm down
group a create band keep=1 >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group_joins b band a "${N[b]}"
group_in 30 b band 2
group a invite band "${N[c]}" >"$LAB/out" 2>&1 || not_ok "c cannot be invited"
wait_for 30 'item_copy invite invite "${N[c]}"' "lab_as_user a ntm outbox"
cp -a "$(state_dir c)/post" "$LAB/post-invite"
loot_servers invite
ntm_up c
ntm_wait_online c
group_invited 30 c band
lab_as_user a ntm down
group c accept band >"$LAB/out" || not_ok "c does not accept"
wait_for 30 "lab_as_user c ntm outbox --json | jq -e '.items[-1].state == \"waiting\"'" \
	"lab_as_user c ntm outbox"
lab_as_user c ntm down
ntm_up a
ntm_wait_online a
# ntm-post lives on, and with it what it may keep of welcomes that it has sent
lab_start stays user a ntm receive --follow
wait_for 40 '[ "$(group_get a band .members)" = 3 ]' "group a status band"
wait_for 30 'item_copy welcome welcome "${N[c]}"' "lab_as_user a ntm outbox"
echo "the key lies under the third step" | group a send band >"$LAB/out"
wait_for 30 'item_copy message message "${N[c]}"' "lab_as_user a ntm outbox"
cp -a "$(state_dir c)/post" "$LAB/post-welcome"
loot_servers welcome
ntm_up c
group_in 40 c band 3
ok "a group of three, one of which was never there with its inviter"

# --- words in each epoch, through the relay
G=band.group.$NTM_DOMAIN
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
lab_capture way a "$(lab_dev a n2)" udp
hears()
{
	ntm_start "hears-$1" "$1" "$LAB_SRC/tests/lab/manyhear.py" hear 4 "$V4" 5000
	wait_for 10 "grep -q ready '$(lab_log "hears-$1")'"
}
# talk EPOCH TEXT LISTENER...: until all have heard it twice, in that epoch
talk()
{
	local text=$2 h
	wait_for 10 "[ \$(lab_as_user a ntm status --json | jq .groups[0].sends) = $1 ]" \
		"lab_as_user a ntm status --json"
	shift 2
	for h; do
		wait_for 20 "echo '$text' | ntm_run a socat -u - 'UDP4-DATAGRAM:$V4:5000' &&
			[ \$(grep -c '$text' '$(lab_log "hears-$h")') -ge 2 ]" \
			"lab_as_user a ntm status --json; lab_as_user $h ntm status --json"
	done
}
relayed()
{
	lab_as_user a ntm status --json | jq -r '.groups[0].relay'
}
for h in b c; do hears $h; done
wait_for 20 '[ "$(relayed)" = true ]' "lab_as_user a ntm status --json"
talk 3 third b c
loot_gms third

# a fourth epoch, while b is away: its share waits at the server
lab_as_user b ntm down
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
group_in 20 a band 2 3
loot_gms fourth
talk 4 fourth c
steal b away
ntm_up b
group_in 40 a band 3
hears b

# a fifth: d joins
group_joins d band a "${N[d]}"
group_in 40 d band 4
group_in 20 a band 4
hears d
talk 5 fifth b c d
loot_gms fifth
# what was kept of the epoch before is over; each is stolen
for h in c d; do steal $h $h; done

# a sixth, without c; a seventh
group a remove band "${N[c]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 a band 3
talk 6 sixth b d
loot_gms sixth
steal c gone
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
group_in 20 a band 3
talk 7 seventh b d
assert_eq "$(grep -c -e sixth -e seventh "$(lab_log hears-c)")" 0 \
	"who was removed hears nothing more"
# keys of the epoch before are wiped after keep, 1 s, and what disks have of it by then
read -r -t 2 -u "$LAB_NEVER" || :
loot_servers seventh
[ -n "$(lab_pids a ntm-post)" ] || not_ok "a's ntm-post has ended"
for h in a d; do steal $h $h-last; done
lab_stop capture-way INT

# --- by servers' disks and memories alone
mapfile -t LOOT < <(find "$LAB/loot" -mindepth 2 -type f
	find "$LAB/loot" -maxdepth 1 -type f -printf '@%p\n')
STORES=()
for n in welcome third fourth fifth sixth seventh; do
	STORES+=("$LAB/loot/$n/gms/gms.db")
done
assert_between "${#LOOT[@]}" 60 10000 "files and memories that were taken"
thief "${LOOT[@]}"
assert_eq "$(grep -c 'RN2 yes' "$LAB/verdict")" 5 \
	"RN2 of each epoch is found: the thief reads what there is"
assert_eq "$OPENED" "" "and opens no packet of any"
assert_eq "$(grep -c -e 'share yes' -e 'RN1 yes' -e 'key yes' "$LAB/verdict")" 0 \
	"no share, no RN1, no key"
for n in invite welcome message; do
	# all of the time when it waited, and of the end
	mapfile -t MORE < <(for m in "${n/message/welcome}" seventh; do
		find "$LAB/loot/$m" -type f
		find "$LAB/loot" -maxdepth 1 -name "memory-$m.*" -printf '@%p\n'
	done)
	burglar $n $n "${N[c]}" "${MORE[@]}"
	assert_eq "$status" 1 "nor what waited for c: $n"
done

# --- with all that the GMS has ever had, and members' states
mapfile -t LOOT < <(find "$LAB/loot" -path '*/gms/*' -type f
	for n in welcome third fourth fifth sixth seventh; do
		find "$LAB/loot" -name "memory-$n.*.$GMS" -printf '@%p\n'
	done)
mapfile -t MORE < <(find "$LAB/loot/seventh/gms" -type f
	find "$LAB/loot" -name "memory-seventh.*.$GMS" -printf '@%p\n')
thief "${MORE[@]}"
assert_eq "$(grep -c 'RN2 yes' "$LAB/verdict") $(grep -c '^epoch 7.*RN2 yes' "$LAB/verdict")" \
	"1 1" "at the end the GMS has the last RN2, and none of before"
mapfile -t MORE < <(stolen away)
thief "${LOOT[@]}" "${MORE[@]}"
assert_contains "$(cat "$LAB/verdict")" "1 parts, 1 rows" "b's prekey opens the share that waited"
assert_eq "$OPENED" "3 4 5 " "with b's state of the third epoch, what came until the next share"
mapfile -t MORE < <(stolen c gone)
thief "${LOOT[@]}" "${MORE[@]}"
assert_eq "$OPENED" "5 " "who was removed: nothing behind it, and nothing of before"
mapfile -t MORE < <(stolen d d-last)
thief "${LOOT[@]}" "${MORE[@]}"
assert_eq "$OPENED" "5 7 " "who joined: nothing before it"
mapfile -t MORE < <(stolen a-last)
thief "${LOOT[@]}" "${MORE[@]}"
assert_eq "$OPENED" "7 " "a state that is stolen at the end: nothing of before"
for n in invite welcome; do
	burglar $n $n "${N[c]}" "$DIR"/box/box.db* "$LAB/loot/$n"/box/box.db* \
		"$LAB/post-$n"/post.db*
	assert_eq "$status" 0 "the receiver's prekey opens it: $n"
done
