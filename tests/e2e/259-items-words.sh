#!/bin/bash
# SPDX-License-Identifier: MIT
# 259-items-words - which words of `ntm send` are files and which are names, and what it
# says and returns of an item that has ended; what groups say is ntm-member's alone: it is
# neither shown nor taken. ntm-post is played
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
lab_host a
home=$(lab_home a)
lab_as_user a sh -c 'mkdir -m 700 -p "$XDG_RUNTIME_DIR/ntm" || :
	touch report.pdf one README; mkdir bob photos'
# played STATES: ntm-post from now on, for receivers in these states
played()
{
	[ ! -e "$LAB/played" ] || lab_stop "$(cat "$LAB/played")"
	echo "post-$1" >"$LAB/played"
	lab_as_user a sh -c 'rm -f "$XDG_RUNTIME_DIR"/ntm/*.sock'
	lab_start "post-$1" user a sh -c \
		'exec /usr/bin/python3 "$1" "$XDG_RUNTIME_DIR/ntm" "$2"' sh \
		"$LAB_SRC/tests/e2e/playedpost.py" "$1"
	wait_for 10 "lab_as_user a sh -c 'test -S \"\$XDG_RUNTIME_DIR/ntm/post.sock\"'" \
		"cat '$(lab_log "post-$1")'"
}

# sends FILES TO WORD...: these files, or the text, went to these names
sends()
{
	local files=$1 to=$2
	shift 2
	printf text | lab_as_user a ntm send "$@" >"$LAB/out" 2>&1 || not_ok "$*: $(cat "$LAB/out")"
	assert_eq "$(tail -n 1 "$(lab_log post-received)" | jq -r \
		'"\(.text // ([.files[] | sub(".*/(?=.)"; "")] | join(" "))) to \(.to | join(" "))"')" \
		"$files to $to" "ntm send $*"
}

# refuses SENTENCE WORD...
refuses()
{
	local want=$1 status=0
	shift
	lab_as_user a ntm send "$@" >"$LAB/out" 2>&1 </dev/null || status=$?
	assert_eq "$status" 1 "ntm send $*: status"
	assert_contains "$(cat "$LAB/out")" "$want" "ntm send $*"
}

played received
sends photos bob.example.org photos bob.example.org
sends "report.pdf README" "carol.example.org dave.example.org" report.pdf README carol dave
sends "report.pdf bob" carol.example.org report.pdf ./bob carol
sends "report.pdf bob/" carol.example.org report.pdf bob/ carol
sends report.pdf "bob.example.org carol.example.org" report.pdf bob.example.org carol
sends text carol.example.org - carol
sends text carol.example.org carol
n=$(wc -l <"$(lab_log post-received)")
refuses "bob is a folder here and may be a name: write ./bob for the folder, bob.example.org for the name" \
	report.pdf bob carol
refuses "one is a file here and may be a name: write ./one for the file, one.example.org for the name" \
	report.pdf one carol
refuses "bob is a folder here and may be a name" photos bob
refuses "files come first, then names" carol ./one dave
refuses "files come first, then names" report.pdf README
assert_eq "$(wc -l <"$(lab_log post-received)")" "$n" "nothing of what is refused was sent: orders"
n=$(wc -l <"$(lab_log post-received)")
assert_eq "$(lab_as_user a ntm inbox | awk '{ print $1, $3, $4 }')" "NUMBER WHAT SIZE
2 other: t" "an item of a group is not shown, another program's is, with its name"
# lists WANT [OPTION]: numbers in both forms
lists()
{
	assert_eq "$(lab_as_user a ntm inbox ${2-} | awk '$1 ~ /^[0-9]/ { print $1 }' | xargs)" \
		"$1" "ntm inbox ${2-}"
	assert_eq "$(lab_as_user a ntm inbox --json ${2-} | jq -r '.items[].id' | xargs)" \
		"$1" "and as JSON"
}
lists 2
lists "1 2" --application=all
lists 1 --application=ntm-group
lists 2 --application=other
lists "" --application=ntm
assert_eq "$(lab_as_user a ntm receive)" "nothing is here; see \`ntm inbox\`" "neither is taken"
status=0
lab_as_user a ntm receive 1 >"$LAB/out" 2>&1 || status=$?
assert_eq "$status" 1 "the group's by its number: status"
assert_contains "$(cat "$LAB/out")" "item 1 is of a group; \`ntm-group list\`" "and the sentence"
assert_eq "$(wc -l <"$(lab_log post-received)")" "$n" "it is not fetched, and stays: requests"
rm -r "$home/bob"
sends photos bob.example.org photos bob

played refused,received
printf x | lab_as_user a ntm send bob carol >"$LAB/out" || not_ok "$(cat "$LAB/out")"
assert_contains "$(cat "$LAB/out")" "item 1 is sent" "one of two refuses it: the item is sent"
assert_contains "$(cat "$LAB/out")" "bob.example.org: refused" "and it is said who"
played refused
status=0
printf x | lab_as_user a ntm send bob carol >"$LAB/out" 2>&1 || status=$?
assert_eq "$status" 1 "each one refuses it: status"
assert_contains "$(cat "$LAB/out")" "ntm: item 1: no receiver takes it" "and the sentence"
assert_contains "$(cat "$LAB/out")" "carol.example.org: refused" "and why"
status=0
printf x | lab_as_user a ntm send --json bob >"$LAB/out" || status=$?
assert_eq "$status $(jq -r '.to[0].state' "$LAB/out")" "1 refused" "the same for scripts"
