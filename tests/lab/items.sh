# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# items.sh - a domain with a Cache Server, and two persons who take each other's items
#
# After lab.sh, ntm.sh and faults.sh.

# items_pair: hosts server, a (laptop.alice), b (desk.bob) and c, where nobody is logged
# in; sets A and B (names). Both devices have their prekeys at the box.
items_pair()
{
	local host
	ntm_installed
	ntm_star server a b c
	ntm_account server alice
	ntm_account server bob
	server_set server "server.roles=as, dc, rs, ns, cs"
	wait_for 5 "lab_listens server tcp 4507 && lab_listens server tcp 4508"
	ntm_node a laptop.alice
	ntm_node b desk.bob
	A=${NTM_NAME[a]} B=${NTM_NAME[b]}
	lab_as_user a ntm allow bob >"$LAB/log/allow-a"
	lab_as_user b ntm allow alice >"$LAB/log/allow-b"
	for host in a b; do
		wait_for 20 "grep -q 'has our newest' $(state_dir $host)/broker.log" \
			"tail -n 20 $(state_dir $host)/broker.log"
	done
}

# items_count HOST inbox|outbox STATE: how many are in it
items_count()
{
	lab_as_user "$1" ntm "$2" --json |
		jq --arg s "$3" '[.items[] | select(.state == $s)] | length'
}

# items_here HOST N: until N items wait there to be taken
items_here()
{
	wait_for 30 "[ \"\$(items_count $1 inbox here)\" = $2 ]" \
		"lab_as_user $1 ntm inbox; tail -n 30 $(state_dir "$1")/broker.log"
}

# items_text HOST NAME TEXT: sent, in one go
items_text()
{
	printf '%s' "$3" | lab_as_user "$1" ntm send "$2" >"$LAB/log/text"
}
