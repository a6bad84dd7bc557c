#!/bin/bash
# SPDX-License-Identifier: MIT
# 275-withdrawn - a tunnel that we opened ourselves, and a permission taken back: what the
# peer began by it, TCP and UDP, ends within a second; what we began goes on. By a rule for an
# account, for a port, and for a group that the peer is removed from; also by a worker that
# was started since
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

# heard NAME KIND: the last number that came back to `talk`, 0 none
heard()
{
	awk -v k="$2" '$1 == k && $2 ~ /^[0-9]+$/ { n = $2 } END { print n + 0 }' \
		"$(lab_log "$1")"
}

# goes_on NAME: both ways bring something new
goes_on()
{
	local t u
	t=$(heard "$1" tcp) u=$(heard "$1" udp)
	wait_for 10 "[ \$(heard $1 tcp) -gt $((t + 3)) ] && [ \$(heard $1 udp) -gt $((u + 3)) ]" \
		"tail -n 5 $(lab_log "$1"); lab_as_user a ntm peers; tail -n 20 $(state_dir a)/broker.log"
}

# talks LOG PORT: c begins
talks()
{
	ntm_start "$1" c /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" talk \
		"${NTM_NAME[a]}" "$2"
	goes_on "$1"
}

# ended LOG WHAT: nothing more after a second, and the connection is over
ended()
{
	local t u n
	wait_for 1 "grep -q '^tcp over' $(lab_log "$1")" \
		"tail -n 5 $(lab_log "$1"); tail -n 20 $(state_dir a)/broker.log"
	t=$(heard "$1" tcp) u=$(heard "$1" udp) n=$(heard outward tcp)
	# a second more, by the numbers of what goes on
	wait_for 20 "[ \$(heard outward tcp) -gt $((n + 20)) ]" "tail -n 5 $(lab_log outward)"
	[ "$(heard "$1" tcp)" = "$t" ] || not_ok "$2: TCP goes on"
	[ "$(heard "$1" udp)" -le "$((u + 10))" ] || not_ok "$2: UDP goes on"
	goes_on outward
	ok "$2: what the peer began ends, what we began goes on"
}

ntm_installed
ntm_star server a c
groups_server server
ntm_account server alice
ntm_account server bob
ntm_node a laptop.alice
ntm_node c phone.bob
lab_as_user c ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
ntm_start serve-a a /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" serve 7000
ntm_start serve-c c /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" serve 7100
wait_for 5 "ntm_listens a tcp 7000 && ntm_listens c tcp 7100"

# we open the tunnel, and talk to it all the time
ntm_start outward a /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" talk "${NTM_NAME[c]}" 7100
goes_on outward

lab_as_user a ntm allow "bob.$NTM_DOMAIN" >"$LAB/out"
talks all 7000
lab_as_user a ntm allow -r "bob.$NTM_DOMAIN" >"$LAB/out"
ended all "a rule withdrawn"

# a worker that dies, and the next one: it knows who began, also where the ports' numbers
# say otherwise, and by UDP
lab_as_user a ntm allow "bob.$NTM_DOMAIN" >"$LAB/out"
ntm_start serve-high a /usr/bin/python3 -u "$LAB_SRC/tests/e2e/held.py" serve 40000
wait_for 5 "ntm_listens a tcp 40000"
talks high 40000
old=$(ntm_worker a)
# flows are noted at the keeper within a second or so
n=$(heard high tcp)
wait_for 10 "[ \$(heard high tcp) -gt $((n + 25)) ]"
kill -9 "$old"
wait_for 5 "w=\$(ntm_worker a) && [ -n \"\$w\" ] && [ \"\$w\" != $old ]"
goes_on high
goes_on outward
lab_as_user a ntm allow -r "bob.$NTM_DOMAIN" >"$LAB/out"
ended high "a rule withdrawn, by the worker after"

group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group_joins c band a "${NTM_NAME[c]}"
for h in a c; do group_in 40 $h band 2; done
lab_as_user a ntm allow @band 7000 >"$LAB/out"
talks port 7000
lab_as_user a ntm allow -r @band >"$LAB/out"
ended port "a port withdrawn from a member"

lab_as_user a ntm allow @band 7000 >"$LAB/out"
talks member 7000
group a remove band "${NTM_NAME[c]}" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 a band 1
ended member "removed from the group"
