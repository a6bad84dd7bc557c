#!/bin/bash
# SPDX-License-Identifier: MIT
# 279-group-restarts - ntm-member and the worker are killed while a group is in use: a TCP
# connection that comes in by `ntm allow @band` goes on, and so do the group's packets; also
# while the GMS is away, from which alone a new ntm-member could have a key. Whoever is
# removed meanwhile is out when it is back
# alone
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

# heard KIND: the last number that came back to c's program, 0 none
heard()
{
	awk -v k="$1" '$1 == k && $2 ~ /^[0-9]+$/ { n = $2 } END { print n + 0 }' \
		"$(lab_log talk)"
}

# goes_on WHAT MS: for three seconds more, on the same connection; the group was silent no
# longer than so
goes_on()
{
	local t u gap
	t=$(heard tcp) u=$(heard udp)
	wait_for 20 "[ \$(heard tcp) -gt $((t + 60)) ] && [ \$(heard udp) -gt $((u + 60)) ]" \
		"tail -n 5 $(lab_log talk); lab_as_user a ntm peers; tail -n 30 $(state_dir a)/broker.log"
	if grep '^tcp over' "$(lab_log talk)"; then
		not_ok "$1: the connection is over"
	fi
	gap=$(group_gap a "$FROM")
	[ "$gap" -le "$2" ] || not_ok "$1: nothing of the group for $gap ms"
	FROM=$(group_heard a)
	ok "$1: the connection goes on, the group was silent for $gap ms"
}

# killed PROGRAM PID: and there is another one
killed()
{
	kill -9 "$2"
	wait_for 10 "p=\$(lab_pids a $1) && [ -n \"\$p\" ] && [ \"\$p\" != $2 ]"
}

ntm_installed
ntm_star server a c
groups_server server
ntm_account server alice
ntm_account server bob
ntm_node a laptop.alice
ntm_node c phone.bob
lab_as_user c ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
ntm_start serve a /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" serve 7000
wait_for 5 "ntm_listens a tcp 7000"
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group_joins c band a "${NTM_NAME[c]}"
for h in a c; do group_in 40 $h band 2; done
G=band.group.$NTM_DOMAIN
group_hears a "$(ntm_run a getent ahostsv4 "$G" | awk '{ print $1; exit }')"
group_speaks c "$G"
lab_as_user a ntm allow @band 7000 >"$LAB/out"
ntm_start talk c /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" talk \
	"${NTM_NAME[a]}" 7000
wait_for 20 "[ \$(heard tcp) -gt 20 ] && [ \$(heard udp) -gt 20 ] && [ \$(group_heard a) -gt 50 ]"
FROM=$(group_heard a)

killed ntm-member "$(lab_pids a ntm-member)"
goes_on "ntm-member is killed" 200
killed ntm-worker "$(ntm_worker a)"
goes_on "the worker is killed" 500
lab_stop server-server KILL
killed ntm-member "$(lab_pids a ntm-member)"
goes_on "ntm-member is killed while the GMS is away" 200
