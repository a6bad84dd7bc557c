#!/bin/bash
# SPDX-License-Identifier: MIT
# 244-item-wakes - an item wakes who sleeps: a device that only a push service or a
# Notification Server reaches hears of it in seconds, though its sender tells it nothing
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/nats.sh"

nats_server
nats_services
nats_services_run
server_set server push.unifiedpush=yes push.ca="$LAB/keys/cert.pem" push.allow=192.0.2.0/24

nats_open a
nats_behind b 1 auto port-restricted timeout=20
nats_behind c 2 ns port-restricted timeout=20
for h in b c; do
	items_prekey $h
done
lab_as_user b ntm push unifiedpush https://192.0.2.9:8443/up/b >"$LAB/log/push-b"
wait_for 10 'nats_by b push' 'lab_as_user b ntm status'
wait_for 10 'nats_by c ns' 'lab_as_user c ntm status'
# The person's push client: it calls ntm when something came.
lab_start client root b bash -c "
	tail -n 0 -F '$(lab_log services)' | while read -r line; do
		case \$line in unified\\ b*) echo woken ;; esac
	done"
woken()
{
	grep -c woken "$(lab_log client)" || :
}
for h in b c; do
	wait_for 20 "[ \"\$(ntm_get $h post.state)\" = idle ]" "lab_as_user $h ntm status --json"
done
# What a does reaches neither through the DC: it cannot ask where they are.
lab_root a nft -f - <<-END
	table inet deaf {
		chain out {
			type filter hook output priority 0;
			udp dport 4502 drop
		}
	}
END

# sleeps ROUTER: its NAT has lost what led to the device by UDP; TCP goes on
sleeps()
{
	lab_root "$1" bash -c '
		conntrack -D -p udp
		{
			nft list maps | sed -n "s/^\tmap \(.*\) {/flush map inet nat \1/p"
			nft list sets | sed -n "s/^\tset \(.*\) {/flush set inet nat \1/p"
		} | nft -f -' >"$LAB/log/sleeps" 2>&1
}
# sent HOST TEXT
sent()
{
	echo "$2" | lab_as_user a ntm send "${NTM_NAME[$1]}" >"$LAB/out" 2>&1 ||
		not_ok "not sent: $(cat "$LAB/out")"
}
# got HOST TEXT SINCE
got()
{
	wait_for 20 "[ \"\$(lab_as_user $1 ntm inbox --json | jq -r '.items[-1].state')\" = here ]" \
		"lab_as_user $1 ntm inbox; cat $(lab_log services); lab_as_user server ntm-server status"
	assert_between "$(lab_ms_since "$3")" 0 $((12000 * LAB_SLOW)) "$1 has it: ms"
	assert_eq "$(lab_as_user "$1" ntm receive)" "$2" "and reads it"
}

sleeps r1
start=$(lab_now)
sent b "to b"
wait_for 15 '[ "$(woken)" -ge 1 ]' "cat '$(lab_log services)'; lab_as_user server ntm-server status --json"
ok "the push service has told b after $(lab_ms_since "$start") ms"
assert_eq "$(lab_as_user b ntm inbox --json | jq '.items | length')" 0 \
	"before its client calls it knows nothing"
lab_as_user b ntm push received >"$LAB/log/received"
got b "to b" "$start"
assert_lacks "$(cat "$(lab_log services)")" bad "every request was as it should be"

sleeps r2
before=$(server_status server roles.ns.notified)
start=$(lab_now)
sent c "to c"
got c "to c" "$start"
assert_between "$(($(server_status server roles.ns.notified) - before))" 1 99 \
	"times that the Notification Server told c"
