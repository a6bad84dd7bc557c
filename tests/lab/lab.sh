# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lab.sh - hosts, networks, links and assertions for the tests in tests/e2e
#
# A test starts with
#
#	#!/bin/bash
#	# NNN-name - the one behaviour it proves
#	. "$(dirname "$0")/../lab/lab.sh"
#
# and thereby starts again inside a lab (see tests/lab/enter), as root of
# namespaces that vanish with it.  It then builds a topology:
#
#	lab_net home; lab_net cafe		two switches
#	lab_router r				a router, linked first
#	lab_link r home 10.1.0.1/24 2001:db8:1::1/64
#	lab_link r cafe 10.2.0.1/24 2001:db8:2::1/64
#	lab_host a; lab_host b
#	lab_link a home 10.1.0.2/24 2001:db8:1::2/64 5	5 ms each way
#	lab_link b cafe 10.2.0.3/24 2001:db8:2::3/64 5	so a-b-a takes 20 ms
#	lab_as_user a curl http://10.2.0.3/
#	lab_move a cafe 10.2.0.2/24 2001:db8:2::2/64
#
# Every statement that fails ends the test with `not ok`; a test that proves
# nothing fails.  Wait with wait_for, never with sleep.
#
# Each host has its own network, mount and UTS namespace, its own /etc/hosts,
# resolv.conf and passwd, and for the ordinary user its own HOME, XDG folders and
# /run/user/UID.  Processes and /tmp are shared by all hosts of a lab.

if [ -z "${LAB_INSIDE-}" ]; then
	exec "$(dirname "${BASH_SOURCE[0]}")/enter" "$0" "$@"
fi
set -Eeuo pipefail
umask 022

LAB_OTHER_UID=65533		# "another local user"
LAB_WIRE=$LAB_O/tests/lab/wire
LAB_OKS=0			# what this test has proved so far
LAB_ENDED=			# set once the verdict is printed
declare -A LAB_GW4=() LAB_GW6=() LAB_LINKS=() LAB_ROUTER=() LAB_PORT=() \
	LAB_PORT_NET=() LAB_PID=() LAB_HOLDER=() LAB_FILTER=()
LAB_NHOSTS=0
# Verdicts go where the test's output went at its start: the function that fails
# may have been called with another.
exec {LAB_OUT}>&1
# Reading from this never succeeds: a sleep without a process.
exec {LAB_NEVER}<> <(:)

# --- verdicts ----------------------------------------------------------------

# ok TEXT: one thing is proved.
ok()
{
	LAB_OKS=$((LAB_OKS + 1))
	echo "ok - $*"
}

# not_ok TEXT: ends the test.
not_ok()
{
	LAB_ENDED=1
	echo "not ok - $*" >&"$LAB_OUT"
	lab_diag >&"$LAB_OUT" 2>&1
	exit 1
}

# lab_skip REASON: ends the test, neither passed nor failed.
lab_skip()
{
	LAB_ENDED=1
	echo "ok - # SKIP $*"
	exit 77
}

# What a person wants to see after a failure.
lab_diag()
{
	local host log
	set +e
	for host in "${!LAB_LINKS[@]}"; do
		echo "# host $host:"
		ip -n "$host" -br addr | sed 's/^/#   /'
	done
	echo "# processes:"
	ps -eo pid,uid,stat,args | grep -v -e '\<ps -eo' -e '\] *$' |
		sed 's/^/#   /'
	for log in "$LAB"/log/*; do
		[ -s "$log" ] || continue
		echo "# last lines of ${log##*/}:"
		tail -n 15 "$log" | sed 's/^/#   /'
	done
	set -e
}

lab__err()
{
	local status=$?
	[ "$BASHPID" = $$ ] || exit $status
	[ -z "$LAB_ENDED" ] || exit $status
	not_ok "line ${BASH_LINENO[0]}: status $status from: $BASH_COMMAND"
}

