#!/bin/bash
# SPDX-License-Identifier: MIT
# 199-items-library - a program built against the installed ntmclient.h and library sends
# and receives with IDs of its own: texts into memory, files into a folder, told by a
# descriptor that it polls. `ntm` shows its items, and takes one only by its number; the
# program takes none of `ntm`
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

command -v cc pkg-config >/dev/null || lab_skip "there is no compiler here"
items_pair
export PKG_CONFIG_PATH=/usr/local/lib/pkgconfig
# shellcheck disable=SC2046
cc -Wall -Wextra -Werror ${NTM_SAN:+-fsanitize=$NTM_SAN} -o "$LAB/notes" \
	/usr/local/share/doc/ntmobile/example-items.c $(pkg-config --cflags --libs ntmclient)
ok "the example compiles with what pkg-config says"
notes()
{
	local host=$1
	shift
	lab_as_user "$host" env LD_LIBRARY_PATH=/usr/local/lib "$LAB/notes" "$@"
}

assert_fails "without a login" notes c sent
assert_contains "$(cat "$LAB/log/assert_fails")" "no broker is running" "it says why"

# what is sent while nobody looks: message and IDs are there before it is taken
assert_eq "$(notes a send "$B" "tea at four")" "note 1 is on its way" "a text is sent"
items_here b 1
assert_eq "$(lab_as_user b ntm inbox --json |
	jq -r '.items[0] | "\(.application) \(.service) \(.message) \(.from)"')" \
	"org.example.notes note a note for you $A" "its IDs and its message"
assert_contains "$(lab_as_user b ntm inbox)" 'org.example.notes: a text: "a note for you"' \
	"ntm shows whose it is"
assert_eq "$(lab_as_user b ntm receive)" "nothing is here; see \`ntm inbox\`" "and leaves it there"
items_text a bob "of ntm"

lab_start follow user b ntm receive --follow
wait_for 10 "grep -qx 'of ntm' '$(lab_log follow)'" "cat '$(lab_log follow)'; lab_as_user b ntm inbox"
items_text a bob "of ntm again"
wait_for 10 "grep -q 'of ntm again' '$(lab_log follow)'" "cat '$(lab_log follow)'"
items_here b 1
lab_stop follow
ok "--follow takes what ntm sent, and leaves the note to its program"
lab_as_user b mkdir got
notes a send "$B" "for the person" >"$LAB/out"
items_here b 2
number=$(items_newest b inbox .id)
assert_eq "$(lab_as_user b ntm receive --to=got "$number")" got/text "by its number it is taken"
assert_eq "$(lab_as_user b cat got/text)" "for the person" "as a file"
items_text a bob "of ntm"

# the receiver polls
lab_start notes user b env LD_LIBRARY_PATH=/usr/local/lib "$LAB/notes" take got
wait_for 10 "grep -qF '$A (a note for you): tea at four' '$(lab_log notes)'" \
	"cat '$(lab_log notes)'; lab_as_user b ntm inbox"
ok "a text into memory"
lab_as_user a sh -c 'head -c 3000000 /dev/urandom >photo; echo old >x; mkdir dir; cp x dir'
lab_as_user b sh -c 'echo mine >got/photo'
notes a send "$B" ./photo >"$LAB/out"
wait_for 10 "grep -qF '$A sent $(lab_home b)/got/photo (2)' '$(lab_log notes)'" \
	"cat '$(lab_log notes)'; lab_as_user b ntm inbox"
cmp "$(lab_home a)/photo" "$(lab_home b)/got/photo (2)"
assert_eq "$(lab_as_user b cat got/photo)" mine "a file into a folder, beside what was there"
# ntm-post dies under it: it watches anew
kill -KILL "$(lab_pids b ntm-post)"
notes a send "$B" "and on" >"$LAB/out"
wait_for 20 "grep -qF ': and on' '$(lab_log notes)'" "cat '$(lab_log notes)'"
ok "ntm-post is killed, the program goes on"

wait_for 20 '[ "$(notes a sent | grep -c "$B: received")" = 4 ]' 'notes a sent'
ok "the outbox has who received it"
assert_eq "$(notes a sent | grep -c ': done')" 4 "and of this program's items alone"
items_here b 1
assert_eq "$(lab_as_user b ntm receive)" "of ntm" "what ntm sent was left to ntm"

# the mistakes of programs
assert_fails "a text that is too long" notes a send "$B" "$(head -c 70000 /dev/zero | tr '\0' x)"
assert_contains "$(cat "$LAB/log/assert_fails")" "65536 bytes" "it is said how long one may be"
assert_fails "a name that is none" notes a send bob text
assert_contains "$(cat "$LAB/log/assert_fails")" "device.account.domain" "it is said what a name is"
lab_as_user a ntm down >"$LAB/out"
assert_fails "the broker is gone" notes a sent
