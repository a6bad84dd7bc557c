#!/bin/bash
# SPDX-License-Identifier: MIT
# 213-dns-answer - DNS that answers with virtual addresses leads nobody to a peer; the
# rest of its answers count as ever
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py
ntm_start server b "$serve" tcp :: 7000
wait_for 5 'ntm_listens b tcp 7000'
ntm_ask a tcp 6 "$B" 7000 >"$LAB/out"
ok "a knows b: its addresses would connect"

v4=${NTM_VIP[b.4]} v6=${NTM_VIP[b.6]}
lab_start dns root net "$LAB_SRC/tests/e2e/falsedns.py" 10.2.0.1 \
	"bank.example=$v4,$v6" "mixed.example=$v4,$v6,203.0.113.7,2001:db8::7" \
	"good.example=203.0.113.8,2001:db8::8" "any.example=198.19.255.1" \
	"$B=203.0.113.9,2001:db8::9"
wait_for 5 "grep -q ready '$(lab_log dns)'"
lab_resolver a 10.2.0.1

assert_contains "$(lab_as_user a getent ahosts bank.example)" "$v4" \
	"the false answer reaches the host"
for name in bank.example any.example; do
	for database in ahosts ahostsv4 ahostsv6 hosts; do
		assert_fails "$name has no address for getent $database" \
			ntm_run a getent $database $name
	done
done
refused "curl does not find it" "Could not resolve host: bank.example" \
	ntm_run a curl -sS "http://bank.example:7000/"
ask_error "getaddrinfo" "gai -" 5000 a tcp 4 bank.example 7000

out=$(ntm_run a getent ahosts mixed.example)
assert_contains "$out" 203.0.113.7 "of a mixed answer the real IPv4 address is left"
assert_contains "$out" 2001:db8::7 "and the real IPv6 address"
assert_lacks "$out" "$v4" "and not the virtual ones"
assert_lacks "$out" "$v6" "of either family"
assert_contains "$(ntm_run a getent ahosts good.example)" 203.0.113.8 \
	"a name with real addresses has them"

# Other ways to ask.
cat >"$LAB/names.py" <<'END'
import socket
for name in ("bank.example", "mixed.example", "good.example"):
    try:
        print(name, socket.gethostbyname_ex(name)[2])
    except socket.gaierror as e:
        print(name, "none")
END
out=$(ntm_run a /usr/bin/python3 "$LAB/names.py")
assert_contains "$out" "bank.example none" "gethostbyname: none"
assert_contains "$out" "mixed.example ['203.0.113.7']" "gethostbyname: the real"

# And for the peer's own name DNS is not asked.
: >"$(lab_log dns)"
assert_eq "$(ntm_ask a tcp 6 "$B" 7000 | sed -n '1s/ .*//p')" \
	"${NTM_VIP[a.6]}" "the peer's name leads to the peer"
assert_lacks "$(<"$(lab_log dns)")" "$B" "DNS did not hear of it"
