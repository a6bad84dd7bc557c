#!/bin/bash
# SPDX-License-Identifier: MIT
# 156-port-mapping - a router that gives a port makes a peer behind a symmetric NAT reach
# us directly; one that lies costs nothing; who does not want it asks nothing
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_lab
grid_site a port
grid_site b symm
outside=$(ip -n a-port -br -4 addr show dev "$(lab_dev a-port pa)" |
	sed 's/.* \([0-9.]*\)\/.*/\1/')

# What the played router does: everybody may write to the port.
cat >"$LAB/mapping" <<-'END'
	#!/bin/sh -e
	if [ "$1" = ADD ]; then
		nft add element inet nat back \
			"{ $4 timeout 1h : $2 . $3 }"
		nft insert rule inet nat enter ip daddr "$2" udp dport "$3" accept
	else
		nft delete element inet nat back "{ $4 }"
		rule=$(nft -a list chain inet nat enter |
			sed -n "s/.*dport $3 accept # handle //p")
		nft delete rule inet nat enter handle "$rule"
	fi
END
chmod 755 "$LAB/mapping"

# router PROTOCOLS MANNER OUTSIDE [COMMAND]: plays it until lab_stop router
router()
{
	lab_start router root a-port "$LAB_SRC/tests/lab/portmapd.py" \
		192.168.1.1 "$3" "$1" "$2" "${4:-$LAB/mapping}"
	wait_for 5 'grep -q ^ready "$(lab_log router)"'
}

# opened: the rules that the played router has added
opened()
{
	lab_root a-port nft list chain inet nat enter |
		sed -n '/ip daddr 192\.168\.1\.2 udp dport/p'
}

portmap()
{
	lab_as_user a ntm netcheck --json | json "portmap.$1"
}

# meets WANTED: a pair, from b to a and back
meets()
{
	ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" \
		7000 "$GRID_STOP"
	grid__traffic "$1"
	[ "$GOT" = "$1" ] || grid__diag
	assert_eq "$GOT" "$1" "$2"
}

router pcp silent "$outside"
grid_meet port 4 symm 4
meets relay "without a mapping they need the relay"
grid_part
lab_stop router

for protocol in pcp natpmp upnp; do
	router $protocol good "$outside"
	grid_meet port 4 symm 4
	wait_for 15 '[ "$(portmap state)" = mapped ]' \
		'lab_as_user a ntm netcheck; cat "$(lab_log router)"'
	assert_contains "$(portmap address)" "$outside:" "$protocol maps a port"
	assert_contains "$(lab_as_user a ntm netcheck)" \
		"The router has mapped $outside:" "netcheck tells it"
	meets direct "by it they meet directly"
	grid_part
	wait_for 5 '[ -z "$(opened)" ]' 'opened; cat "$(lab_log router)"'
	ok "at the end it is deleted"
	lab_stop router
done

for lie in 192.168.7.7 127.0.0.1 224.0.0.1 192.0.2.1; do
	router pcp good $lie true
	grid_meet port 4 symm 4
	wait_for 15 '[ "$(portmap state)" = refused ]' \
		'lab_as_user a ntm netcheck; cat "$(lab_log router)"'
	assert_eq "$(portmap lies)" 1 "that it is $lie is not believed"
	grid_part
	lab_stop router
done

# configured VALUE: in the broker's configuration, by the person
configured()
{
	lab_as_user a sh -ec 'mkdir -p ~/.config/ntm
		printf "[network]\nportmap = %s\n" "$1" >~/.config/ntm/broker.conf' \
		sh "$1"
}
configured off
router pcp,upnp good "$outside"
grid_meet port 4 symm 4
assert_eq "$(portmap state)" off "portmap = off"
meets relay "and they need the relay again"
assert_eq "$(cat "$(lab_log router)")" ready "nothing was asked"
grid_part
configured maybe
lab_as_user a ntm up >"$LAB/out" 2>&1 && not_ok "portmap = maybe is taken"
assert_contains "$(cat "$LAB/out")" \
	"network.portmap is to be auto or off, not 'maybe'" "another word is not"
