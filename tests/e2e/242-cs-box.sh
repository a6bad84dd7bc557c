#!/bin/bash
# SPDX-License-Identifier: MIT
# 242-cs-box - Cache Server and box: an item that a device sends is told to the other one,
# fetched by the ticket that came with it, confirmed, and the sender hears of it; both
# servers may be killed in between
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_account server bob
wait_for 5 'lab_listens server tcp 4507'
ntm_node a laptop.alice
ntm_node b desk.bob
# What waits at the box is this test's, not the nodes' own: their tokens go on without them.
for host in a b; do
	items_prekey $host # the box knows who has one
	cp "$(state_dir $host)/session" "$LAB/session-$host"
	lab_give "$LAB/session-$host"
	lab_as_user $host ntm down >"$LAB/out"
done

role()
{
	[ "$(server_status server "roles.$1")" = "${2-true}" ]
}
up()
{
	wait_for 20 'role cs.as_link && role cs.box && role box.as_link' \
		'lab_as_user server ntm-server status'
}
deliver()
{
	lab_as_user a /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" "$1" \
		"$LAB/session-a" "$(server_dir server)" 10.1.0.2 "${@:2}"
}
up
deliver deliver "$LAB/session-b"
# What the box has yet to be told is told when it is back, though the Cache Server was
# killed meanwhile.
kill -KILL "$(server_role server box)"
deliver away "${NTM_NAME[b]}"
kill -KILL "$(server_role server cs)"
up
deliver told "$LAB/session-b"
wait_for 10 'role cs.asks 0' 'lab_as_user server ntm-server status'
ok "nothing is left that the box has yet to be told"
