#!/bin/bash
# SPDX-License-Identifier: MIT
# 220-domains-refused - a domain whose CA is not the one that was named, overlaps
# another, or has changed: who must do what is one sentence
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ntm_installed
ntm_star root sa sb a b
domains_apart
ntm_web b 8000
echo from-b >"$LAB/www/f"
fp=$(domains_fp two.example)
other=${fp:0:63}$([ "${fp:63}" = 0 ] && echo 1 || echo 0)
peer()
{
	lab_as_user sa ntm-server peer "$@"
}

# What an administrator may not add
refused "a name is no domain" "is not a domain" peer add no_domain "$fp"
refused "half a fingerprint" "not a CA's fingerprint" peer add two.example "${fp:0:32}"
refused "its own domain" "server's own" peer add sub.one.example "$fp"
refused "a CA that is this one's" "server's own" \
	peer add three.example "$(domains_fp one.example)"
lab_as_user sb ntm-server peer add one.example "$(domains_fp one.example)"
peer add two.example "$fp"
refused "one CA under two names" "overlaps the peer two.example" \
	peer add three.example "$fp"
refused "a domain under another" "overlaps the peer two.example" \
	peer add sub.two.example "$other"
refused "nobody to remove" "no such peer" peer remove three.example

# The DC there shows another CA than was added
peer add two.example "$other"
lab_as_user a ntm allow two.example >"$LAB/log/allow-a"
why()
{
	lab_as_user a ntm status --json | json domains.0.why
}
wait_for 10 '[ -n "$(why)" ]' "lab_as_user a ntm status --json"
assert_contains "$(why)" "another CA than the one that the administrator" \
	"the person is told of a wrong CA"
wait_for 5 'peer list | grep -q "another CA"'
ok "and so is the administrator"
assert_fails "nothing is reached" ntm_run a curl -sS -m 10 "http://$B:8000/f"

# The right one
peer add two.example "$fp"
domains_allow b one.example
lab_as_user a ntm down
ntm_up a
ntm_wait_online a
wait_for 10 '[ -n "$(ntm_get a domains.0.ca)" ]'
assert_eq "$(ntm_run a curl -sS -m 10 "http://$B:8000/f")" from-b \
	"with the right fingerprint it works"
lab_as_user a ntm verify --json "$B" >"$LAB/out"
assert_contains "$(<"$LAB/out")" "$B" "ntm verify shows the code of a foreign peer"

# two.example begins anew, with another CA
lab_stop server-sb
rm -rf "$(lab_home sb)/.local/share/ntm-server"
domains_server sb two.example
lab_as_user sb ntm-server peer add one.example "$(domains_fp one.example)"
peer add two.example "$(domains_fp two.example)"
lab_as_user a ntm down
ntm_up a
ntm_wait_online a
changed()
{
	lab_as_user a ntm netcheck --json | json text |
		grep -o "The domain two.example[^\"]*"
}
wait_for 15 'changed' 'lab_as_user a ntm status --json'
assert_contains "$(changed)" "another CA than before" "a changed CA is refused"
assert_contains "$(changed)" "ntm forget" "and the person is told what to do"
assert_eq "$(ntm_get a domains.0.ca)" "$fp" "the one from before still counts"
lab_as_user a ntm forget two.example
wait_for 15 "[ \"\$(ntm_get a domains.0.ca)\" = $(domains_fp two.example) ]" \
	"lab_as_user a ntm status --json"
ok "after ntm forget the new one is taken"
