#!/bin/bash
# SPDX-License-Identifier: MIT
# 258-post-local - ntm-post and who speaks with it on the same machine: without a login,
# other users, lines without sense, many that say nothing; and what it starts itself
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
home=$(lab_home a)

# nobody has logged in
mkdir -p "$home/bin"
cat >"$home/bin/notify-send" <<'END'
#!/bin/sh
ls -l /proc/$$/fd >"$HOME/notified.part"
printf '%s\n' "$@" >>"$HOME/notified.part"
mv "$HOME/notified.part" "$HOME/notified"
END
chmod 755 "$home/bin/notify-send"
lab_give "$home"
lab_as_user a env PATH="$home/bin:$PATH" DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere \
	ntm up >"$LAB/log/up-a" 2>&1
within 5 "the inbox, without a login" lab_as_user a ntm inbox
echo hello >"$home/file"
lab_give "$home/file"
refused "nothing is sent without a login" "not logged in" \
	lab_as_user a sh -c "cd && ntm send file desk.alice.$NTM_DOMAIN"

ntm_login a alice laptop
ntm_wait_online a
ntm_node b desk.alice
A=${NTM_NAME[a]}
sock=$(lab_as_user a sh -c 'find "$XDG_RUNTIME_DIR" -name post.sock')

# speak CODE: Python, on a connection s to post.sock
speak()
{
	lab_as_user a /usr/bin/python3 -c "
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect('$sock')
f = s.makefile('rw')
$1"
}
refused "another user does not get there" "Permission denied" \
	lab_as_other_user a /usr/bin/python3 -c "
import socket
socket.socket(socket.AF_UNIX).connect('$sock')"
got=$(speak "
for line in ('', '[]', '{', '{\"cmd\": 7}', '{\"cmd\": \"fly\"}', '{\"cmd\":\"inbox\",\"id\":\"x\"}'):
    print(line, file=f, flush=True)
    print(json.loads(f.readline())['ok'])")
assert_eq "$(tr '\n' ' ' <<<"$got")" "False False False False False True " \
	"a line without sense gets an answer, and the next one too"
got=$(speak "
try:
    s.sendall(b'x' * (2 << 20))
    print(len(s.recv(1)))
except OSError:
    print(0)")
assert_eq "$got" 0 "a line without an end ends that client"
got=$(speak "
others = []
for i in range(40):
    o = socket.socket(socket.AF_UNIX)
    o.connect('$sock')
    others.append(o)
for o in others:
    o.close()
print('{\"cmd\": \"inbox\"}', file=f, flush=True)
print(json.loads(f.readline())['ok'])")
assert_eq "$got" True "forty that say nothing"
within 5 "and the inbox after them" lab_as_user a ntm inbox

# what came is told, by a program that gets nothing of ours
lab_as_user b sh -c "echo hi | ntm send $A" >"$LAB/out"
wait_for 30 '[ -e "$home/notified" ]' \
	"lab_as_user a ntm inbox; tail -n 20 $(state_dir a)/broker.log"
assert_contains "$(cat "$home/notified")" "from ${NTM_NAME[b]}" "the desktop is told"
assert_eq "$(grep -E ' ([3-9]|[1-9][0-9]+) -> (socket|anon_inode)' "$home/notified")" "" \
	"no socket of ntm-post goes to notify-send"

# logged out: what is here is taken, and ntm-post ends
lab_as_user a ntm logout >"$LAB/log/logout-a" 2>&1
assert_eq "$(lab_as_user a ntm receive)" hi "what is here is taken without a login"
wait_for 15 '[ -z "$(lab_pids a ntm-post)" ]' "tail -n 20 $(state_dir a)/broker.log"
ok "without a login it ends, too"

# what cannot be read is said, not waited for
lab_as_user a ntm down
lab_as_user a sh -c "echo nonsense >$(state_dir a)/post/post.db"
ntm_up a
within 5 "a store that cannot be read" refused "is said" "cannot be read" \
	lab_as_user a ntm inbox
wait_for 15 '[ -z "$(lab_pids a ntm-post)" ]'
ok "and nobody waits with it"
