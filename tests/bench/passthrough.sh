#!/bin/bash
# SPDX-License-Identifier: MIT
# passthrough - ns that the shim adds to a hooked call on a foreign address, and the
#               system calls it adds, with a broker's page mapped
. "$(dirname "$0")/bench.sh"

shim=$LAB_O/lib/libntm.so
run="$BENCH_TOOLS/passthrough"
broker=$LAB_O/tests/preload/fakebroker
d=$LAB/passthrough
mkdir -p "$d"

for ((round = 0; round < BENCH_ROUNDS; round++)); do
	"$broker" good "" "$run" >"$d/plain.$round"
	"$broker" good "$shim" "$run" >"$d/shim.$round"
done

# column KIND NAME COLUMN: the median over the rounds
column()
{
	cat "$d/$1".* | awk -v n="$2" -v c="$3" '$1 == n { print $c }' >"$d/column"
	median "$d/column"
}
while read -r name _; do
	figure "passthrough.$name" "$(column shim "$name" 3)" ns "<=" 10
	note "passthrough.$name: libc's takes $(column shim "$name" 2) ns;" \
		"without the shim this shows $(column plain "$name" 3) ns"
done <"$d/shim.0"

# calls PRELOAD: names of the system calls between the marks
calls()
{
	"$broker" good "$1" strace -o "$d/trace" "$run" once >/dev/null
	sed -n '/mark-begin/,/mark-end/p' "$d/trace" | sed 's/(.*//'
}
calls "" >"$d/calls-plain"
calls "$shim" >"$d/calls-shim"
[ "$(wc -l <"$d/calls-plain")" -ge 12 ] || not_ok "strace shows no calls"
figure passthrough.system-calls \
	"$(diff "$d/calls-plain" "$d/calls-shim" | grep -c '^>' || true)" \
	calls "<=" 0
ok "measured"
