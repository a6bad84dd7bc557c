#!/bin/bash
# SPDX-License-Identifier: MIT
# 173-push - nodes that a push service tells: FCM, APNs and UnifiedPush by HTTP/2, every
# request checked; an idle node sends nothing, and is reached
# waits
# limit: 300
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/nats.sh"

nats_server
nats_services
keys=$LAB/keys
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null \
	>"$keys/fcm.pem"
openssl pkey -in "$keys/fcm.pem" -pubout >"$keys/fcm.pub"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null \
	>"$keys/apns.p8"
openssl pkey -in "$keys/apns.p8" -pubout >"$keys/apns.pub"
/usr/bin/python3 - "$keys" <<-'END'
	import json, sys
	json.dump({"type": "service_account", "project_id": "ntm-project",
	           "client_email": "push@ntm.example",
	           "private_key": open(sys.argv[1] + "/fcm.pem").read(),
	           "token_uri": "https://192.0.2.9:8443/token"},
	          open(sys.argv[1] + "/fcm.json", "w"))
END
nats_services_run

push_set()
{
	server_set server "${@/#/push.}"
}
push_set unifiedpush=yes fcm="$keys/fcm.json" fcm_url=https://192.0.2.9:8443 \
	apns_key="$keys/apns.p8" apns_key_id=KEY7890123 apns_team=TEAM456789 \
	apns_topic=org.example.ntm apns_url=https://192.0.2.9:8443 \
	ca="$keys/cert.pem"
nats_open a
nats_behind b 1 auto port-restricted timeout=20
nats_serve b

# told KIND TOKEN: b has that one, and the DC agrees
told()
{
	lab_as_user b ntm push "$@" >"$LAB/log/push-b"
	wait_for 5 '[ "$(ntm_get b keepalive.by)" = push ]' 'lab_as_user b ntm status'
}
# ask: somebody wants b, who may not come
ask()
{
	ntm_run a getent ahosts "${NTM_NAME[b]}" >"$LAB/log/ask" 2>&1 || :
}
# services LINE: it is among what they have seen
services()
{
	wait_for 15 "grep -qxF '$1' '$(lab_log services)'" \
		"cat '$(lab_log services)'; lab_as_user server ntm-server status"
	ok "the services have seen: $1"
}
asked()
{
	server_status server "roles.push.$1"
}

refused "a URL that is not https" "https://" \
	lab_as_user b ntm push unifiedpush http://192.0.2.9:8443/up/b
# An account's URL does not lead to hosts that are closed.
told unifiedpush https://192.0.2.9:8443/up/b
ask
wait_for 10 '[ "$(asked failed)" -ge 1 ]' 'lab_as_user server ntm-server status --json'
assert_lacks "$(cat "$(lab_log services)")" unified "no account leads the server inside"
push_set allow=192.0.2.0/24
told unifiedpush https://192.0.2.9:8443/up/b

lab_root b nft -f - <<-END
	table inet idle {
		counter sent { }
		chain out {
			type filter hook postrouting priority 300;
			oifname != "lo" counter name sent
		}
	}
END
sent()
{
	lab_root b nft list counter inet idle sent | awk '/packets/ { print $2 }'
}
# the server was restarted: b has found its relays, and told the DC
wait_for 10 '[ -n "$(ntm_get b relays.0.rtt_ms)" ]'
# and the tunnel that came of the first question is gone
nats_forget a b
# and what ntm-post asked its box when the server was back is answered
wait_for 20 '[ "$(ntm_get b post.state)" = idle ]'
idle=$(lab_now)
wait_for 10 "[ \$(lab_ms_since $idle) -ge 5000 ]"
before=$(sent)
wait_for 60 "[ \$(lab_ms_since $idle) -ge 47000 ]"
assert_eq $(($(sent) - before)) \
	0 "packets that b sent in 42 s"
assert_contains "$(lab_as_user b ntm status)" "none: a push service" "status says so"
assert_contains "$(lab_as_user b ntm netcheck)" "A push service tells" "and netcheck"
# The person's push client: it calls ntm when something came, as soon as a phone does.
lab_start client root b bash -c "
	tail -n 0 -F '$(lab_log services)' | while read -r line; do
		case \$line in unified\\ b*) echo woken ;; esac
	done"
