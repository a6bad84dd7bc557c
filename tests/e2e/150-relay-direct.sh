#!/bin/bash
# SPDX-License-Identifier: MIT
# 150-relay-direct - a stream begins through the relay and moves to the direct way
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/grid.sh"

# 20 ms from a to b and back, 40 ms through the relay
GRID_WIRE=(5)
ntm_installed
grid_lab
grid_site a port
grid_site b port
grid_meet port 4 port 4
ntm_slow_web b 8000 2m
head -c 6000000 /dev/urandom >"$LAB/www/big"

# witness WAY: bytes that the router in the middle has seen go that way
lab_root net nft -f - <<-END
	table inet witness {
		counter relay { }
		counter direct { }
		chain seen {
			type filter hook forward priority filter;
			udp sport 4503 counter name relay
			iifname "$(lab_dev net pa)" oifname "$(lab_dev net pb)" \
				counter name direct
			iifname "$(lab_dev net pb)" oifname "$(lab_dev net pa)" \
				counter name direct
		}
	}
END
witness()
{
	lab_root net nft list counter inet witness "$1" |
		sed -n 's/.*bytes //p'
}

# segments: how many b's programs have sent again
segments()
{
	ntm_inside b nstat -asz TcpRetransSegs | awk '/Retrans/ { print $2 }'
}
before=$(segments)
ntm_start get a curl -sS -o got -w '%{num_connects}' \
	"http://${NTM_NAME[b]}:8000/big"
ntm_start begin a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 \
	"$LAB/begun"
wait_for 10 'grid_settled direct' 'cat "$LAB"/log/watch-*'
lab_join get
touch "$LAB/begun"
lab_join begin
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "a download of 6 MB is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
echo "# echoes beside it: $(tail -n 1 "$(lab_log begin)")"
relayed=$(witness relay)
assert_between "$relayed" 1000 1000000 "bytes that came through the relay"
assert_between "$(witness direct)" 5000000 9000000 "bytes that came directly"
assert_between $(($(segments) - before)) 0 5 "segments sent again"
for host in a b; do
	assert_eq "$(awk '{ print $2 }' "$(lab_log watch-$host)" |
		grep -xe relay -e direct -e moving | xargs)" "relay direct" \
		"$host went through the relay first, then direct, and stayed"
done

# The relay falls silent: nobody notices
rs=$(server_role server rs)
kill -STOP "$rs"
ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 \
	"$GRID_STOP"
wait_for 10 'grep -q first= "$(lab_log call)"'
was=$(ntm_get a totals.tx_packets)
wait_for 10 "[ \$(ntm_get a totals.tx_packets) -gt $((was + 150)) ]"
grid_settled direct
touch "$GRID_STOP"
lab_join call
read -r _ again longest <<<"$(tail -n 1 "$(lab_log call)")"
assert_between "${longest#*=}" 0 $((100 * LAB_SLOW)) "no answer was late, relay dead or not: ms"
assert_between $(($(witness relay) - relayed)) 0 20000 "bytes by the relay since"
assert_eq "${again#*=}" 0 "segments sent again meanwhile"
kill -CONT "$rs"
grid_part

# No direct way: the relay's restart is survived
grid_site a symm
grid_site b symm
grid_meet symm 4 symm 4
ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 \
	"$GRID_STOP"
wait_for 10 'grid_settled relay' 'cat "$LAB"/log/watch-*'
wait_for 10 'grep -q first= "$(lab_log call)"'
kill -KILL "$(server_role server rs)"
wait_for 5 "[ \$(server_role server rs) != $(server_role server rs) ]"
was=$(ntm_get b totals.rx_packets)
wait_for 20 "[ \$(ntm_get b totals.rx_packets) -gt $((was + 50)) ]" \
	'cat "$LAB"/log/watch-*'
wait_for 5 'grid_settled relay'
touch "$GRID_STOP"
lab_join call
ok "one connection survives the restart of its relay: \
$(tail -n 1 "$(lab_log call)")"
assert_lacks "$(cat "$LAB"/log/watch-[ab])" direct "and was never direct"
grid_part
