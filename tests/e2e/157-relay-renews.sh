#!/bin/bash
# SPDX-License-Identifier: MIT
# 157-relay-renews - a relay elsewhere renews its certificate by itself, and not when it was
# removed: then it relays nothing more
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

# A domain that is 200 days old, and two relays that have as old certificates
ntm_installed
ntm_star server r q
lab_stop server-server
rm -r "$(server_dir server)"
with_clock -$((200 * DAY_S))
lab_as_user server "${CLOCK[@]}" ntm-server init --domain "$NTM_DOMAIN" \
	--listen 10.1.0.2 >"$(lab_log server-init-server)"
declare -A FP
for host in r q; do
	file=$(lab_home server)/enrol-$host
	lab_as_user server "${CLOCK[@]}" ntm-server relay enrol "$file" \
		>"$LAB/enrol-$host"
	FP[$host]=$(sed -n 's/.*relay remove \([0-9a-f]\{64\}\)$/\1/p' \
		"$LAB/enrol-$host")
done
ntm_server_start server
lab_as_user server ntm-server relay remove "${FP[q]}" >"$(lab_log remove)"
assert_fails "what is no fingerprint is refused" \
	lab_as_user server ntm-server relay remove "${FP[q]:1}"

# days HOST: that the certificate of the relay there has left
days()
{
	server_status "$1" roles.rs.certificate_days
}

i=2
for host in r q; do
	lab_as_user "$host" ntm-server init --relay \
		"$(lab_home server)/enrol-$host" --listen "10.$i.0.2" \
		>"$(lab_log "init-$host")"
	lab_start "relay-$host" user "$host" ntm-server run
	i=$((i + 1))
done
wait_for 10 '[ "$(days r)" -ge 364 ]' 'days r; cat "$(lab_log relay-r)"'
ok "the relay has another certificate, for another year"
wait_for 10 '[ "$(server_status r roles.rs.links_up)" = 1 ]'
ok "and shows it to the DC"

# It is on the disk: the next process has it, too
lab_stop relay-r
lab_start relay-r user r ntm-server run
wait_for 10 '[ "$(server_status r roles.rs.links_up)" = 1 ]'
assert_between "$(days r)" 364 365 "days of the next process"

wait_for 10 'grep -q "closed a channel of a server that was removed" \
	"$(lab_log server-server)"' 'tail "$(lab_log server-server)"'
assert_between "$(days q)" 160 166 "days of the relay that was removed"
assert_eq "$(server_status q roles.rs.links_up)" 0 "and its links"

# One that works is removed
wait_for 10 '[ "$(server_status server roles.dc.relays_usable)" = 2 ]' \
	'server_status server roles.dc.relays_usable'
lab_as_user server ntm-server relay remove "${FP[r]}" >"$(lab_log remove)"
wait_for 10 '[ "$(server_status server roles.dc.relays_usable)" = 1 ]' \
	'server_status server roles.dc.relays_usable'
ok "the server's own is left"
