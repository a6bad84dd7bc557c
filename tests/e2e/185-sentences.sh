#!/bin/bash
# SPDX-License-Identifier: MIT
# 185-sentences - a command used wrongly, or too early, says in one sentence what is wrong
# and what to do; with --json a refusal is JSON
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_installed
ntm_star server a
ntm_account server alice

# said STATUS SENTENCE COMMAND...: on a, in one line on standard error, nothing besides
said()
{
	local want=$1 sentence=$2 status=0
	shift 2
	lab_as_user a "$@" >"$LAB/out" 2>"$LAB/said" </dev/null || status=$?
	assert_eq "$status" "$want" "$*: the exit status"
	assert_eq "$(wc -l <"$LAB/said") $(wc -c <"$LAB/out")" "1 0" \
		"$*: lines of errors, bytes of output"
	assert_contains "$(cat "$LAB/said")" "$sentence" "$*: $(cat "$LAB/said")"
	assert_contains "$(cat "$LAB/said")" "ntm: " "and who says so"
}

# refused_json ERROR SENTENCE COMMAND...: an object on standard output, nothing besides
refused_json()
{
	local error=$1 sentence=$2
	shift 2
	! lab_as_user a "$@" --json >"$LAB/out" 2>"$LAB/said" </dev/null ||
		not_ok "$* --json succeeded"
	assert_eq "$(json ok <"$LAB/out") $(json error <"$LAB/out")" \
		"false $error" "$* --json: ok and error"
	assert_contains "$(json text <"$LAB/out")" "$sentence" "its text"
	assert_eq "$(cat "$LAB/said")" "" "nothing on standard error"
}

said 2 "no command \"lgoin\"; see \`ntm --help\`" ntm lgoin
said 2 "status has no option --wach; see \`ntm status --help\`" ntm status --wach
said 2 "status has no option -y" ntm status -y
said 2 "ping needs a value with -c" ntm ping -c
said 2 "ping takes NAME; see \`ntm ping --help\`" ntm ping
said 2 "--count takes a number from 1 to 1000000, not \"x\"" ntm ping -c x b
said 2 "peers takes options only, not \"b\"" ntm peers b
said 2 "login takes JOIN-STRING ACCOUNT" ntm login alice
said 2 "\"70000\" is not a port (1 to 65535)" ntm allow bob 70000
said 2 "allow -r takes the name or domain" ntm allow -r
said 1 "no broker is running; run \`ntm up\`" ntm status
# Before a password is asked for, and before a broker is started.
said 1 "that is not a join string; the administrator prints it" ntm login x alice
said 1 "another version of NTMobile; update this program" ntm login ntm2:x alice
said 1 "no broker is running" ntm passwd
assert_eq "$(ntm_keeper a)" "" "no broker was started for that"

ntm_up a
said 1 "not logged in; run \`ntm login\`" ntm passwd
said 1 "say the whole name, as account.domain" ntm allow bob
refused_json NOLOGIN "run \`ntm login\`" ntm passwd
refused_json NOLOGIN "run \`ntm login\`" ntm ping b
refused_json INVAL "not a join string" ntm login x alice
lab_as_user a ntm-run --exit=relay true >"$LAB/out" 2>&1 &&
	not_ok "without a login --exit=relay ran the program" || :
assert_eq "$(cat "$LAB/out")" \
	"ntm-run: the exit cannot be used: not logged in; run \`ntm login\`" \
	"--exit=relay without a login says one thing"

ntm_node a laptop.alice
said 1 "that is this device itself" ntm ping laptop
assert_eq "$(lab_as_user a ntm peers)" "no tunnels" "which is no peer then"
said 1 "nothing is remembered of that name" ntm forget desk
refused_json INVAL "no password given" ntm passwd
# One word is an account of the own domain; with a final dot it is a domain.
assert_eq "$(lab_as_user a ntm allow bob 22)" "bob.$NTM_DOMAIN 22" "allow bob 22"
assert_contains "$(lab_as_user a ntm allow lan.)" "lan all ports" "allow lan."
assert_eq "$(lab_as_user a ntm allow -r lan)" "bob.$NTM_DOMAIN 22" "allow -r lan"
assert_contains "$(lab_as_user a ntm exit on)" "no exit that is online" \
	"ntm exit on: why there is none"
assert_contains "$(lab_as_user a ntm status)" "no exit that is online" "ntm status"

# On a terminal of 80 columns nothing of a table is broken in two.
lab_as_user a script -qec 'stty cols 80; ntm devices' /dev/null </dev/null |
	tr -d '\r' >"$LAB/out"
assert_contains "$(cat "$LAB/out")" "DEVICE" "ntm devices on a terminal"
assert_between "$(wc -L <"$LAB/out")" 20 80 "its longest line: columns"

# What is damaged on the disk is told, and what to do.
state=$(lab_home a)/.local/state/ntm
lab_as_user a ntm down >"$LAB/out"
echo garbage >"$state/session"
ntm_up a
assert_contains "$(lab_as_user a ntm status)" "cannot be read; run \`ntm login\`" \
	"a damaged session: ntm status"
lab_as_user a ntm down >"$LAB/out"
echo garbage >"$state/identity.key"
! lab_as_user a ntm up >"$LAB/out" 2>&1 || not_ok "a damaged key was taken"
assert_contains "$(cat "$LAB/out")" "it is damaged; restore it from a backup, or \
remove it and log in as a new device" "a damaged key: ntm up"
