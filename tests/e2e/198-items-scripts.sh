#!/bin/bash
# SPDX-License-Identifier: MIT
# 198-items-scripts - what a script has of items: --follow, a command for each item that
# gets all of it and nothing as words of its own, and a receiving that goes on after
# whatever interrupted it
# limit: 120
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_pair
home=$(lab_home b)
lab_as_user b mkdir got

# --- --follow, and what the command gets

cat >"$home/cmd" <<-'END'
	#!/bin/sh
	for arg; do echo "arg $arg" >>log; done
	echo "from $NTM_FROM message $NTM_MESSAGE number $NTM_NUMBER files $NTM_FILES" >>log
	echo "ids $NTM_APPLICATION $NTM_SERVICE" >>log
	sed 's/^/text /' >>log
	printf '\nend\n' >>log
	if [ -e fail ] && [ $NTM_FILES != 0 ]; then exit 7; fi
	if [ -e die ]; then rm die; kill -KILL $PPID; fi
END
chmod +x "$home/cmd"
lab_give "$home/cmd"
lab_start follow user b ntm receive --follow --to=got --on-receive='exec ./cmd "$@"'
# commands N: until N have ended
commands()
{
	wait_for 20 "[ \"\$(grep -cx end $home/log)\" = $1 ]" \
		"cat $home/log $(lab_log follow); lab_as_user b ntm inbox"
}
printf 'tea at\nfour' | lab_as_user a ntm send --message="an; invitation" bob >"$LAB/out"
commands 1
assert_contains "$(cat "$home/log")" "from $A message an; invitation number 1 files 0" \
	"a text: its environment"
assert_contains "$(cat "$home/log")" "ids ntm text" "the IDs"
assert_contains "$(grep ^text "$home/log")" "text tea at"$'\n'"text four" "its text is the input"

evil='x; touch pwned $(touch pwned) `touch pwned` '"'"'"'
lab_as_user a sh -c 'mkdir -p sub/dir; echo 1 >sub/dir/f; echo 2 >"$1"; echo 3 >--help
	ntm send ./--help sub/ "$1" bob' sh "$evil" >"$LAB/out"
commands 2
assert_eq "$(grep ^arg "$home/log")" "arg $home/got/--help
arg $home/got/sub
arg $home/got/$evil" "files: absolute paths, in order, each one argument"
[ -z "$(find "$home" -name pwned)" ] || not_ok "a name was run as a command"
assert_contains "$(cat "$home/log")" "files 3" "and how many"
assert_eq "$(cat "$home/got/sub/dir/f")" 1 "they are there before the command runs"

# ntm-post dies under it: nobody notices
kill -KILL "$(lab_pids b ntm-post)"
items_text a bob again
commands 3
ok "ntm-post is killed, --follow goes on"

# --- a command that fails, and one that takes ntm with it

lab_as_user b touch fail
lab_as_user a sh -c 'echo 1 >one; echo 2 >two; ntm send one ./two bob' >"$LAB/out"
commands 4
wait_for 5 "grep -q ': the command ended with status 7; the item stays' $(lab_log follow)" \
	"cat $(lab_log follow)"
assert_eq "$(items_count b inbox here)" 1 "a command that fails: the item stays"
# others come meanwhile: it is not run at each of them, but after 10 s
first=$(date +%s)
: >"$home/log"
for n in 1 2 3; do
	items_text a bob "and on"
	commands $n
done
assert_eq "$(grep -c ^arg "$home/log" || :)" 0 "what others send does not have it run again"
lab_as_user b rm fail
: >"$home/log"
commands 1
assert_between "$(($(date +%s) - first))" 8 14 "seconds until it is run again"
assert_contains "$(cat "$home/log")" "arg $home/got/one
arg $home/got/two" "and is handed to it again, with all of its files"
wait_for 5 '[ "$(items_count b inbox here)" = 0 ]' 'lab_as_user b ntm inbox'
ok "then it is taken"
# a name that is in use: said once, and the others go on
lab_as_user a sh -c 'ntm send one bob' >"$LAB/out"
wait_for 10 "grep -q 'got/one exists; it was left as it is: ' $(lab_log follow)" "cat $(lab_log follow)"
items_text a bob "after it"
commands 2
assert_eq "$(grep -c 'got/one exists' "$(lab_log follow)")" 1 "a name in use is said once"
lab_stop follow
lab_as_user b ntm receive --to=got --overwrite >"$LAB/out"

: >"$home/log"
lab_as_user b touch die
lab_as_user a sh -c 'echo 1 >three; echo 2 >four; ntm send three ./four bob' >"$LAB/out"
items_here b 1
status=0
lab_as_user b ntm receive --to=got --on-receive='exec ./cmd "$@"' >"$LAB/out" 2>&1 || status=$?
assert_eq "$status" 137 "ntm is killed by then"
status=0
lab_as_user b ntm receive --to=got --on-receive='exec ./cmd "$@"' >"$LAB/out" 2>&1 || status=$?
assert_eq "$status" 0 "the next one"
assert_eq "$(grep ^arg "$home/log" | sort | uniq -c | awk '{ print $1, $3 }')" \
	"2 $home/got/four