# doubts: how often a took its DC for one that has gone
doubts()
{
	grep -c "registering anew" "$(state_dir a)/broker.log" || :
}
doubts=$(doubts)
start=$(lab_now)
touch "$LAB/stop"
ntm_start reach a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 "$LAB/stop"
services "unified b 200"
wait_for 5 "[ \$(lab_ms_since $start) -ge 3200 ]"
lab_as_user b ntm push received >"$LAB/log/received"
lab_join reach
assert_between "$(lab_ms_since "$start")" 0 $((4500 * LAB_SLOW)) \
	"b, which its push woke after 3.2 s, is reached: ms"
assert_eq "$(doubts)" "$doubts" "and a did not think that its DC has gone"
lab_stop client
nats_forget a b

# wanted TOKEN...: b drops its UDP mapping, as its NAT does, and a asks for it
wanted()
{
	told "$@"
	lab_nat_forget r1
	nats_forget a b
	ask
}
wanted fcm fcm-one
services "fcm fcm-one 200"
wanted fcm fcm-busy
services "fcm fcm-busy 429"
services "fcm fcm-busy 200"
assert_eq "$(grep -c '^token' "$(lab_log services)")" 1 \
	"one access token served all of them"
failed=$(asked failed)
wanted apns ../../a1
wait_for 10 "[ \"\$(asked failed)\" -gt $failed ]" 'lab_as_user server ntm-server status'
assert_lacks "$(cat "$(lab_log services)")" "apns ../" "a token that is none goes nowhere"
wanted apns a1
services "apns a1 200"
wanted apns ebbed
services "apns ebbed 403"
services "apns ebbed 200"
wanted apns dead
services "apns dead 410"
# told to the DC with its next question: nobody is asked again about a dead token
told apns dead
wait_for 10 '[ "$(asked gone)" = 1 ]'
# Nobody's push waits for another one's service: for one that takes a connection and
# says nothing, by the name of FCM's tokens ...
lab_start hang user services /usr/bin/python3 -c '
import socket
held, s = [], socket.create_server(("", 8444))
while True:
    held.append(s.accept())'
wait_for 5 'lab_listens services tcp 8444'
sed 's/8443/8444/' "$keys/fcm.json" >"$keys/hang.json"
chmod 600 "$keys/hang.json"
lab_give "$keys/hang.json"
push_set fcm="$keys/hang.json"
wanted fcm fcm-held
told unifiedpush https://192.0.2.9:8443/up/free
nats_forget a b
start=$(lab_now)
ask
wait_for 10 "grep -qxF 'unified free 200' '$(lab_log services)'"
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"a push while FCM gives no token: ms"
# ... nor for the resolvers of a name that an account has thought of
lab_root services nft -f - <<-END
	table inet quiet {
		chain in {
			type filter hook input priority 0;
			udp dport 53 drop
		}
	}
END
lab_root server sh -c 'for i in 1 2 3; do echo nameserver 192.0.2.9; done \
	>/etc/resolv.conf'
told unifiedpush https://slow.example/up/b
nats_forget a b
start=$(lab_now)
ask
wait_for 15 "[ \$(lab_ms_since $start) -ge 11000 ]"
later=$(asked later)
assert_between "$later" 1 99 "the name was sought, and not found in time"
told apns a2
nats_forget a b
start=$(lab_now)
ask
wait_for 15 "grep -qxF 'apns a2 200' '$(lab_log services)'"
assert_between "$(lab_ms_since "$start")" 0 $((5000 * LAB_SLOW)) \
	"a push while a name of an account is sought: ms"
assert_lacks "$(cat "$(lab_log services)")" bad "every request was as it should be"
lab_as_user b ntm push off >"$LAB/log/push-b"
wait_for 10 '[ "$(ntm_get b keepalive.by)" = udp ]' 'lab_as_user b ntm status'
ok "without a push service keep-alives are sent again"
