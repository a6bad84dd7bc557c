#!/bin/bash
# SPDX-License-Identifier: MIT
# 139-path-mtu - paths that silently drop large packets, before and during traffic:
# no black hole; up to 1280 bytes always pass; above, a real Packet Too Big
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000
head -c 6000000 /dev/urandom >"$LAB/www/big"
ntm_start echo b "$LAB_SRC/tests/lab/peername.py" udp :: 7000
ntm_start sink b socat -u TCP6-LISTEN:7001,ipv6only=0,fork SYSTEM:sha256sum
wait_for 5 'ntm_listens b udp 7000 && ntm_listens b tcp 7001'
sum=$(sha256sum <"$LAB/www/big" | cut -d ' ' -f 1)

# Send datagrams of one size, never to be fragmented, until one is answered
# ("answered") or the size is refused (the path MTU that the kernel learned).
cat >"$LAB/probe.py" <<'END'
import errno, socket, sys
family = socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6
size = int(sys.argv[3]) - (28 if sys.argv[1] == "4" else 48)
level, discover, mtu = (0, 10, 14) if sys.argv[1] == "4" else (41, 23, 24)
s = socket.socket(family, socket.SOCK_DGRAM)
s.connect(socket.getaddrinfo(sys.argv[2], 7000, family)[0][4])
s.setsockopt(level, discover, 2)
s.settimeout(0.5)
for _ in range(12):
    try:
        s.send(bytes(size))
        s.recv(100)
        print("answered")
        break
    except socket.timeout:
        pass
    except OSError as e:
        if e.errno != errno.EMSGSIZE:
            raise
        print(s.getsockopt(level, mtu))
        break
else:
    print("nothing")
END
probe()
{
	ntm_run a /usr/bin/python3 "$LAB/probe.py" "$1" "$B" "$2"
}

bulk()
{
	local start
	start=$(lab_now)
	ntm_run a curl -sS -"$1" --max-time $((12 * LAB_SLOW)) \
		"http://$B:8000/big" | cmp - "$LAB/www/big"
	ok "$2: 6 MB over IPv$1 in $(lab_ms_since "$start") ms"
	start=$(lab_now)
	ntm_run a timeout $((12 * LAB_SLOW)) socat -u "OPEN:$LAB/www/big" \
		"TCP$1:$B:7001"
	wait_for 5 "[ -s '$(lab_log sink)' ]"
	assert_eq "$(cut -d ' ' -f 1 "$(lab_log sink)")" "$sum" \
		"$2: and up in $(lab_ms_since "$start") ms"
	: >"$(lab_log sink)"
}

for family in 4 6; do
	bulk $family "a whole path"
done

# The path narrows while a transfer runs.
ntm_slow_web b 8002 4m
ntm_start get a curl -sS -o got "http://$B:8002/big"
wait_for 5 "[ \$(stat -c %s '$(lab_home a)/got') -gt 1500000 ]"
lab_wire a drop-above 1300
start=$(lab_now)
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "the path narrowed to 1300 under a transfer: ended $(lab_ms_since \
	"$start") ms later"

# narrow LIMIT: now everything with packets no larger than that outside
narrow()
{
	local limit=$1 family got before
	lab_wire a drop-above "$limit"
	for family in 4 6; do
		bulk $family "path of $limit"
		before=$(lab_wire_count a ab large)
		for size in 600 1100 1280; do
			assert_eq "$(probe $family $size)" answered \
				"path of $limit: IPv$family packets of $size pass"
		done
		got=$(probe $family 1400)
		assert_between "$got" 1280 1399 \
			"path of $limit: 1400 bytes are too big for IPv$family, MTU"
		echo "# dropped as too large meanwhile: \
$(($(lab_wire_count a ab large) - before))"
	done
}
narrow 1300
narrow 1000

# What ping is told inside the virtual network.
got=$(ntm_inside a ping -n -6 -M "do" -c 3 -i 0.2 -W 1 -s 1400 "${NTM_VIP[b.6]}" 2>&1) ||
	:
assert_contains "${got,,}" "mtu" "ping -s 1400 is told the MTU"
assert_lacks "$got" "1408 bytes from" "and not answered"
ntm_inside a ping -n -6 -q -c 1 -W 2 -s 1232 "${NTM_VIP[b.6]}" >"$LAB/out"
ok "ping with packets of 1280 is answered"
