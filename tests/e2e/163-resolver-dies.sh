#!/bin/bash
# SPDX-License-Identifier: MIT
# 163-resolver-dies - DNS is read by a process that can open nothing; killed, it takes
# neither the DC nor its tunnels with it, and the next domain is found again
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ntm_installed
ntm_star root sa sb a b
domains_apart
domains_peer sa one.example sb two.example
dc=$(server_role sa dc)
resolver=$(server_role sa resolver)
wait_for 5 "lab_as_user sa ntm-server status | grep '^resolver:' | grep -q sealed=yes"
filters=$(sed -n 's/^Seccomp_filters:[^0-9]*//p' "/proc/$resolver/task/"*/status |
	sort -u)
# a build with sanitizers has none
assert_eq "$filters" "$([ -z "$NTM_SAN" ] && echo 2 || echo 0)" \
	"each of its threads has both lists of system calls"

# killed before anybody was found
kill -KILL "$resolver"
domains_allow b one.example
domains_allow a two.example
ntm_web b 8000
echo from-b >"$LAB/www/f"
assert_eq "$(ntm_run a curl -sS -m 10 "http://$B:8000/f")" from-b \
	"a fetches from b though the resolver was killed"
assert_eq "$(server_role sa dc)" "$dc" "the DC is the same process"
[ "$(server_role sa resolver)" != "$resolver" ] || not_ok "nobody started it again"

# and while it is stopped, what is known goes on
kill -STOP "$(server_role sa resolver)"
assert_eq "$(ntm_run a curl -sS -m 10 "http://$B:8000/f")" from-b \
	"a resolver that hangs holds nobody up who is known"
kill -KILL "$(server_role sa resolver)"
