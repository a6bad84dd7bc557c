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

# server_disk ROLE SIZE: a disk of its own for what the role at host server keeps, so large
# (as mount says it) and empty but for its certificate; the server is started again
server_disk()
{
	local kept dir
	dir=$(server_dir server)/$1
	kept=$dir.kept
	lab_stop server-server
	mv "$dir" "$kept"
	lab_as_user server mkdir "$dir"
	lab_root server mount -t tmpfs -o "size=$2,mode=700" disk "$dir"
	[ "$LAB_MODE" != root ] || lab_root server chown "$LAB_UID:$LAB_GID" "$dir"
	lab_as_user server cp "$kept/server.key" "$kept/server.der" "$dir"
	ntm_server_start server
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

# role_bears ROLE SESSION COUNT [WORD...]: so many connections of exchange.py's `many` (with
# those words) from host a to the role at host server: some thousand stand, memory stays
# bounded, all is given back, and the role is the same process
role_bears()
{
	local role=$1 session=$2 count=$3 worker before memory hold
	worker=$(server_role server "$role")
	before=$(descriptors "$worker") memory=$(anon "$worker")
	mkfifo "$LAB/hold"
	lab_start many root a sh -c "/usr/bin/python3 '$LAB_SRC/tests/e2e/exchange.py' \
		many '$session' '$(server_dir server)' 10.1.0.2 $count ${*:4} <'$LAB/hold'"
	exec {hold}>"$LAB/hold"
	wait_for 60 'grep -q ^ok "$(lab_log many)"' 'cat "$(lab_log many)"'
	echo "# $(cat "$(lab_log many)")"
	assert_between "$(sed -n 's/^held //p' "$(lab_log many)")" 1000 "$count" \
		"connections that stand at the end"
	assert_between "$(anon "$worker")" 0 $((memory + 700000)) \
		"memory of the $role, KiB (before: $memory)"
	exec {hold}>&-
	lab_join many
	wait_for 30 "[ \$(descriptors $worker) -le $((before + 16)) ]" \
		"ls /proc/$worker/fd | wc -l"
	ok "all is given back"
	assert_eq "$(server_role server "$role")" "$worker" "it has not died"
}
