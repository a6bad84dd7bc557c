#!/bin/bash
# SPDX-License-Identifier: MIT
# 245-post-starts - ntm-post is there when there is something to do: after a login, for
# who connects, for a notice of the box, after its death; and lives on when workers die
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_node a laptop.alice

# the broker of b finds a played ntm-post beside its worker
home=$(lab_home b)
mkdir -p "$home/x/bin" "$home/x/lib"
cp /usr/local/libexec/ntm/ntm-worker /usr/local/libexec/ntm/ntm-portmap "$home/x/bin/"
cp /usr/local/lib/libntm.so "$home/x/lib/"
cp "$LAB_SRC/tests/lab/playedpost.py" "$home/x/bin/ntm-post"
touch "$home/post.stay"
lab_give "$home"
lab_as_user b ntm-broker --worker="$home/x/bin/ntm-worker"
ntm_login b alice desk
ntm_wait_online b
A=${NTM_NAME[a]} B=${NTM_NAME[b]}

# said FILTER: how many lines of the log jq finds true
said()
{
	[ ! -e "$home/post.log" ] || jq -s "map(select($1)) | length" "$home/post.log"
}
last_pid()
{
	jq -s 'map(.pid) | last' "$home/post.log"
}

wait_for 10 '[ "$(said .heard.event==\"start\")" = 1 ]' 'cat "$home/post.log"'
assert_eq "$(said '.names == ["link","post","tcp6","tcp4"] and .own and .count == 4')" 1 \
	"it gets its sockets"
assert_eq "$(said '.preload // "" | endswith("x/lib/libntm.so")')" 1 \
	"it runs under libntm.so"
rundir=$(jq -r '.argv[]? | select(startswith("--rundir=")) | .[9:]' "$home/post.log")
assert_eq "$(lab_as_user b stat -c %a "$rundir/post.sock")" 600 \
	"its own socket is the person's"

pid=$(last_pid)
kill -KILL "$(ntm_worker b)"
wait_for 10 '[ "$(said .heard.event==\"online\")" -ge 1 ]' 'cat "$home/post.log"'
assert_eq "$(said '.names')" 1 "a worker dies, ntm-post does not"
kill -KILL "$pid"
wait_for 10 '[ "$(said .names)" = 2 ]' 'cat "$home/post.log"'
assert_ne "$(last_pid)" "$pid" "killed with work left it is started again: process"

rm "$home/post.stay"
kill -KILL "$(last_pid)"
wait_for 15 '[ "$(said .names)" = 3 ] && ! kill -0 "$(last_pid)" 2>/dev/null' \
	'cat "$home/post.log"'
ok "without work it ends"
assert_eq "$(ntm_run a curl -s --http0.9 --max-time 5 "http://$B:4507/")" "post here" \
	"another node that connects finds it"
assert_eq "$(said '.connected == "tcp4" or .connected == "tcp6"')" 1 \
	"on the virtual address"
assert_eq "$(said .names)" 4 "it was started for that"
wait_for 15 '! kill -0 "$(last_pid)" 2>/dev/null'

# something waits at the box, which was killed meanwhile
lab_as_user server python3 - "$B" "$A" <<'END'
import os, sqlite3, sys, time
db = sqlite3.connect(os.path.expanduser("~/.local/share/ntm-server/box/box.db"))
now = int(time.time())
db.execute("INSERT INTO devices VALUES (?, ?, NULL, 0)",
           (sys.argv[1], sys.argv[1].split(".", 1)[1]))
db.execute("INSERT INTO entries (receiver, account, domain, sender, application, service,"
           " item, status, message, cs, addresses, at, expires, number)"
           " VALUES (?, 'x', '', ?, 'ntm', 'file', 'i', 0, '', 'cs.x', '', ?, ?, ?)",
           (sys.argv[1], sys.argv[2], now, now + 600, now))
db.commit()
END
kill -KILL "$(server_role server box)"
wait_for 15 '[ "$(said ".heard.event==\"start\" and .heard.serial > 0")" = 1 ]' \
	'cat "$home/post.log"; lab_as_user server ntm-server status'
ok "a notice of the box starts it"
assert_ne "$(ntm_get b post.serial)" 0 "the number that ntm status has"
