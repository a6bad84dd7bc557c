#!/bin/bash
# SPDX-License-Identifier: MIT
# 246-cs-restored - a server that is restored from an old copy, without data: what waited
# there is sent again by who sent it, and arrives; the receiver is told in between
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_server a b
ntm_node a laptop.alice
ntm_node b desk.bob
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
dir=$(server_dir server)
lab_as_user b ntm allow "$A" >"$LAB/out"

# send NAME: a file of 300 kB, and it is told to b's box
send()
{
	head -c 300000 /dev/urandom >"$(lab_home a)/$1"
	lab_give "$(lab_home a)/$1"
	lab_as_user a ntm send "$(lab_home a)/$1" "$B" >"$LAB/out" 2>&1 ||
		not_ok "it was not sent: $(cat "$LAB/out")"
	wait_for 10 '[ "$(server_status server roles.cs.asks)" = 0 ]'
}
# arrives NAME
arrives()
{
	wait_for 40 '[ "$(items_newest b inbox .state)" = here ]' \
		"lab_as_user b ntm inbox; lab_as_user a ntm outbox
		tail -n 20 $(state_dir a)/broker.log $(state_dir b)/broker.log"
	lab_as_user b ntm receive --to="$(lab_home b)" >"$LAB/out"
	cmp "$(lab_home a)/$1" "$(lab_home b)/$1"
	wait_for 30 '[ "$(items_newest a outbox .state)" = done ]' 'lab_as_user a ntm outbox'
	ok "$1 arrives, and its sender hears so"
}
items_prekey b

# --- the copy knows the item; its data is gone
lab_as_user b ntm down
send known
lab_as_user server rm -f backup
lab_as_user server ntm-server backup backup >"$LAB/out"
# restore: the Cache Server's disk is lost, and only its part of the copy is needed
restore()
{
	lab_stop server-server
	lab_as_user server ntm-server restore --dir restored backup >"$LAB/out"
	rm -r "$dir/cs/up" "$dir/cs/blob" "$dir"/cs/cs.db*
	cp -p "$(lab_home server)/restored/cs/cs.db" "$dir/cs/cs.db"
	rm -r "$(lab_home server)/restored"
	ntm_server_start server
	wait_for 20 '[ "$(server_status server roles.cs.as_link)" = true ]'
}
restore
wait_for 40 '[ "$(server_status server roles.cs.complete)" = 1 ]' \
	"lab_as_user a ntm outbox; lab_as_user server ntm-server status
	tail -n 20 $(state_dir a)/broker.log"
ok "what the Cache Server has lost was sent again without a word of the person's"
ntm_up b
ntm_wait_online b
arrives known

# --- the copy is older than the item: its sender asks after some hours
lab_as_user b ntm down
lab_as_user server rm -f backup
lab_as_user server ntm-server backup backup >"$LAB/out"
send older
restore
lab_as_user a ntm down
with_clock $((7 * 3600))
lab_as_user a "${CLOCK[@]}" ntm up >"$LAB/out"
wait_for 40 '[ "$(server_status server roles.cs.complete)" = 1 ]' \
	"lab_as_user a ntm outbox; tail -n 20 $(state_dir a)/broker.log"
ok "what a restored Cache Server has never heard of was sent again, too"
ntm_up b
ntm_wait_online b
arrives older
lab_as_user a ntm down
ntm_up a
ntm_wait_online a

# --- its disk has lost some of it, and nobody has noticed
lab_as_user b ntm down
send cut
blob=$(find "$dir/cs/blob" -type f)
truncate -s -100 "$blob"
ntm_up b
ntm_wait_online b
arrives cut