lab__exit()
{
	local status=$?
	[ "$BASHPID" = $$ ] || return 0
	if [ -z "$LAB_ENDED" ] && [ $status = 0 ] && [ $LAB_OKS = 0 ]; then
		echo "not ok - the test ended without having proved anything"
		exit 1
	elif [ -z "$LAB_ENDED" ] && [ $status != 0 ]; then
		echo "not ok - ended with status $status" >&"$LAB_OUT"
		lab_diag >&"$LAB_OUT" 2>&1
	fi
	[ $status != 0 ] || echo "1..$LAB_OKS"
}
trap lab__err ERR
trap lab__exit EXIT

# assert_eq GOT WANTED TEXT
assert_eq()
{
	[ "$1" = "$2" ] || not_ok "$3: got '${1:0:500}', wanted '${2:0:500}'"
	ok "$3"
}

assert_ne()
{
	[ "$1" != "$2" ] || not_ok "$3: got '${1:0:500}', which it must not be"
	ok "$3"
}

# assert_contains HAYSTACK NEEDLE TEXT
assert_contains()
{
	[[ $1 == *"$2"* ]] || not_ok "$3: '$2' is not in '${1:0:2000}'"
	ok "$3"
}

assert_lacks()
{
	[[ $1 != *"$2"* ]] || not_ok "$3: '$2' is in '${1:0:2000}'"
	ok "$3"
}

# assert_between GOT LOW HIGH TEXT: numbers, fractions too.
assert_between()
{
	awk -v g="$1" -v l="$2" -v h="$3" 'BEGIN { exit !(g >= l && g <= h) }' ||
		not_ok "$4: got $1, wanted $2 to $3"
	ok "$4 ($1)"
}

# assert_fails TEXT COMMAND...: the command must not succeed.
assert_fails()
{
	local text=$1
	shift
	if "$@" >"$LAB/log/assert_fails" 2>&1; then
		not_ok "$text: '$*' succeeded"
	fi
	ok "$text"
}

# wait_for SECONDS 'CONDITION' ['DIAGNOSTIC']: evaluate the condition every 20 ms
# until it holds.  LAB_SLOW stretches the time, for builds with sanitizers.
wait_for()
{
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000 * LAB_SLOW))
	until eval "$2" >"$LAB/log/wait_for" 2>&1; do
		if [ "${EPOCHREALTIME/./}" -gt "$end" ]; then
			[ -z "${3-}" ] || eval "$3" 2>&1 | sed 's/^/# /' || :
			not_ok "waited $1 s in vain for: $2"
		fi
		read -r -t 0.02 -u "$LAB_NEVER" || :
	done
}

# Milliseconds since $1, a value of lab_now.
lab_now()
{
	echo "${EPOCHREALTIME/./}"
}

lab_ms_since()
{
	echo $(((${EPOCHREALTIME/./} - $1) / 1000))
}

# --- hosts ---------------------------------------------------------------------

lab__namespaces()
{
	LAB_NS=(nsenter --target "${LAB_HOLDER[$1]}" --net --mount --uts)
}

# Runs inside the new namespaces of a host; its mounts stay there.
lab__host_mounts()
{
	local dir=$LAB/hosts/$1 file uid
	hostname "$1"
	mount -t sysfs sysfs /sys
	for file in hosts resolv.conf passwd group; do
		mount --bind "$dir/etc/$file" "/etc/$file"
	done
	for uid in "$LAB_UID" $LAB_OTHER_UID; do
		mkdir -p "/run/user/$uid"
		mount --bind "$dir/run-$uid" "/run/user/$uid"
	done
	ip link set lo up
	# As Debian has it: everyone may ping.  (Ids must be mapped here.)
	cd /proc/sys/net/ipv4
	echo 0 2147483647 >ping_group_range 2>/dev/null ||
		echo 0 0 >ping_group_range
	cd /proc/sys/net/ipv6/conf
	for file in all default; do
		echo 0 >$file/accept_dad
		echo 0 >$file/accept_ra
		echo 0 >$file/router_solicitations
	done
}

