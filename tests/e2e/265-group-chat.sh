#!/bin/bash
# SPDX-License-Identifier: MIT
# 265-group-chat - members talk: at once, to who is away, a file; who has read; nothing of
# before for who joins, nothing of later for who was removed; sealed on the disk; declined
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.alice c=phone.bob	# bob: nobody has allowed him anything
A=${NTM_NAME[a]}
B=${NTM_NAME[b]}
C=${NTM_NAME[c]}

# history HOST FILTER: of all that is there, in order
history()
{
	group "$1" history band --json | jq -r "$2"
}

# has HOST TEXT: has it come?
has()
{
	history "$1" .text | grep -qxF "$2"
}

# hears SECONDS HOST TEXT
hears()
{
	wait_for "$1" "has $2 '$3'" "group $2 history band; tail -n 30 $(state_dir "$2")/broker.log"
}

# says HOST TEXT
says()
{
	group "$1" send band <<<"$2" >"$LAB/out" 2>&1 ||
		not_ok "$1 cannot say '$2': $(cat "$LAB/out")"
}

group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
says a "to nobody"
group_joins b band a "$B"
group_in 30 b band 2
group_in 10 a band 2

says a "good morning"
hears 20 b "good morning"
assert_eq "$(history b .text)" "good morning" "who joins sees nothing of before"
assert_eq "$(history b .from)" "$A" "and who said it"
assert_eq "$(history a '"\(.text) \(.to) \(.read | length)"' | tail -n 1)" \
	"good morning 1 0" "nobody has read it"
assert_contains "$(group b chat --once)" "good morning" "chat --once shows it"
assert_eq "$(group b chat --once)" "" "once"
wait_for 20 "[ \"\$(history a 'select(.text == \"good morning\") | .read[]')\" = $B ]" \
	"group a history band"
ok "the author hears who has read it"

# lines in, lines out
lab_start listens user a ntm-group chat band --listen
printf 'one\n\033[2Jtwo\n' | lab_as_user b ntm-group chat band >"$LAB/out" 2>&1 ||
	not_ok "chat: $(cat "$LAB/out")"
wait_for 20 "grep -q 'desk.alice.*two' $(lab_log listens)" "cat $(lab_log listens)"
assert_contains "$(cat "$(lab_log listens)")" "$B: one" "lines come at once"
! grep -q $'\033' "$(lab_log listens)" || not_ok "control characters reach the terminal"
ok "control characters do not"

# on a terminal: what comes stands above the line that is written, which stays
cat >"$(lab_home b)/terminal.py" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execlp("ntm-group", "ntm-group", "chat", "band")
seen = b""
def until(text):
    global seen
    while text not in seen:
        seen += os.read(fd, 4096)
    before, _, seen = seen.partition(text)
    return before
until(b"> ")
os.write(fd, b"half")
until(b"half")
print("typed", flush=True)
until(b"in between")
until(b"> half")
os.write(fd, b" a line\r")
until(b"> ")
state = b""
while b"read by" not in state: # it waits to be sent at first
    os.write(fd, b"/read\r")
    until(b"half a line")
    state = until(b"\n")
    until(b"> ")
os.write(fd, b"\x04")
print("ended", os.waitpid(pid, 0)[1], flush=True)
END
lab_start terminal user b env TERM=xterm /usr/bin/python3 "$(lab_home b)/terminal.py"
wait_for 10 "grep -q typed $(lab_log terminal)" "cat $(lab_log terminal)"
says a "in between"
wait_for 20 "grep -q 'ended 0' $(lab_log terminal)" "cat $(lab_log terminal)"
hears 20 a "half a line"

# the third declines at first; then comes in
lab_as_user c ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
group a invite band "$C" >"$LAB/out" 2>&1 || not_ok "$C cannot be invited"
group_invited 30 c band
group c decline band >"$LAB/out"
wait_for 20 "group a list | grep -q '$C has declined'" "group a list"
ok "the inviter hears that it has declined"
group a invite band "$C" >"$LAB/out" 2>&1 || not_ok "$C cannot be invited again"
group_invited 30 c band
group c accept band >"$LAB/out"
group_in 40 c band 3
group_in 20 a band 3
assert_eq "$(history c .text)" "" "who joins later has nothing"

says c "hello from the third"	# whom the others have not allowed anything
hears 20 a "hello from the third"
hears 20 b "hello from the third"

# away
lab_as_user c ntm down >"$LAB/out"
says a "while you were away"
lab_as_user a sh -c 'cd && head -c 300000 /dev/urandom >picture.jpg'
lab_as_user a sh -c 'cd && ntm-group send band picture.jpg' >"$LAB/out" 2>&1 ||
	not_ok "no file: $(cat "$LAB/out")"
hears 20 b "picture.jpg"
ntm_up c
ntm_wait_online c
hears 40 c "while you were away"
hears 20 c "picture.jpg"
wait_for 20 "lab_as_user c ntm inbox | grep -q picture.jpg" "lab_as_user c ntm inbox"
ok "the file is there, too"

# removed
group a remove band "$C" >"$LAB/out" 2>&1 || not_ok "not removed: $(cat "$LAB/out")"
group_in 20 a band 2
wait_for 20 "! group c status band >/dev/null 2>&1" "group c status band"
says a "without you"
hears 20 b "without you"
assert_eq "$(group c history band 2>/dev/null)" "" "who is removed keeps nothing"
! lab_as_user c ntm inbox --json --application=all | grep -q ntm-group || not_ok "and something has come"
ok "and gets nothing"

for h in a b c; do
	! grep -qaE 'good morning|without you' "$(state_dir $h)"/member/chat.db* ||
		not_ok "$h keeps it open on its disk"
done
ok "what was said is sealed on the disk"
assert_eq "$(history a .text | tail -n +2)" "$(history b .text)" "one order for all"

# a file, or something in a folder, that may not be read is not said to be sent
lab_as_user a sh -c 'mkdir -p folder; echo x >folder/x; echo y >folder/y; chmod 0 folder/y'
for f in folder folder/y; do
	refused "$f may not be read" "folder/y: it may not be read" group a send band $f
done
