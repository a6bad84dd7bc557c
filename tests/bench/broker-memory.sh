#!/bin/bash
# SPDX-License-Identifier: MIT
# broker-memory - memory of keeper and worker, idle and with 200
#                 peers, each a broker of its own
. "$(dirname "$0")/bench.sh"

PEERS=${BENCH_PEERS:-200}

# memory HOST: MiB of keeper, the child inside and worker together. Proportional for
# anonymous memory; files count whole, as if no other broker on this machine shared
# the libraries (the crowd below shares them all, which would flatter the figure).
memory()
{
	local pid

	for pid in $(lab_pids "$1" ntm-broker) $(lab_pids "$1" ntm-inside) \
		$(ntm_worker "$1"); do
		cat "/proc/$pid/smaps_rollup"
	done | awk '/^Pss_Anon:/ { kb += $2 } /^Rss:/ { kb += $2 }
		/^Anonymous:/ { kb -= $2 } END { printf "%.1f\n", kb / 1024 }'
}

bench_pair
bench_ntm
figure broker-memory.idle "$(memory b)" MiB "<=" 16

# Peers: one host, a broker each in a runtime folder and home of its own.
lab_host crowd
lab_link crowd lan 10.9.0.4/24 fd00:9::4/64
peer_env()
{
	local d=$LAB/crowd/$1

	mkdir -p "$d"/{run,home} && chmod 700 "$d"/{run,home}
	lab_give "$d" "$d/run" "$d/home"
	PEER_ENV=(env HOME="$d/home" XDG_RUNTIME_DIR="$d/run"
		XDG_CONFIG_HOME="$d/home/c" XDG_STATE_HOME="$d/home/s"
		XDG_DATA_HOME="$d/home/d" XDG_CACHE_HOME="$d/home/k")
}
lab_as_user b ntm allow ntm.example >/dev/null
for n in $(seq "$PEERS"); do
	# An account may have sixteen devices.
	account=crowd$((n / 10))
	[ $((n % 10)) != 0 ] && [ "$n" != 1 ] || ntm_account server "$account"
	peer_env "$n"
	lab_as_user crowd "${PEER_ENV[@]}" ntm up >/dev/null
	printf '%s\n' "$NTM_PASSWORD" |
		lab_as_user crowd "${PEER_ENV[@]}" ntm login --password-stdin -y \
			--device="d$n" "${NTM_JOIN[$NTM_DOMAIN]}" "$account" >/dev/null
	lab_as_user crowd "${PEER_ENV[@]}" ntm ping -c 1 "$NTM_B" >/dev/null
done
wait_for 10 "[ \$(ntm_get b peers) -ge $PEERS ]"
figure broker-memory.200-peers "$(memory b)" MiB "<=" 40
ok "memory measured"
