#!/bin/bash
# SPDX-License-Identifier: MIT
# 197-items-person - what a person sees of items: bars that fit the terminal, Ctrl-C that
# ends the watching alone, sentences that say what to do, and nothing of what others wrote
# that a terminal would take for a command
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_pair
esc=$'\033'
terminal=$LAB_SRC/tests/lab/terminal.py

# says HOST STATUS SENTENCE SCRIPT: it ends so, with that one line on standard error
says()
{
	local status=0
	lab_as_user "$1" sh -c "$4" >"$LAB/out" 2>"$LAB/err" </dev/null || status=$?
	assert_eq "$status $(wc -l <"$LAB/err")" "$2 1" "status and lines of: $3"
	assert_contains "$(cat "$LAB/err")" "$3" "the sentence"
}

# --- sentences, and their JSON twins

says c 1 "no broker is running; run \`ntm up\`" "ntm inbox"
ntm_up c
assert_contains "$(lab_as_user c ntm inbox)" "nothing is there; this device is not logged in: run \`ntm login\`" \
	"an empty inbox without a login says so"
says c 1 "not logged in; run \`ntm login\`" "echo x | ntm send bob"
assert_eq "$(echo x | lab_as_user c ntm send bob --json | jq -r '"\(.ok) \(.error)"')" \
	"false NOLOGIN" "the same for scripts"
assert_eq "$(lab_as_user c ntm outbox --json | jq -c .)" '{"ok":true,"logged_in":false,"items":[]}' \
	"a list for scripts"
says a 1 "nothing on standard input, and no file is named" "ntm send bob"
assert_eq "$(lab_as_user a ntm send bob --json </dev/null | jq -r .error)" INVAL \
	"what is wrong with the input is JSON, too"
says a 1 "is no UTF-8 text; send a file" 'printf "\377" | ntm send bob'
says a 1 "?.bob is no name: it is no UTF-8 text" 'echo x | ntm send bob "$(printf "\\377.bob")"'
says a 1 "its name is no UTF-8; rename it first" \
	'f=./$(printf "\\377"); echo x >"$f"; ntm send "$f" bob; s=$?; rm "$f"; exit $s'
assert_eq "$(lab_as_user a ntm outbox --json | jq ".items | length")" 0 "and nobody gets anything"
says a 1 "./none: it does not exist" "ntm send ./none bob"
says a 1 "secret: it may not be read" "touch secret; chmod 0 secret; ntm send secret bob"
says a 1 "files come first, then names" "touch one; ntm send bob ./one"
says a 1 "without control characters" "echo x | ntm send --message='$esc[2J' bob"
says a 2 "\"x\" is no number; \`ntm outbox\` shows the numbers" "ntm cancel x"
says a 1 "no such item; see \`ntm outbox\`" "ntm cancel 999"
says a 1 "no such item; see \`ntm inbox\`" "ntm receive 999"
says a 2 "takes [FILE ...] NAME ..." "ntm send"
says a 2 "takes --overwrite or --rename, not both" "ntm receive --overwrite --rename"
says a 2 "takes --overwrite or --rename, not both" "ntm receive --rename --overwrite 1"
status=0
echo x | lab_as_user a ntm send nobody >"$LAB/out" 2>&1 || status=$?
assert_eq "$status" 1 "to nobody: status"
assert_contains "$(cat "$LAB/out")" "no such name, or no device of it takes items yet" \
	"to nobody: why"
assert_eq "$(lab_as_user a ntm send nobody --json <<<x 2>&1 | jq -r '.to[0].error')" NONAME \
	"to nobody: for scripts"

# --- bars, on terminals of several widths; and Ctrl-C

