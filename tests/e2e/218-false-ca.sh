#!/bin/bash
# SPDX-License-Identifier: MIT
# 218-false-ca - a CA without name constraints, or with more than its own domain and
# addresses, is refused at login, though the join string names its key
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
lab_net n
for host in server a; do
	lab_host $host
done
lab_link server n 10.0.0.1/24 -
lab_link a n 10.0.0.2/24 -
ntm_server server "$NTM_DOMAIN"
ntm_account server alice
lab_stop server-server
dir=$(server_dir server)
ntm_up a

# The domain's own keys, as other programs want them.
pem()
{
	{
		printf '\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20'
		sed -n 's/^ed25519 //p' "$1" | /usr/bin/python3 -c '
import sys
sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))'
	} | openssl pkey -inform DER -out "$2"
	chmod 644 "$2"
}
pem "$dir/as/ca.key" "$LAB/ca.key"
pem "$dir/as/server.key" "$LAB/server.key"
openssl x509 -inform DER -in "$dir/as/server.der" -out "$LAB/server.pem"
own6=$(openssl x509 -in "$dir/as/ca.pem" -noout -text |
	sed -n 's|.*IP:\(FD6E:[^/]*\)/.*|\1|p')
own6=${own6/:0:0:0:0/::}
fp=${NTM_JOIN[$NTM_DOMAIN]##*#}

# forge NAME [CONSTRAINT...]: a CA certificate for the same key, so that the server's
# certificate is good under it; only the constraints differ
forge()
{
	local name=$1 constraints
	shift
	constraints=$(IFS=,; echo "$*")
	cat >"$LAB/$name.conf" <<-END
	[req]
	distinguished_name = dn
	x509_extensions = ca
	prompt = no
	[dn]
	CN = $NTM_DOMAIN
	[ca]
	subjectKeyIdentifier = ${fp:0:40}
	basicConstraints = critical,CA:TRUE,pathlen:0
	keyUsage = critical,keyCertSign
	${constraints:+nameConstraints = $constraints}
	END
	openssl req -new -x509 -key "$LAB/ca.key" -days 30 \
		-config "$LAB/$name.conf" -out "$LAB/$name.pem"
}

cat >"$LAB/serve.py" <<'END'
import socket, ssl, sys
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.minimum_version = ssl.TLSVersion.TLSv1_3
c.load_cert_chain(sys.argv[1], sys.argv[2])
s = socket.create_server(("10.0.0.1", 4501))
print("ready", flush=True)
while True:
    try:
        t = c.wrap_socket(s.accept()[0], server_side=True)
        print("heard", len(t.recv(4096)), flush=True)
        t.close()
    except OSError as e:
        print("refused", e, flush=True)
END

# login NAME: the error's name, at a server that shows that CA
login()
{
	cat "$LAB/server.pem" "$LAB/$1.pem" >"$LAB/chain"
	lab_start false user server /usr/bin/python3 "$LAB/serve.py" \
		"$LAB/chain" "$LAB/server.key"
	wait_for 5 "grep -q ready '$(lab_log false)'"
	try_login a "$NTM_PASSWORD" alice a --json | json error || :
	lab_stop false
}

ip4="permitted;IP:198.18.0.0/255.254.0.0"
ip6="permitted;IP:$own6/ffff:ffff:ffff:ffff::"
dns="permitted;DNS:$NTM_DOMAIN"

# The control: with the right constraints the login itself is sent.
forge good critical "$dns" "$ip6" "$ip4"
assert_ne "$(login good)" CONSTRAINT "the same by another program is a good CA"
assert_contains "$(<"$(lab_log false)")" heard "and hears the login"

check()
{
	local what=$1
	shift
	forge bad "$@"
	assert_eq "$(login bad)" CONSTRAINT "refused: $what"
	assert_lacks "$(<"$(lab_log false)")" heard "it hears nothing"
}
check "no constraints"
check "constraints that are not critical" "$dns" "$ip6" "$ip4"
check "another's /64" critical "$dns" \
	"permitted;IP:fd6e:1:2:3::/ffff:ffff:ffff:ffff::" "$ip4"
check "all of fd6e::/16" critical "$dns" "permitted;IP:fd6e::/ffff::" "$ip4"
check "every IPv4 address" critical "$dns" "$ip6" \
	"permitted;IP:0.0.0.0/0.0.0.0"
check "a second domain" critical "$dns" "permitted;DNS:bank.example" "$ip6" "$ip4"
check "no domain" critical "$ip6" "$ip4"
forge bad
cat "$LAB/server.pem" "$LAB/bad.pem" >"$LAB/chain"
lab_start false user server /usr/bin/python3 "$LAB/serve.py" "$LAB/chain" \
	"$LAB/server.key"
wait_for 5 "grep -q ready '$(lab_log false)'"
refused "it is said in one sentence" "could not prove that it is the one" \
	try_login a "$NTM_PASSWORD" alice a
lab_stop false
ntm_server_start server
ntm_login a alice a
ntm_wait_online a
ok "the real server is taken"
