#!/bin/bash
# SPDX-License-Identifier: MIT
# 249-cs-crowd - a Cache Server as it comes, and 10,000 connections that ask nothing, bare,
# within the TLS handshake or behind it, and that come again when they are ended: of one
# address, of many. Others are served
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
wait_for 10 '[ "$(server_status server roles.cs.as_link)" = true ]' \
	'lab_as_user server ntm-server status'
for ((i = 0; i < 40; i++)); do
	lab_root a ip address add 10.2.0.$((10 + i))/24 dev "$(lab_root a ip -o -4 route \
		show default | awk '{ print $5 }')"
done
worker=$(server_role server cs)

# said WHAT: the last of its numbers
said()
{
	tail -n 1 "$(lab_log crowd)" | sed -n "s/.*$1 \([0-9]*\).*/\1/p"
}

# crowd COUNT SHAKEN PACE [SOURCE]: they come, and some have the handshake behind them
crowd()
{
	rm -f "$LAB/hold"
	mkfifo "$LAB/hold"
	lab_start crowd root a sh -c "/usr/bin/python3 '$LAB_SRC/tests/e2e/crowd.py' \
		10.1.0.2 4507 $1 $3 ${4-} <'$LAB/hold'"
	exec {hold}>"$LAB/hold"
	wait_for 60 '[ "$(said stood)" -ge '$1' -a "$(said shaken)" -ge '$2' ]' \
		'tail -n 3 "$(lab_log crowd)"'
}

# served HOST: eight small items of new connections, one behind the other
served()
{
	lab_as_user $1 /usr/bin/python3 "$LAB_SRC/tests/e2e/exchange.py" served \
		"$(state_dir $1)/session" "$(server_dir server)" 10.1.0.2 8
}

over()
{
	echo "# $(tail -n 1 "$(lab_log crowd)"), $(server_status server \
		roles.cs.connections) are open, $(server_status server roles.cs.evicted) \
were evicted, $(($(anon "$worker") / 1024)) MiB"
	exec {hold}>&-
	lab_join crowd
}

# one address, whose other users are served as well: its 256 places last a second
crowd 10000 300 200
served b
served a
assert_between "$(server_status server roles.cs.connections)" 200 800 \
	"connections, of 256 that an address may have"
over

# many addresses
crowd 10000 1000 10000 10.2.0.
served b
served a
over

wait_for 30 '[ "$(server_status server roles.cs.connections)" -le 8 ]' \
	'lab_as_user server ntm-server status'
ok "all is given back"
assert_eq "$(server_role server cs)" "$worker" "it has not died"
