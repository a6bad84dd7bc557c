#!/bin/bash
# SPDX-License-Identifier: MIT
# 186-server-sentences - ntm-server, used wrongly or in the wrong place, says in one sentence
# what is wrong and what to do, and lists are tables
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_installed
lab_host server
lab_net n1
lab_link server n1 10.1.0.2/24 2001:db8:1::2/64
dir=$(lab_home server)/.local/share/ntm-server

# said STATUS SENTENCE COMMAND...: on the server, in one line, nothing besides
said()
{
	local want=$1 sentence=$2 status=0
	shift 2
	lab_as_user server ntm-server "$@" >"$LAB/out" 2>"$LAB/said" \
		</dev/null || status=$?
	assert_eq "$status" "$want" "$*: the exit status"
	assert_eq "$(wc -l <"$LAB/said") $(wc -c <"$LAB/out")" "1 0" \
		"$*: lines of errors, bytes of output"
	assert_contains "$(cat "$LAB/said")" "ntm-server: $sentence" \
		"$*: $(cat "$LAB/said")"
}

said 2 "no command inti; see ntm-server --help" inti
said 2 "a value is missing behind --domain" init --domain
said 2 "no option of this command: --password-stdin" init --password-stdin
said 2 "only root gives a folder away: --user" \
	init --domain ntm.example --user nobody
said 1 "/proc/x cannot be made there; name another folder with --dir" \
	init --domain ntm.example --dir /proc/x
for command in status join-string "account list" "device list" "peer list" \
	"relay status" "exit status"; do
	# shellcheck disable=SC2086
	said 1 "$dir does not exist; run ntm-server init, or name the domain's \
folder with --dir" $command
done
assert_eq "$(lab_as_user server ntm-server peer --help |
	grep -c '^  [a-z]')" 3 "peer --help: forms of this command alone"

# Nobody there: commands for people work on the stores.
lab_as_user server ntm-server init --domain ntm.example --listen 10.1.0.2 \
	>"$LAB/out"
printf '%s\n' "$NTM_PASSWORD" >"$(lab_home server)/password"
lab_give "$(lab_home server)/password"
file=(--password-file password)
lab_as_user server ntm-server account add "${file[@]}" alice
said 1 "the account alice exists already" account add "${file[@]}" alice
for name in Alice ünsal a.b dc group; do
	said 1 "$name is no name for an account: one word of lower-case" \
		account add "${file[@]}" $name
done
for verb in passwd disable enable delete; do
	[ $verb = passwd ] && set -- "${file[@]}" || set --
	said 1 "there is no account bob; see ntm-server account list" \
		account $verb "$@" bob
done
said 1 "there is no account bob" account exit bob on
said 1 "there is no account bob" device list --account bob
said 1 "there is no device x.alice.ntm.example; see ntm-server device list" \
	device revoke x.alice.ntm.example
said 2 "account: wrong arguments; see ntm-server account --help" account disable
said 1 "no Direction Coordinator runs in $dir" peer list
said 1 "no relay runs in $dir; start ntm-server run there" relay status

# A name as long as they may be: the columns hold.
long=$(printf 'x%.0s' {1..63})
lab_as_user server ntm-server account add "${file[@]}" "$long"
lab_as_user server ntm-server account list >"$LAB/out"
assert_eq "$(awk '{ print index($0, $2) }' "$LAB/out" | sort -u | wc -l)" 1 \
	"account list: where the second column begins, in all lines"

# Another user is not told that it does not exist.
lab_have_other_user && {
	lab_as_other_user server ntm-server status --dir "$dir" >"$LAB/out" \
		2>"$LAB/said" && not_ok "another user asked for the status" || :
	assert_contains "$(cat "$LAB/said")" "$dir is not yours; run this as root" \
		"another user: $(cat "$LAB/said")"
}