2 $home/got/three" "hands all of it over again, and places nothing twice"
assert_eq "$(items_count b inbox here)" 0 "and takes it"

# --- two at once: the second would hand the item to its command, too, or undo a copy

lab_as_user a sh -c 'echo 1 >five; ntm send five bob' >"$LAB/out"
items_here b 1
lab_as_user b touch hold
# as of a parent that ignores how its children end
lab_start first user b env --ignore-signal=CHLD ntm receive --to=got \
	--on-receive='touch begun; while [ -e hold ]; do sleep 0.1; done'
wait_for 10 "[ -e $home/begun ]" "cat $(lab_log first)"
assert_fails "a second \`ntm receive\` is refused" lab_as_user b ntm receive --to=got
assert_contains "$(cat "$LAB/log/assert_fails")" "another program is taking it" "and says why"
lab_as_user b rm hold
lab_join first
assert_eq "$(items_count b inbox here)" 0 "the first one takes the item"
assert_eq "$(lab_as_user b cat got/five)" 1 "and has placed it"

# --- JSON

items_text a bob "for a script"
items_here b 1
assert_eq "$(lab_as_user b ntm receive --json | jq -r '.text, .from')" "for a script
$A" "a text as JSON"
lab_as_user a sh -c 'ntm send one bob' >"$LAB/out"
items_here b 1
assert_eq "$(lab_as_user b ntm receive --json | jq -r '.placed[0]')" "$home/one" "a file as JSON"
assert_eq "$(lab_as_user b ntm receive --json)" "" "nothing is no line"

# --- held until asked for; interrupted three ways

lab_as_user b ntm allow -r alice >"$LAB/out"
head -c 120000000 /dev/urandom >"$(lab_home a)/big"
lab_give "$(lab_home a)/big"
lab_as_user a ntm send big bob >"$LAB/out"
wait_for 20 '[ "$(items_count b inbox held)" = 1 ]' 'lab_as_user b ntm inbox'
number=$(lab_as_user b ntm inbox --json | jq '.items[0].id')
assert_contains "$(lab_as_user b ntm inbox --json | jq -r '.items[0].text')" "ntm receive" \
	"what is held says how to get it"
status=0
lab_as_user b "$LAB_SRC/tests/lab/terminal.py" --say '[1-9]%=\x03' ntm receive "$number" \
	>"$LAB/out" || status=$?
assert_eq "$status" 130 "Ctrl-C ends the waiting"
assert_contains "$(cat "$LAB/out")" "comes by itself; \`ntm inbox\` shows it" "and says what becomes of it"
kill -KILL "$(lab_pids b ntm-post)"
kill -KILL "$(ntm_worker b)"
lab_as_user b ntm receive --to=got "$number" >"$LAB/out" 2>&1 || not_ok "$(cat "$LAB/out")"
cmp "$(lab_home a)/big" "$home/got/big"
ok "and ntm-post and the worker killed: the next \`ntm receive\` has it whole"

# --- what nobody wants

items_text a bob "an offer"
wait_for 20 '[ "$(items_count b inbox held)" = 1 ]' 'lab_as_user b ntm inbox'
number=$(items_newest b inbox .id)
assert_eq "$(lab_as_user b ntm drop "$number")" "item $number is dropped" "an item is dropped"
assert_eq "$(lab_as_user b ntm inbox --json | jq '.items | length')" 0 "and listed no more"
items_await a outbox '.to[0] | "\(.state) \(.error)"' "refused DECLINED"
assert_contains "$(lab_as_user a ntm outbox)" "who it is for does not want it" "its sender sees why"
assert_eq "$(lab_as_user b ntm drop --json "$number" | jq -r .error)" NOTFOUND "once is enough"

# --- ntm-post that has yet to be started, for which there is no socket

lab_as_user b sh -c 'cd "$XDG_RUNTIME_DIR/ntm" && mv post.sock aside'
lab_start waits user b "$LAB_SRC/tests/lab/terminal.py" ntm inbox
wait_for 10 "grep -q 'ntm-post is starting' '$(lab_log waits)'" "cat '$(lab_log waits)'"
lab_as_user b sh -c 'cd "$XDG_RUNTIME_DIR/ntm" && mv aside post.sock'
lab_join waits
assert_contains "$(cat "$(lab_log waits)")" "nothing is there" "ntm-post is waited for"

# --- and the broker's end

lab_start follow user b ntm receive --follow
wait_for 5 '[ "$(lab_pids b ntm)" ]'
lab_as_user b ntm down >"$LAB/out"
wait_for 10 "grep -q 'no broker is running' $(lab_log follow)" "cat $(lab_log follow)"
ok "--follow says that the broker has ended"