# Make the namespaces of a host and a process to hold them.  (A mount namespace
# cannot always be kept by a bind mount: Linux 6.18 numbers namespaces per CPU and
# refuses one whose number is below ours.)
lab__host_namespaces()
{
	local dir=$LAB/hosts/$1 answer=
	mkfifo "$dir/made"
	(
		trap - ERR EXIT
		exec unshare --net --mount --uts bash -ec "
			$(declare -f lab__host_mounts)
			lab__host_mounts $1
			echo made
			exec -a host-$1 sleep infinity >/dev/null" >"$dir/made"
	) &
	LAB_HOLDER[$1]=$!
	read -r answer <"$dir/made" || :
	[ "$answer" = made ] || not_ok "host $1 could not be made"
	rm "$dir/made"
	touch "/run/netns/$1"
	mount --bind "/proc/${LAB_HOLDER[$1]}/ns/net" "/run/netns/$1"
}

# lab_host NAME: a machine without links.
lab_host()
{
	local dir=$LAB/hosts/$1 uid
	[ ${#1} -le 10 ] || not_ok "host name longer than 10: $1"
	mkdir -p "$dir/etc" "$dir/home" "$dir/other-home"
	printf '127.0.0.1 localhost %s\n::1 localhost\n' "$1" >"$dir/etc/hosts"
	: >"$dir/etc/resolv.conf"
	cat >"$dir/etc/passwd" <<-END
	root:x:0:0:root:/root:/bin/bash
	sshd:x:104:65534::/run/sshd:/usr/sbin/nologin
	other:x:$LAB_OTHER_UID:$LAB_OTHER_UID:other:$dir/other-home:/bin/bash
	user:x:$LAB_UID:$LAB_GID:user:$dir/home:/bin/bash
	END
	cat >"$dir/etc/group" <<-END
	root:x:0:
	tty:x:5:
	other:x:$LAB_OTHER_UID:
	user:x:$LAB_GID:
	END
	for uid in "$LAB_UID" $LAB_OTHER_UID; do
		mkdir -p "$dir/run-$uid" "/run/user/$uid"
		chmod 700 "$dir/run-$uid"
	done
	chmod 700 "$dir/home" "$dir/other-home"
	lab__own "$LAB_UID" "$LAB_GID" "$dir/home" "$dir/run-$LAB_UID"
	if lab_have_other_user; then
		lab__own $LAB_OTHER_UID $LAB_OTHER_UID "$dir/other-home" \
			"$dir/run-$LAB_OTHER_UID"
	fi
	lab__host_namespaces "$1"
	LAB_NHOSTS=$((LAB_NHOSTS + 1))
	LAB_LINKS[$1]=0
	echo "$LAB_NHOSTS" >"$dir/number"
}

# As root, files change hands; in a user namespace they are the user's already.
lab__own()
{
	local uid=$1 gid=$2
	shift 2
	if [ "$LAB_MODE" = root ] || [ "$uid" != "$LAB_UID" ]; then
		chown "$uid:$gid" "$@"
	fi
}

# Is there a second uid to be "another local user"?
lab_have_other_user()
{
	[ "$LAB_MODE" = root ] || [ -n "${LAB_AUTO-}" ]
}

# lab_root HOST COMMAND...: as the lab's root, in the host.
lab_root()
{
	lab__namespaces "$1"
	shift
	"${LAB_NS[@]}" "$@"
}

# Sets LAB_CMD to the words that make a command the user's on a host.
lab__user_words()
{
	local host=$1 uid=$2 gid=$3 name=$4 home=$5 var
	lab__namespaces "$host"
	LAB_CMD=("${LAB_NS[@]}")
	if [ "$LAB_MODE" = user ] && [ "$uid" = "$LAB_UID" ]; then
		LAB_CMD+=(unshare --user --map-user="$uid" --map-group="$gid")
	else
		LAB_CMD+=(setpriv --reuid="$uid" --regid="$gid" --clear-groups
			--inh-caps=-all)
	fi
	LAB_CMD+=(env -i -C "$home" --default-signal=INT,QUIT,PIPE
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
		USER="$name" LOGNAME="$name" HOME="$home" SHELL=/bin/bash
		LANG=C.UTF-8 TERM="$TERM" XDG_RUNTIME_DIR="/run/user/$uid"
		XDG_CONFIG_HOME="$home/.config" XDG_CACHE_HOME="$home/.cache"
		XDG_DATA_HOME="$home/.local/share"
		XDG_STATE_HOME="$home/.local/state")
	for var in ASAN_OPTIONS UBSAN_OPTIONS; do
		[ -z "${!var-}" ] || LAB_CMD+=("$var=${!var}")
	done
}

lab__words()
{
	case $1 in
	user)	lab__user_words "$2" "$LAB_UID" "$LAB_GID" user \
			"$LAB/hosts/$2/home" ;;
	other)	lab_have_other_user || lab_skip "there is no second uid here"
		lab__user_words "$2" $LAB_OTHER_UID $LAB_OTHER_UID other \
			"$LAB/hosts/$2/other-home" ;;
	root)	lab__namespaces "$2"
		LAB_CMD=("${LAB_NS[@]}" env --default-signal=INT,QUIT,PIPE) ;;
	*)	not_ok "who is '$1'?" ;;
	esac
}

