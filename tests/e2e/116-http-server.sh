#!/bin/bash
# SPDX-License-Identifier: MIT
# 116-http-server - Python's http.server and urllib, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000
head -c 200000 /dev/urandom >"$LAB/www/file"
digest=$(sha256sum <"$LAB/www/file" | cut -c 1-64)
fetch='import hashlib, sys, urllib.request
print(hashlib.sha256(urllib.request.urlopen(sys.argv[1]).read()).hexdigest())'

# fetch_from HOST-IN-URL NEEDLE
fetch_from()
{
	ntm_carried a 500 200000 ntm_run a /usr/bin/python3 -c "$fetch" \
		"http://$1:8000/file?$2"
	assert_eq "$(cat "$LAB/out")" "$digest" "urllib fetched from $1"
}

fetch_from "$B" name
assert_virtual "$(ntm_web_seen 'file?name')" "by name: the server's log"
fetch_from "${NTM_VIP[b.4]}" four
ntm_web_source 'file?four' a 4
fetch_from "[${NTM_VIP[b.6]}]" six
ntm_web_source 'file?six' a 6

# A listener of either family alone.
lab_stop web
for any in 4=0.0.0.0 6=::; do
	family=${any%=*}
	ntm_start web b /usr/bin/python3 -u -m http.server 8000 \
		--bind "${any#*=}" --directory "$LAB/www"
	wait_for 5 'ntm_listens b tcp 8000'
	ntm_run a curl -sS -$family -o /dev/null "http://$B:8000/file?only"
	ntm_web_source 'file?only' a $family
	lab_stop web
done
