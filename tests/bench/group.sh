#!/bin/bash
# SPDX-License-Identifier: MIT
# group - until all members have the new key; see tests/bench/group_load.c
set -eu
O=${O:-build}
dir=$(mktemp -d)
chmod 755 "$dir" # root gives the folder to an ordinary user
own=-n
[ "$(id -u)" = 0 ] || own=-rn
trap 'rm -rf "$dir"' EXIT
"$O/bin/ntm-server" init --dir "$dir/site" --domain example.org >/dev/null
# a network of its own, with as many addresses as members need: 256 have one
for n in ${N:-10 50 250 1000}; do
	rm -f "$dir"/site/gms/gms.db*
	unshare "$own" bash -c '
		ip link set lo up
		for i in 1 2 3 4 5; do ip addr add 10.0.0.$i/32 dev lo; done
		exec "$1/tests/bench/group_load" "$2" "$3" 10.0.0.{1,2,3,4,5}' \
		bash "$O" "$dir/site" "$n"
done
