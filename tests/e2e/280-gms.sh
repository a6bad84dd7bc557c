#!/bin/bash
# SPDX-License-Identifier: MIT
# 280-gms - as `ntm-server init` makes it, a domain has a Group Management Server: every
# login names it, also the first one after a start, and a group is made at once; it is killed, moves to another port, is restored from a backup
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
gms()
{
	lab_as_user server ntm-server gms "$@"
}
gms_is_fed()
{
	gms status --json | jq -e .as_link
}
# managers HOST: GMS's certificate's name, as often as the session names it
managers()
{
	lab_as_user "$1" sh -c 'cat "$(find "$HOME" -name session -type f | head -n 1)"' |
		grep -aoF "gms.$NTM_DOMAIN" | wc -l
}
# session_of HOST: changes with each login
session_of()
{
	lab_as_user "$1" sh -c 'sha256sum "$(find "$HOME" -name session -type f | head -n 1)"'
}

# at once: the GMS may not have come to the AS yet
ntm_node a laptop.alice
assert_eq "$(managers a)" 1 "the first login names the GMS"
assert_eq "$(lab_root server ss -Hltn sport = :4509 | awk '{ print $4 }' | sort | xargs)" \
	"$(lab_addresses server | sed 's/.*:.*/[&]/; s/$/:4509/' | sort | xargs)" \
	"it listens where init --listen says, and nowhere else"
wait_for 10 gms_is_fed
assert_contains "$(gms list)" "There are no groups yet" "the list of groups"
assert_eq "$(gms list --json | jq -c .groups)" "[]" "the same, for programs"
assert_contains "$(lab_as_user a ntm-group create first)" "first" "a group is made at once"
refused "no such command" "wrong arguments" gms rename x

# killed: it is started again, and comes to the AS by itself
pid=$(server_role server gms)
kill -KILL "$pid"
wait_for 10 '[ -n "$(server_role server gms)" ] && [ "$(server_role server gms)" != '"$pid"' ]'
wait_for 15 gms_is_fed
first=$(session_of a)
ntm_node b desk.alice
assert_eq "$(managers b)" 1 "a login afterwards names it"
assert_eq "$(session_of a)" "$first" "who was there keeps what it has"

# whole stores travel in a backup; the AS's file of GMSs need not
home=$(lab_home server)
lab_as_user server ntm-server backup "$home/backup"
lab_stop server-server
rm -r "$(server_dir server)"
lab_as_user server ntm-server restore "$home/backup" >"$(lab_log restore)"
ntm_server_start server
wait_for 15 gms_is_fed
assert_contains "$(gms list)" "1 member" "after a restore the group is there"
lab_as_user b ntm logout >"$(lab_log logout)"
ntm_login b alice desk
assert_eq "$(managers b)" 1 "a login after a restore names it"

# where there is none, that is said
lab_stop server-server
lab_as_user server sed -i 's/^#*roles = .*/roles = as, dc/' \
	"$(server_dir server)/ntm-server.conf"
ntm_server_start server
refused "no GMS here" "name gms in server.roles" gms status