# lab_as_user HOST COMMAND...: as the ordinary user, in that user's HOME.
# More environment: lab_as_user a env NAME=VALUE COMMAND...
lab_as_user()
{
	lab__words user "$1"
	shift
	"${LAB_CMD[@]}" "$@"
}

# lab_as_other_user HOST COMMAND...: as another, equally ordinary, user.
lab_as_other_user()
{
	lab__words other "$1"
	shift
	"${LAB_CMD[@]}" "$@"
}

# lab_home HOST: the ordinary user's home folder there.
lab_home()
{
	echo "$LAB/hosts/$1/home"
}

# lab_give FILE...: hand files over to the ordinary user.
lab_give()
{
	lab__own "$LAB_UID" "$LAB_GID" "$@"
}

# lab_start NAME user|other|root HOST COMMAND...: in the background; its output
# goes to $LAB/log/NAME, its pid to ${LAB_PID[NAME]} (the program's own).
lab_start()
{
	local name=$1
	lab__words "$2" "$3"
	shift 3
	: >"$LAB/log/$name"
	(
		trap - ERR EXIT
		exec "${LAB_CMD[@]}" "$@" </dev/null >>"$LAB/log/$name" 2>&1
	) &
	LAB_PID[$name]=$!
}

# lab_log NAME: where its output is.
lab_log()
{
	echo "$LAB/log/$1"
}

# lab_stop NAME [SIGNAL]: end it, wait for it.
lab_stop()
{
	local pid=${LAB_PID[$1]}
	kill -"${2:-TERM}" "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	unset "LAB_PID[$1]"
}

# lab_join NAME: wait for its own end; its exit status is ours.
lab_join()
{
	local pid=${LAB_PID[$1]} status=0
	unset "LAB_PID[$1]"
	wait "$pid" || status=$?
	return $status
}

lab_running()
{
	kill -0 "${LAB_PID[$1]}" 2>/dev/null
}

# lab_names HOST LINE...: append lines to the host's /etc/hosts.
lab_names()
{
	local host=$1
	shift
	printf '%s\n' "$@" >>"$LAB/hosts/$host/etc/hosts"
}

# lab_resolver HOST ADDRESS...: the host's resolv.conf.
lab_resolver()
{
	local host=$1
	shift
	printf 'nameserver %s\n' "$@" >"$LAB/hosts/$host/etc/resolv.conf"
}

# lab_keep FILE [NAME]: copy a file to $(O)/log, where it survives the lab.
lab_keep()
{
	local to=$LAB_O/log/${LAB_TEST:-lab}.${2:-${1##*/}}
	mkdir -p "$LAB_O/log"
	cp "$1" "$to"
	[ "$LAB_MODE" != root ] || chown --reference="$LAB_O" "$to"
}

# lab_unit PROGRAM ARGUMENT...: a unit test as the ordinary user on a lone host.
lab_unit()
{
	LAB_ENDED=1
	trap - ERR EXIT
	lab_host unit
	lab__words user unit
	exec "${LAB_CMD[@]}" env -C "$LAB_SRC" O="$LAB_O" LAB_SRC="$LAB_SRC" \
		NTM_SAN="$NTM_SAN" "$@"
}

. "$LAB_SRC/tests/lab/net.sh"
. "$LAB_SRC/tests/lab/nat.sh"
