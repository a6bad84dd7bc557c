#!/bin/bash
# SPDX-License-Identifier: MIT
# 251-prekeys-again - a box that has lost what it knew of devices is told again at their
# next login: after a restore with an old store, and after an account was disabled and
# enabled again
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_account server bob
dir=$(server_dir server)
devices()
{
	/usr/bin/python3 -c "import sqlite3, sys
c = sqlite3.connect(\"file:\" + sys.argv[1] + \"?mode=ro\", uri=True)
print(c.execute(\"SELECT count(*) FROM prekeys\").fetchone()[0])" "$1"
}
# the store of a box that has seen nobody
wait_for 10 '[ -s "$dir/box/box.db" ]'
lab_stop server-server
cp "$dir/box/box.db" "$LAB/box.db"
ntm_server_start server
ntm_node a laptop.alice
ntm_node b desk.bob
lab_as_user b ntm allow "alice.$NTM_DOMAIN" 22 >"$LAB/out"
wait_for 20 '[ "$(devices "$dir/box/box.db")" = 2 ]'

# arrives TEXT SECONDS: what a sends to b is here in so many
arrives()
{
	local start got
	start=$(lab_now)
	echo "$1" | lab_as_user a ntm send "${NTM_NAME[b]}" >"$LAB/out" 2>&1 || :
	wait_for "$2" '[ "$(lab_as_user b ntm inbox --json |
		jq -r ".items[-1].state")" = here ]' \
		"cat $LAB/out; lab_as_user a ntm outbox; lab_as_user b ntm inbox"
	ok "what is sent then is here after $(lab_ms_since "$start") ms"
	got=$(lab_as_user b ntm receive)
	assert_eq "$got" "$1" "and is what was sent"
}

# A restore: the nodes' sessions are gone, and here the box's store is an old one
lab_as_user server ntm-server backup "$(lab_home server)/backup"
lab_stop server-server
lab_as_user server ntm-server restore --force "$(lab_home server)/backup"
cp "$LAB/box.db" "$dir/box/box.db"
lab_give "$dir/box/box.db"
assert_eq "$(devices "$dir/box/box.db")" 0 "the restored box knows nobody's prekey"
ntm_server_start server
# the nodes find out by themselves within a minute; here they log in
ntm_login a alice laptop
ntm_login b bob desk
start=$(lab_now)
wait_for 20 '[ "$(devices "$dir/box/box.db")" = 2 ]' "tail $(state_dir b)/broker.log"
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"it has both prekeys again after the logins: ms"
ntm_wait_online a
ntm_wait_online b
arrives restored 15

# An account that was disabled: the box forgets it; enabled, it logs in again
lab_as_user server ntm-server account disable bob
wait_for 10 '[ "$(devices "$dir/box/box.db")" = 1 ]'
ok "the box forgets who was withdrawn"
lab_as_user server ntm-server account enable bob
ntm_login b bob desk
start=$(lab_now)
wait_for 10 '[ "$(devices "$dir/box/box.db")" = 2 ]' "tail $(state_dir b)/broker.log"
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"it has the prekey again after the login: ms"
ntm_wait_online b
arrives enabled 15
