#!/bin/bash
# SPDX-License-Identifier: MIT
# first-contact-relay - how long getaddrinfo() takes for a peer never met: another
# domain, both behind NATs, 20 ms between any two hosts
. "$(dirname "$0")/bench.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ROUNDS=${BENCH_CONTACTS:-12}
RTT_MS=20
TARGET=$((6 * RTT_MS + 20))

ntm_installed
domains_behind symmetric
domains_two
ntm_web b 8000
echo x >"$LAB/www/f"

# Both sides forget the tunnel and its resumption secret.
strangers()
{
	lab_as_user a ntm forget "$B" >/dev/null
	lab_as_user b ntm forget "$A" >/dev/null
}

known()
{
	lab_as_user sa ntm-server status --json | tr -d '\n' |
		json "roles.dc.$1"
}

# Cold: no key between the servers; a's must look for the other one, and connect
wait_for 10 '[ "$(known relays_usable)" = 1 ]'
ntm_run a curl -sS -m 10 -o /dev/null "http://$B:8000/f"
lab_as_user sa ntm-server peer remove two.example
domains_peer sa one.example sb two.example
strangers
cold=$(lab_as_user a ntm-run "$BENCH_TOOLS/resolve" "$B")

for round in $(seq "$ROUNDS"); do
	strangers
	lab_as_user a ntm-run "$BENCH_TOOLS/resolve" "$B" >>"$LAB/ms"
	assert_eq "$(ntm_peer a "$B" path)" relay "relayed" >/dev/null
	strangers
	ntm_run a curl -sS -m 10 -o /dev/null -w '%{time_starttransfer}\n' \
		"http://$B:8000/f" | awk '{ print $1 * 1000 }' >>"$LAB/byte"
done
note "milliseconds: $(tr '\n' ' ' <"$LAB/ms")"
figure first-contact-relay "$(median "$LAB/ms")" ms "<=" $TARGET
note "cold (no key between the servers, DNS asked again): $cold ms"
note "to the first byte, by curl, warm: $(median "$LAB/byte") ms"
ok "first contact through a relay, across domains, measured"
