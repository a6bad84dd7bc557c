#!/bin/bash
# SPDX-License-Identifier: MIT
# group - until all members have the new key; see tests/bench/group_load.c
#
# group.sh [lo][-disk]. The GMS is one host, all members are another, 5 ms from the switch
# between them each; lo: both on one, without delay. The GMS's store lies on the disk. Each
# member's lies in the lab's tmpfs, as a device has a disk of its own and waits for its own
# syncs alone (how long that is, group-store says, which is on the disk); disk: all of them on
# this one, synced one after the other. N in the environment: how many, in place of all four.
. "$(dirname "$0")/bench.sh"

part=${1-}
disk=$LAB_O/bench-group
rm -rf "$disk"
mkdir -p "$disk"
stores=$LAB/members
[[ $part != *disk* ]] || stores=$disk/members
ntm-server init --dir "$disk/site" --domain example.org >/dev/null

# With as many addresses as members need: the GMS takes 256 from one.
lab_host crowd
if [[ $part == lo* ]]; then
	gms=-
	at=(10.0.0.{1..5})
	for a in "${at[@]}"; do
		lab_root crowd ip addr add "$a/32" dev lo
	done
else
	gms=/run/netns/gms
	at=(10.9.1.{1..5})
	lab_host gms
	lab_net lan
	lab_link gms lan 10.9.0.254/24 - 5
	lab_link crowd lan 10.9.0.253/24 - 5
	for n in {1..5}; do
		lab_root gms ip addr add "10.9.1.$n/32" dev eth0
		lab_root crowd ip addr add "10.9.0.$n/24" dev eth0
		lab_root crowd ip route add "10.9.1.$n/32" dev eth0 src "10.9.0.$n"
	done
fi
note "$(nproc) CPUs, load $(cut -d' ' -f1 /proc/loadavg), Linux $(uname -r), $(date -u +%F);" \
	"${part:-links of 5 ms}"
for n in ${N:-10 50 250 1000}; do
	rm -rf "$disk"/site/gms/gms.db* "$disk"/site/figure.db* "$stores"
	mkdir "$stores"
	nsenter --net=/run/netns/crowd "$BENCH_TOOLS/group_load" "$disk/site" "$stores" "$gms" \
		"$n" "${at[@]}"
done
rm -rf "$disk" "$stores"
ok "measured"
