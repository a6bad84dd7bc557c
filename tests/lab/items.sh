# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# items.sh - domains with a Cache Server, and persons who take each other's items
#
# After lab.sh, ntm.sh and faults.sh; items_domains also after domains.sh.

# items_ready HOST...: until boxes and Cache Servers there can be spoken to
items_ready()
{
	local host
	for host; do
		wait_for 5 "lab_listens $host tcp 4507 && lab_listens $host tcp 4508"
	done
}

# items_server HOST... [KEY=VALUE...]: host server, with that in its configuration and
# accounts alice and bob, and these hosts, where nobody is logged in
items_server()
{
	local hosts=()
	while [ $# != 0 ] && [[ $1 != *=* ]]; do
		hosts+=("$1")
		shift
	done
	ntm_installed
	ntm_star server "${hosts[@]}"
	ntm_account server alice
	ntm_account server bob
	server_set server "server.roles=as, dc, rs, ns, cs" "$@"
	items_ready server
}

# items_domains [HOST...]: as domains_two, with these hosts besides, where nobody is logged
# in, and boxes and Cache Servers that can be spoken to
items_domains()
{
	ntm_installed
	ntm_star root sa sb a b "$@"
	domains_two
	items_ready sa sb
}

# items_pair [KEY=VALUE...]: hosts server (with that in its configuration), a
# (laptop.alice), b (desk.bob) and c, where nobody is logged in; sets A and B (names).
# Both devices have their prekeys at the box.
items_pair()
{
	local host
	items_server a b c "$@"
	ntm_node a laptop.alice
	ntm_node b desk.bob
	A=${NTM_NAME[a]} B=${NTM_NAME[b]}
	lab_as_user a ntm allow bob >"$LAB/log/allow-a"
	lab_as_user b ntm allow alice >"$LAB/log/allow-b"
	for host in a b; do
		items_prekey "$host"
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

# items_prekey HOST: until its prekey is at its box: it can be sent to
items_prekey()
{
	wait_for 20 "items__has_prekey $1" "tail -n 20 $(state_dir "$1")/broker.log"
}

items__has_prekey()
{
	lab_as_user "$1" grep -q "has our newest" "$(state_dir "$1")/broker.log"
}

# items_newest HOST outbox|inbox FILTER [INDEX]: jq's FILTER of the newest item, or of one
items_newest()
{
	lab_as_user "$1" ntm "$2" --json | jq -r ".items[${4:--1}] | $3"
}

# items_await HOST outbox|inbox FILTER VALUE [INDEX] [SECONDS]
items_await()
{
	wait_for "${6:-30}" \
		"[ \"\$(items_newest $1 $2 '$3' ${5:--1})\" = '$4' ]" \
		"lab_as_user $1 ntm $2 --json; tail -n 30 $(state_dir "$1")/broker.log"
}

# items_receive HOST: all that is here, into ~/got; what is printed is in $LAB/received
items_receive()
{
	mkdir -p "$(lab_home "$1")/got"
	lab_give "$(lab_home "$1")/got"
	lab_as_user "$1" sh -c "cd && ntm receive --to=got" >"$LAB/received"
}

# items_stored HOST: how many items the Cache Server there has ever had, and the bytes of
# data in its folder now
items_stored()
{
	local dir
	dir=$(server_dir "$1")/cs
	echo "$(lab_as_user "$1" python3 -c '
import sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
print((db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?",
                  ("items",)).fetchone() or [0])[0])' "$dir/cs.db")" \
		"$(lab_as_user "$1" find "$dir" -mindepth 2 -type f -printf '%s\n' |
			awk '{ n += $1 } END { print n + 0 }')"
}

# items_post HOST: the process ID of its ntm-post; nothing where none runs
items_post()
{
	lab_pids "$1" ntm-post | head -n 1
}