lab_as_user b ntm down
name="ünïcöde 漢字 $(printf 'x%.0s' {1..60}).bin"
head -c 40000000 /dev/urandom >"$(lab_home a)/$name"
head -c 400000000 /dev/zero >"$(lab_home a)/large"
lab_give "$(lab_home a)"
# bars COLUMNS: that every line drawn is narrower than the terminal
bars()
{
	lab_as_user a "$terminal" --columns "$1" sh -c 'ntm send ünï* bob' >"$LAB/out"
	tr '\r' '\n' <"$LAB/out" | sed 's/\x1b\[K//' | grep '%' >"$LAB/bars" ||
		not_ok "there is no bar: $(cat -v "$LAB/out")"
	/usr/bin/python3 - "$1" "$LAB/bars" <<-'END' || not_ok "$(cat "$LAB/bars")"
	import sys, unicodedata
	width = lambda s: sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in s)
	lines = open(sys.argv[2], encoding="utf-8").read().splitlines()
	percent = [int(l.split("%")[0].split()[-1]) for l in lines]
	sys.exit(max(map(width, lines)) >= int(sys.argv[1]) or percent != sorted(percent))
	END
	assert_contains "$(cat "$LAB/out")" "is sent" "with $1 columns: bars fit and rise, then it is sent"
}
bars 120
assert_contains "$(tail -n 1 "$LAB/bars")" "$(printf '\342\200\246')" "a long name loses its middle"
assert_contains "$(cat "$LAB/bars")" "/s  " "there is a rate"
assert_contains "$(cat "$LAB/bars")" "s left" "and the time left"
bars 50
bars 24

status=0
lab_as_user a "$terminal" --say '[1-9]%=\x03' ntm send large bob >"$LAB/out" || status=$?
assert_eq "$status" 130 "Ctrl-C ends it as a signal does"
assert_contains "$(cat "$LAB/out")" "goes on by itself; \`ntm outbox\` shows it" \
	"and the person is told what becomes of it"
number=$(lab_as_user a ntm outbox --json | jq '.items[-1].id')
assert_eq "$(items_count a outbox sending)" 1 "it is still on its way"
lab_as_user a ntm cancel "$number" >"$LAB/out"
assert_contains "$(cat "$LAB/out")" "item $number is cancelled" "it can be withdrawn"
# killed while somebody watches: ntm-post is started again, nobody notices
lab_as_user a ntm send large bob >"$LAB/out" 2>&1 &
watcher=$!
wait_for 20 '[ "$(lab_as_user a ntm outbox --json | jq ".items[-1].sent > 10000000")" = true ]'
kill -KILL "$(lab_pids a ntm-post)"
wait $watcher || not_ok "$(cat "$LAB/out")"
assert_contains "$(cat "$LAB/out")" "is sent" "ntm-post is killed, and the watching goes on"
lab_as_user a ntm cancel "$((number + 1))" >/dev/null

# --- what others wrote

# the sender's own ntm refuses such a message: another program's would not
printf 'red %s[31m, csi \302\233 31m, rlo \342\200\256\ttab\nlast' "$esc" |
	lab_as_user a ntm send bob >/dev/null
ntm_up b
ntm_wait_online b
items_here b 4
lab_as_user a "$terminal" ntm outbox >"$LAB/out"
lab_as_user b "$terminal" --columns 60 ntm inbox >>"$LAB/out"
number=$(lab_as_user b ntm inbox --json | jq '.items[] | select(.service == "text") | .id')
lab_as_user b "$terminal" ntm receive "$number" >>"$LAB/out"
assert_contains "$(cat "$LAB/out")" "red ?[31m, csi ? 31m, rlo ?" "controls become '?'"
assert_contains "$(tail -n 1 "$LAB/out")" last "a text ends its line"
if sed "s/$esc\\[[0-9]*[mK]//g" "$LAB/out" | grep -qP '\x1b|\xc2[\x80-\x9f]|\xe2\x80\xae'; then
	not_ok "a control of the text reached the terminal: $(cat -v "$LAB/out")"
fi
ok "nothing else of them reaches the terminal"

# --- names that exist: the person is asked, a script is told

cd "$LAB"
lab_as_user b sh -c "mkdir to; touch to/'$name'"
number=$(lab_as_user b ntm inbox --json | jq '.items[0].id')
says b 1 "exists; it was left as it is: \`--rename\` or \`--overwrite\` says what to do" \
	"ntm receive --to=to $number"
assert_eq "$(lab_as_user b ntm receive --to=to --json "$number" | jq -r .error)" EXISTS \
	"and in JSON"
says b 1 "nowhere: there is no such folder; make it first" "ntm receive --to=nowhere"
says b 1 "closed: you may not write there" "mkdir closed; chmod 500 closed; ntm receive --to=closed"
lab_as_user b "$terminal" --say 'kip\?=r\n' --say 'kip\?=o\n' --say 'kip\?=s\n' \
	ntm receive --to=to >"$LAB/out" || :
assert_eq "$(lab_as_user b sh -c 'ls to | wc -l')" 2 "renamed, replaced, left: two files"
assert_eq "$(items_count b inbox here)" 1 "what was left stays in the inbox"
