# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# faults.sh - how things fail: attempts and their sentences, clocks, memory
#
# After lab.sh and ntm.sh.

DAY_S=86400
# How much a process may hold more after an attack than before, in KiB; what is
# freed under the address sanitizer stays for a while.
GROWTH=1024
[ -z "$NTM_SAN" ] || GROWTH=300000

# refused TEXT SENTENCE COMMAND...: it must fail and say that.
refused()
{
	local text=$1 sentence=$2 out
	shift 2
	if out=$("$@" 2>&1); then
		not_ok "$text: '$*' succeeded: '${out:0:500}'"
	fi
	assert_contains "$out" "$sentence" "$text: ${out##*$'\n'}"
}

# within SECONDS TEXT COMMAND...: it succeeds, and in time
within()
{
	local most=$1 text=$2 start
	shift 2
	start=$(lab_now)
	"$@"
	assert_between "$(lab_ms_since "$start")" 0 $((most * 1000 * LAB_SLOW)) \
		"$text: ms"
}

# try_login HOST PASSWORD ACCOUNT DEVICE [OPTION...]: with the last join string
try_login()
{
	local host=$1 password=$2 account=$3 device=$4
	shift 4
	printf '%s\n' "$password" | lab_as_user "$host" ntm login \
		--password-stdin -y --device="$device" "$@" \
		"${NTM_JOIN[$NTM_DOMAIN]}" "$account"
}

# ask_error TEXT WANTED MAX_MS HOST KIND FAMILY NAME PORT: how a program's attempt
# (peername.py ask) fails, and how soon
ask_error()
{
	local text=$1 wanted=$2 most=$3 start got
	shift 3
	start=$(lab_now)
	if got=$(ntm_ask "$@" 2>&1); then
		not_ok "$text: answered '$got'"
	fi
	assert_between "$(lab_ms_since "$start")" 0 $((most * LAB_SLOW)) \
		"$text: ms"
	assert_contains "$got" "$wanted" "$text: $got"
}

# server_set HOST [SECTION.]KEY=VALUE...: in the server's configuration, in every section
# that has the key if none is named; it starts anew
server_set()
{
	local host=$1 pair section conf
	conf=$(server_dir "$host")/ntm-server.conf
	shift
	lab_stop "server-$host"
	for pair; do
		section=''
		[[ ${pair%%=*} != *.* ]] ||
			section="/^\\[${pair%%.*}\\]/,/^\\[/" pair=${pair#*.}
		sed -i "${section}s|^#\\?${pair%%=*} =.*|${pair%%=*} = ${pair#*=}|" \
			"$conf"
		grep -qxF "${pair%%=*} = ${pair#*=}" "$conf"
	done
	ntm_server_start "$host"
}

server_dir()
{
	echo "$(lab_home "$1")/.local/share/ntm-server"
}

state_dir()
{
	echo "$(lab_home "$1")/.local/state/ntm"
}

# server_role HOST ROLE: pid of that role's process
server_role()
{
	sed -n "s/.*\\<$2: started, process \\([0-9]*\\).*/\\1/p" \
		"$(lab_log "server-$1")" | tail -n 1
}

# with_clock SECONDS: sets CLOCK to the words that run a command with a wall clock
# that is wrong by so much; the clock that measures intervals stays as it is
with_clock()
{
	CLOCK=(env LD_PRELOAD="$LAB_O/tests/e2e/wrongclock.so"
		NTM_WRONG_CLOCK="$1")
	[ -z "$NTM_SAN" ] || CLOCK+=(
		ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0")
}

# anon PID...: the memory of each that is its own, in KiB, one a line
anon()
{
	local pid
	for pid; do
		sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"
	done
}

# descriptors PID: how many it has open
descriptors()
{
	ls "/proc/$1/fd" | wc -l
}

# cpu_ms PID: processor time it has used, and idle PID...: none spins
cpu_ms()
{
	awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"
}
idle()
{
	local pid was
	for pid; do
		was=$(cpu_ms "$pid")
		read -r -t 1 -u "$LAB_NEVER" || :
		assert_between $(($(cpu_ms "$pid") - was)) 0 300 \
			"ms of processor time in a second, process $pid"
	done
}

# server_status HOST PATH: a value of `ntm-server status --json`
server_status()
{
	lab_as_user "$1" ntm-server status --json | tr -d '\n' | json "$2"
}
