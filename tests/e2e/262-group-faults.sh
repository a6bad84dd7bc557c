#!/bin/bash
# SPDX-License-Identifier: MIT
# 262-group-faults - ntm-member is killed, its disk is of yesterday, its store is
# nonsense, the server is away; other users and lines without sense at its socket
# limit: 240
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.alice
dir=$(state_dir b)
refused "a group without a name" "a-z" group a create "Band!"
refused "rules without sense" "is no rule" group a create band colour=red
refused "and out of bounds" "60 s" group a create band renew=1
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
refused "a second one of that name" "already" group a create band
refused "nobody of that name" "no such name" group a invite band "nobody.alice.$NTM_DOMAIN"
group_joins b band a "${NTM_NAME[b]}"
group_in 40 b band 2
refused "a member is not invited again" "already" group a invite band "${NTM_NAME[b]}"

# killed: started again, and in
lab_as_user b sh -c "kill -9 $(lab_pids b ntm-member)"
wait_for 10 '[ -n "$(lab_pids b ntm-member)" ]' "tail -n 20 $dir/broker.log"
group a rekey band >"$LAB/out" || not_ok "no new secret: $(cat "$LAB/out")"
group_in 30 b band 2
ok "ntm-member that was killed goes on"
lab_as_user b sh -c "kill -9 $(lab_pids b ntm-worker)"
ntm_wait_online b
group_in 30 b band 2
ok "and outlives its worker"

# its disk is of yesterday: another member gives it a welcome
lab_as_user b ntm down
cp -a "$dir/member" "$LAB/yesterday"
ntm_up b
for _ in 1 2 3; do
	group_in 30 b band 2
	group a rekey band >"$LAB/out" || not_ok "no new secret: $(cat "$LAB/out")"
done
group_in 30 a band 2
lab_as_user b ntm down
# nobody's disk is back within the second in which it was lost: in it the serials of prekeys that
# are made anew stand below those that were told (broker/member/hello.c), so the server has one
# that b has lost, and each share is sealed to that until b asks again, a minute later
# (test_member: `test_old_member`)
lost=$EPOCHSECONDS
wait_for 5 '[ "$EPOCHSECONDS" -gt "$lost" ]'
rm -rf "$dir/member"
cp -a "$LAB/yesterday" "$dir/member"
group a rekey band >"$LAB/out" || not_ok "no new secret: $(cat "$LAB/out")"
ntm_up b
group_in 40 b band 2
assert_contains "$(group b status band)" "without a share" "it says what it noticed"
assert_eq "$(group a verify band | head -n 1)" "$(group b verify band | head -n 1)" \
	"and has the key again"
# its new prekey comes to the server with its confirmation
wait_for 20 '[ "$(lab_as_user server ntm-server gms list --json | jq ".groups[].confirmed")" = 2 ]' \
	"lab_as_user server ntm-server gms list"
group a rekey band >"$LAB/out" || not_ok "no new secret: $(cat "$LAB/out")"
group_in 20 b band 2
assert_eq "$(group a verify band | head -n 1)" "$(group b verify band | head -n 1)" \
	"and of what is made anew behind it"

# the server is away: what was known is told, and a change says what it waits for
lab_stop server-server KILL
wait_for 20 "group a status band | grep -q 'server .*gms.*reached\|server .*closed\|server .*not connected'" \
	"group a status band"
refused "a removal waits for it" "the change is made when it does; see" \
	group a remove band "${NTM_NAME[b]}"
lab_as_user a sh -c "kill -9 $(lab_pids a ntm-member)"
refused "nobody leaves unheard" "cannot be reached" group b leave band -y
ntm_server_start server
group_in 70 a band 1
ok "a removal that waited outlives ntm-member"
wait_for 30 "! group b list --json | jq -e '.groups[]' >/dev/null" "group b list"
group_joins b band a "${NTM_NAME[b]}"
group_in 40 b band 2

# who speaks with it on the same machine
sock=$(lab_as_user a sh -c 'find "$XDG_RUNTIME_DIR" -name member.sock')
refused "another user does not get there" "Permission denied" \
	lab_as_other_user a /usr/bin/python3 -c "
import socket
socket.socket(socket.AF_UNIX).connect('$sock')"
got=$(lab_as_user a /usr/bin/python3 -c "
import json, socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect('$sock')
f = s.makefile('rw')
for line in ('', '[]', '{', '{\"cmd\": 7}', '{\"cmd\": \"fly\"}', '{\"cmd\": \"remove\", \"group\": \"band\", \"names\": [7]}', '{\"cmd\": \"invite\", \"group\": \"band\", \"names\": {}}', '{\"cmd\":\"list\"}'):
    print(line, file=f, flush=True)
    print(json.loads(f.readline())['ok'])
try:
    s.sendall(b'x' * (2 << 20))
    print(len(s.recv(1)))
except OSError:
    print(0)")
assert_eq "$(tr '\n' ' ' <<<"$got")" "False False False False False False False True 0 " \
	"a line without sense gets an answer, one without an end ends that client"

# a store that cannot be read is said, not waited for
lab_as_user b ntm down
lab_as_user b sh -c "echo nonsense >$dir/member/groups.db; rm -f $dir/member/groups.db-*"
ntm_up b
refused "a store that cannot be read" "cannot be read" group b list
