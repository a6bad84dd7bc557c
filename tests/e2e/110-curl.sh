#!/bin/bash
# SPDX-License-Identifier: MIT
# 110-curl - curl fetches from a peer by name, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000
head -c 1000000 /dev/urandom >"$LAB/www/big"

for family in 4 6; do
	ntm_carried a 1000 1000000 ntm_run a curl -sS -$family \
		"http://$B:8000/big?$family"
	cmp "$LAB/out" "$LAB/www/big"
	ok "curl -$family got the file whole"
	ntm_web_source "big?$family" a $family
done

# The client, too, is told the virtual address it went to; and an upload.
assert_eq "$(ntm_run a curl -sS -4 -o /dev/null -w '%{remote_ip} %{local_ip}' \
	"http://$B:8000/big")" "${NTM_VIP[b.4]} ${NTM_VIP[a.4]}" \
	"curl sees the virtual addresses of both ends"
assert_eq "$(ntm_run a curl -sS -o /dev/null -w '%{http_code}' \
	"http://[${NTM_VIP[b.6]}]:8000/big")" 200 "a literal virtual address works"
