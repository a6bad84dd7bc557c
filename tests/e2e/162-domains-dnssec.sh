#!/bin/bash
# SPDX-License-Identifier: MIT
# 162-domains-dnssec - a signed _ntm record vouches for a domain, without peer add; one
# that is forged, not signed, or not answered does not, and a person is told which
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ntm_installed
ntm_star root sa sb a b
DOMAINS_DIR=$LAB/dns
mkdir -p "$DOMAINS_DIR"
cd "$DOMAINS_DIR"
declare -A KEY=()
for zone in . one.example two.example three.example; do
	KEY[$zone]=$(ldns-keygen -k -a ECDSAP256SHA256 -r /dev/urandom $zone)
done
cat "${KEY[.]}.key" >anchor
{
	echo ". 3600000 NS root."
	domains__addresses root root
} >hints
chmod -R a+rX .
NTM_DC_CONF="hints = $DOMAINS_DIR/hints
anchor = $DOMAINS_DIR/anchor"
domains_server sa one.example
domains_server sb two.example

# zone DOMAIN HOST FINGERPRINT: what an organisation with DNS of its own writes there
zone()
{
	cat <<-END
	$1. 60 IN SOA root. hostmaster.$1. 1 3600 900 604800 5
	$1. 60 IN NS root.
	_ntm.$1. 60 IN TXT "v=ntm1 ca=$3"
	_dc._ntm.$1. 60 IN SRV 0 0 4502 dc.$1.
	END
	domains__addresses "dc.$1" "$2"
}

# sign DOMAIN: its zone file, with the key
sign()
{
	ldns-signzone -f "$1.signed" -e 20371231 "$1.zone" "${KEY[$2]}"
}
false_fp=$(printf '%064d' 7)
zone one.example sa "$(domains_fp one.example)" >one.example.zone
zone two.example sb "$(domains_fp two.example)" >two.example.zone
zone three.example sb "$(domains_fp two.example)" >three.example.zone
zone four.example sb "$(domains_fp two.example)" >four.example.zone
{
	echo ". 60 IN SOA root. hostmaster. 1 3600 900 604800 5"
	echo ". 60 IN NS root."
	domains__addresses root root
	for name in one two three four; do
		echo "$name.example. 60 IN NS root."
	done
	cat "${KEY[one.example]}.ds" "${KEY[two.example]}.ds" \
		"${KEY[three.example]}.ds"
	echo "five.example. 60 IN NS ns.five.example."
	echo "ns.five.example. 60 IN A 10.200.0.77"
} >root.zone
for name in one two three; do
	sign $name.example $name.example
done
sign root .
# somebody on the way changes three.example's fingerprint
sed -i "/TXT/s/ca=[0-9a-f]*/ca=$false_fp/" three.example.signed
chmod -R a+rX .
domains_nsd root .=root.signed one.example=one.example.signed \
	two.example=two.example.signed three.example=three.example.signed \
	four.example=four.example.zone

domains_node a laptop.alice one.example
domains_node b desk.bob two.example
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
ntm_web b 8000
echo from-b >"$LAB/www/f"
lab_resolver a 10.1.0.2
refused "DNS alone adds no domain" "Could not resolve host" \
	ntm_run a curl -sS -m 10 "http://$B:8000/f"
assert_contains "$(ntm_get a warnings)" "ntm allow two.example" \
	"but ntm status says how the person can"
domains_allow b one.example
domains_allow a two.example
assert_lacks "$(ntm_get a warnings)" two.example "and no more, once it is done"
assert_eq "$(ntm_run a curl -sS -m 10 "http://$B:8000/f")" from-b \
	"signed zones vouch for both domains: a fetches from b"
assert_contains "$(lab_as_user sa ntm-server peer list)" "(by DNSSEC)" \
	"nobody was added"

# One that DNSSEC vouches for may be kept out by name
peer()
{
	lab_as_user sa ntm-server peer "$@"
}
refused "it was not added" "peer block" peer remove two.example
peer block two.example
assert_contains "$(peer list | grep ^two.example)" "blocked, and all under it" \
	"the list says what is blocked"
wait_for 10 "[ \"\$(ntm_peer a $B state)\" != direct ]" "lab_as_user a ntm peers"
assert_fails "a blocked domain is not reached" \
	ntm_run a curl -sS -m 10 "http://$B:8000/f"
assert_fails "and does not reach us" ntm_ask b tcp 6 "$A" 7000
peer unblock two.example
wait_for 15 "[ \"\$(ntm_run a curl -sS -m 5 'http://$B:8000/f')\" = from-b ]" \
	"lab_as_user sa ntm-server peer list"
ok "and let in again it is"

# why DOMAIN: what `ntm netcheck` says of it
why()
{
	lab_as_user a ntm netcheck --json | json text | grep -o "The domain $1[^\"]*"
}
for name in three four five; do
	lab_as_user a ntm allow $name.example >"$LAB/log/allow-$name"
done
wait_for 15 'why three.example' 'lab_as_user sa ntm-server peer list'
assert_contains "$(why three.example)" "forged" "netcheck: three.example is forged"
wait_for 15 'why four.example'
assert_contains "$(why four.example)" "nobody vouches" \
	"netcheck: four.example is not signed"
wait_for 30 'why five.example' 'lab_as_user sa ntm-server peer list'
assert_contains "$(why five.example)" "not found or does not answer" \
	"netcheck: nobody answers for five.example"
assert_contains "$(lab_as_user sa ntm-server peer list)" "forged" \
	"and the administrator reads it, too"
for name in three four five; do
	assert_fails "$name.example is not reached" \
		ntm_run a curl -sS -m 10 "http://desk.bob.$name.example:8000/f"
done
