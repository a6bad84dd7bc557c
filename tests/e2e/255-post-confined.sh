#!/bin/bash
# SPDX-License-Identifier: MIT
# 255-post-confined - ntm-post, which handles what others sent, is confined while it does;
# the desktop hears of it all the same, from a process that has nothing else
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_pair
home=$(lab_home b)
mkdir "$home/bin"
cat >"$home/bin/notify-send" <<-'END'
	#!/bin/sh
	for arg; do printf '%s\n' "[$arg]"; done >>"$HOME/said"
	echo "sockets $(readlink /proc/$$/fd/* | grep -c socket)" >>"$HOME/said"
END
chmod +x "$home/bin/notify-send"
lab_give "$home/bin" "$home/bin/notify-send"
lab_as_user b ntm down >"$LAB/out"
lab_as_user b env DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere \
	PATH="$home/bin:/usr/local/bin:/usr/bin:/bin" ntm up >"$LAB/out"
ntm_wait_online b

lab_as_user a sh -c 'echo x >"-a <b>&c"; ntm send "./-a <b>&c" bob' >"$LAB/out"
items_here b 1
wait_for 10 "grep -q sockets $home/said" "cat $home/said; tail -n 20 $(state_dir b)/broker.log"
assert_eq "$(head -n 4 "$home/said")" "[--app-name=ntm]
[--]
[Something came]
[-a &#60;b&#62;&#38;c from $A]" "the desktop is told: names are neither options nor markup"
assert_eq "$(tail -n 1 "$home/said")" "sockets 0" "with no descriptor of ours"

# field HOST NAME: of ntm-post's /proc/PID/status
field()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$(lab_pids "$1" ntm-post)/status"
}
lab_start follow user b ntm receive --follow --rename	# so that it stays
# a build with sanitizers leaves its calls alone
LISTS=$([ -z "$NTM_SAN" ] && echo 2 || echo 0)
wait_for 10 '[ "$(field b Seccomp)" = "$LISTS" ]' 'lab_pids b ntm-post'
ok "its system calls are limited"
assert_eq "$(field b NoNewPrivs)" 1 "it gains no privileges"
assert_contains "$(grep "core file" "/proc/$(lab_pids b ntm-post)/limits")" " 0 " "it leaves no dump"
assert_lacks "$(cat "$(state_dir b)/broker.log" "$(state_dir a)/broker.log")" \
	"ended by signal" "nothing it needs is refused deadly"
[ -n "$(lab_pids b ntm-desktop)" ] || not_ok "who speaks with the desktop?"
lab_as_user b ntm down >"$LAB/out"
wait_for 5 '[ -z "$(lab_pids b ntm-desktop)" ]'
ok "and the process that speaks with the desktop ends with it"
