#!/bin/bash
# SPDX-License-Identifier: MIT
# 182-relayed-mtu - paths through a relay that drop large packets in silence at any hop,
#                   before and during traffic, and after the switch to the direct way
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"

# Without super-packets: the router counts what it forwards.
GRID_WIRE=(5 --gso off)
ntm_installed
grid_lab
for side in a b; do
	grid_site $side symm
	grid_site $side port
done
mkdir -p "$LAB/www"
head -c 4000000 /dev/urandom >"$LAB/www/big"

# between LIMIT|off FROM TO: the router in the middle drops what is larger, on that way
# and back, and no ICMP leaves it
between()
{
	lab_root net nft -f - <<-END
		table inet narrow
		delete table inet narrow
	END
	[ "$1" != off ] || return 0
	lab_root net nft -f - <<-END
		table inet narrow {
			chain through {
				type filter hook forward priority filter;
				iifname "$(lab_dev net "$2")" oifname "$(lab_dev net "$3")" \
					meta length > $1 drop
				iifname "$(lab_dev net "$3")" oifname "$(lab_dev net "$2")" \
					meta length > $1 drop
			}
		}
	END
}

# narrow HOP LIMIT|off
narrow()
{
	local limit=$2
	case $1 in
	node)	lab_wire a drop-above "${limit/off/0}" ;;
	relay)	lab_wire server drop-above "${limit/off/0}" ;;
	middle)	between "$limit" pa srv ;;
	esac
}

whole()
{
	local start
	start=$(lab_now)
	ntm_run a curl -sS --max-time $((12 * LAB_SLOW)) \
		"http://${NTM_NAME[b]}:8000/big" | cmp - "$LAB/www/big"
	ok "$1: 4 MB in $(lab_ms_since "$start") ms"
}

# A hole that is there from the beginning
for hop in node middle relay; do
	narrow $hop 1300
	grid_meet symm 4 symm 4
	ntm_slow_web b 8000 3m
	whole "relayed, a hole at the $hop"
	assert_eq "$(grid__way a) $(grid__way b)" "relay relay" "both by the relay"
	lab_stop nginx
	grid_part
	narrow $hop off
done

# One that comes under a transfer
grid_meet symm 4 symm 4
ntm_slow_web b 8000 1m
ntm_start get a curl -sS -o got "http://${NTM_NAME[b]}:8000/big"
wait_for 10 "[ \$(stat -c %s '$(lab_home a)/got' || echo 0) -gt 800000 ]"
narrow relay 1300
start=$(lab_now)
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "the relay's link narrowed under a transfer: ended $(lab_ms_since "$start") ms later"
narrow relay off
lab_stop nginx
grid_part

# The relay carries large packets, the direct way does not
between 1300 pa pb
grid_meet port 4 port 4
ntm_slow_web b 8000 1m
ntm_start get a curl -sS -o got "http://${NTM_NAME[b]}:8000/big"
wait_for 10 'grid_settled direct' 'cat "$LAB"/log/watch-*'
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "a transfer that moved to a direct way with a hole is whole"
assert_eq "$(grid__way a) $(grid__way b)" "direct direct" "and the way is direct still"
whole "directly, a hole in the middle"
lab_stop nginx
grid_part

# The direct way carries them, the relay does not: back to it when the direct one ends
between off
grid_meet port 4 port 4
ntm_slow_web b 8000 1m
narrow relay 1300
ntm_start get a curl -sS -o got "http://${NTM_NAME[b]}:8000/big"
wait_for 10 'grid_settled direct' 'cat "$LAB"/log/watch-*'
wait_for 10 "[ \$(stat -c %s '$(lab_home a)/got' || echo 0) -gt 1000000 ]"
between 0 pa pb
wait_for 10 'grid_settled relay' 'cat "$LAB"/log/watch-*'
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "a transfer that fell back to a relay with a hole is whole"
lab_stop nginx
grid_part
