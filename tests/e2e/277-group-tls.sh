#!/bin/bash
# SPDX-License-Identifier: MIT
# 277-group-tls - a member whose network lets out nothing but 443/tcp: it reaches its GMS
# by the relay's gate, has each new key, and hears and says what is said
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/grid.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/items.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
grid_net
ntm_server server ntm.example
groups_server server
ntm_account server alice
for h in a b; do
	ntm_node $h $h.alice
	items_prekey $h
done
group b create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out")"
group_joins a band b "${NTM_NAME[a]}"
for h in a b; do group_in 40 $h band 2; done

# --- a wall, and a starts behind it
lab_as_user a ntm down >"$LAB/log/down-a"
lab_root net nft -f - <<-END2
	table inet wall {
		chain through {
			type filter hook forward priority filter;
			iifname "$(lab_dev net pa)" meta l4proto udp drop
			oifname "$(lab_dev net pa)" meta l4proto udp drop
			iifname "$(lab_dev net pa)" tcp dport != 443 drop
		}
	}
END2
ntm_up a
ntm_wait_online a 30
assert_ne "$(ntm_get a gate)" "" "behind the wall it is online by the relay's gate"
start=$(lab_now)
group_in 40 a band 2
wait_for 40 "[ \"\$(group_get a band .connected)\" = true ]" \
	"group a status band --json; tail -n 30 $(state_dir a)/broker.log"
assert_between "$(lab_ms_since "$start")" 0 $((12000 * LAB_SLOW)) "and connected with its GMS, ms"

# --- a new key comes at once, and so does what is said under it
G=band.group.ntm.example
V4=$(ntm_run a getent ahostsv4 "$G" | awk '{print $1; exit}')
group_hears a "$V4"
group_speaks b "$G"
wait_for 20 "[ \$(group_heard a) -gt 50 ]" \
	"lab_as_user a ntm status --json; lab_as_user b ntm peers"
ok "it hears b"
epoch=$(group_get a band .epoch)
start=$(lab_now)
group b rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
wait_for 10 "[ \$(group_get a band .epoch) -gt $epoch ]" "group a status band"
assert_between "$(lab_ms_since "$start")" 0 $((3000 * LAB_SLOW)) "the next key, ms"
for h in a b; do group_in 10 $h band 2; done
from=$(group_heard a)
wait_for 20 "[ \$(group_heard a) -gt $((from + 100)) ]"
assert_eq "$(group a verify band | head -n 1)" "$(group b verify band | head -n 1)" \
	"both show one code"
# and it may change the group itself
group a rekey band >"$LAB/out" 2>&1 || not_ok "no new secret: $(cat "$LAB/out")"
for h in a b; do group_in 10 $h band 2; done
ok "its own entry, too"
