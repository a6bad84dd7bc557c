#!/bin/bash
# SPDX-License-Identifier: MIT
# 153-relay-elsewhere - a relay on a machine of its own: enrolled, chosen, drained, lost
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
grid_lab
grid_site a symm
grid_site b symm
lab_host r
lab_link r srv 192.0.2.2/24 2001:db8:a::2/64

# forwarded HOST: packets by the relay there
forwarded()
{
	server_status "$1" roles.rs.forwarded
}

# The machine of the CA writes what the other one needs, once
file=$(lab_home server)/enrolled
lab_as_user server ntm-server relay enrol "$file" >/dev/null
assert_eq "$(stat -c %a "$file")" 600 "what makes a relay is for its owner alone"
lab_as_user r ntm-server init --relay "$file" --listen 192.0.2.2 \
	--listen 2001:db8:a::2 >/dev/null
lab_start relay user r ntm-server run
wait_for 10 '[ "$(server_status r roles.rs.links_up)" = 1 ]'
ok "the relay elsewhere has registered with the DC"
assert_fails "without the CA no relay is enrolled" \
	lab_as_user r ntm-server relay enrol "$LAB/another"

# The first one takes no new paths: this one does
lab_as_user server ntm-server relay drain --json >"$LAB/drained"
assert_contains "$(cat "$LAB/drained")" '"draining": true' "the first relay drains"
grid_meet symm 4 symm 4
ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 \
	"$GRID_STOP"
wait_for 10 'grid_settled relay' 'cat "$LAB"/log/watch-*'
wait_for 10 "[ \$(forwarded r) -gt 50 ]"
assert_eq "$(forwarded server)" 0 "packets by the relay that drains"

# A relay that drains keeps the paths it has
lab_as_user server ntm-server relay undrain >/dev/null
lab_as_user r ntm-server relay drain >/dev/null
was=$(forwarded r)
wait_for 10 "[ \$(forwarded r) -gt $((was + 50)) ]"
ok "its own paths go on while the second one drains"

# It stops for good: the other one carries the connection on
lab_stop relay
wait_for 20 "[ \$(forwarded server) -gt 50 ]" 'cat "$LAB"/log/watch-*'
touch "$GRID_STOP"
lab_join call
ok "one connection survives the end of its relay: $(tail -n 1 "$(lab_log call)")"
assert_lacks "$(cat "$LAB"/log/watch-[ab])" direct "and was never direct"
grid_part
