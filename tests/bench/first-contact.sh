#!/bin/bash
# SPDX-License-Identifier: MIT
# first-contact - how long getaddrinfo() takes for a peer never met, 20 ms between all
. "$(dirname "$0")/bench.sh"

ROUNDS=${BENCH_CONTACTS:-12}

bench_far_pair
bench_ntm

for round in $(seq "$ROUNDS"); do
	# Both sides forget the tunnel and its resumption secret.
	lab_as_user a ntm forget "$NTM_B" >/dev/null
	lab_as_user b ntm forget "a.alice.$NTM_DOMAIN" >/dev/null
	lab_as_user a ntm-run "$BENCH_TOOLS/resolve" "$NTM_B" >>"$LAB/ms"
done
note "milliseconds: $(tr '\n' ' ' <"$LAB/ms")"
figure first-contact "$(median "$LAB/ms")" ms "<=" 75
ok "first contact measured"
