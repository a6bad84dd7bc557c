#!/bin/bash
# SPDX-License-Identifier: MIT
# test_programs - real programs under the real shim, engine and shim server, with the
#                 worker that stands in: TCP and UDP servers on the wildcard
set -eu
export HOME=$(mktemp -d) LC_ALL=C.UTF-8
export XDG_RUNTIME_DIR=$HOME/run XDG_STATE_HOME=$HOME XDG_CONFIG_HOME=$HOME
mkdir -m 700 "$XDG_RUNTIME_DIR"
cd "$HOME"
V4=198.18.0.5 V6=fd6e:1:2:3::5 jobs=()
# Under SAN= the system's programs take the plain library.
shim=$O/lib/libntm.so
[ ! -e "$O/plain/libntm.so" ] || shim=$O/plain/libntm.so
shim=$(realpath "$shim")
export ASAN_OPTIONS=detect_leaks=0

finish()
{
	local status=$?
	kill "${jobs[@]}" 2>/dev/null || true
	[ ! -s nginx/pid ] || kill "$(cat nginx/pid)" || true
	kill "$(cat run/ntm/lock)" || true
	[ $status = 0 ] || tail -n 20 ntm/broker.log nginx/error
	rm -rf "$HOME"
	exit $status
}
"$O/bin/ntm-broker" --log-level=debug --worker="$O/tests/standin"
trap finish EXIT

shimmed()
{
	LD_PRELOAD=$shim "$@"
}

# until COMMAND...: at most 10 s
until_true()
{
	local end=$((SECONDS + 10))
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { echo "not ok - waited for: $*"; exit 1; }
		read -rt 0.05 <> <(:) || true
	done
}

# served TEXT URL-TAIL PORT ADDRESS...: each ADDRESS answers and sees its client
served()
{
	local text=$1 tail=$2 port=$3 got want
	shift 3
	for want; do
		got=$(shimmed curl -sS -m 5 "http://$(host "$want"):$port/$tail")
		[ "${got#::ffff:}" = "$want" ] ||
			{ echo "not ok - $text: $want was seen as '$got'"; exit 1; }
	done
	echo "ok - $text"
}
host()
{
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}

# nginx empties its environment, and its workers share or split the listeners.
mkdir nginx
for mode in '' reuseport deferred; do
	cat >nginx/conf <<-EOF
		worker_processes 2; pid $HOME/nginx/pid; error_log $HOME/nginx/error;
		events { multi_accept on; }
		http { access_log off; client_body_temp_path $HOME/nginx/1;
		  proxy_temp_path $HOME/nginx/2; fastcgi_temp_path $HOME/nginx/3;
		  uwsgi_temp_path $HOME/nginx/4; scgi_temp_path $HOME/nginx/5;
		  server { listen 8080 $mode; listen [::]:8080 ipv6only=on $mode;
		    location / { return 200 \$remote_addr; } } }
	EOF
	shimmed nginx -c "$HOME/nginx/conf" -p "$HOME/nginx" 2>/dev/null
	until_true test -s nginx/pid
	served "nginx ${mode:-with one listener}" '' 8080 \
		$V4 $V6 127.0.0.1 ::1 $V4 $V6 $V4 $V6
	pid=$(cat nginx/pid)
	kill "$pid"
	until_true test ! -e nginx/pid
	until_true test ! -d "/proc/$pid"
done

cat >node.js <<-'EOF'
	const http = require('http'), dgram = require('dgram');
	http.createServer((q, r) => r.end(q.socket.remoteAddress)).listen(8081);
	const u = dgram.createSocket('udp6');
	u.on('message', (m, r) => u.send(r.address, r.port, r.address));
	u.bind(8081);
EOF
shimmed node node.js &
jobs+=($!)
until_true curl -sS http://127.0.0.1:8081/ -o /dev/null
served "node, one dual-stack listener" '' 8081 $V4 $V6 127.0.0.1 ::1

cat >aio.py <<-'EOF'
	import asyncio
	async def answer(r, w):
	    await r.readline()
	    peer = w.get_extra_info('peername')[0]
	    w.write(f'HTTP/1.0 200 OK\r\n\r\n{peer}'.encode())
	    w.close()
	class Echo(asyncio.DatagramProtocol):
	    def connection_made(self, t):
	        self.t = t
	    def datagram_received(self, data, addr):
	        self.t.sendto(addr[0].encode(), addr)
	async def main():
	    loop = asyncio.get_running_loop()
	    await asyncio.start_server(answer, None, 8082)
	    await loop.create_datagram_endpoint(Echo, local_addr=('0.0.0.0', 8082))
	    await asyncio.Event().wait() # until it is killed
	asyncio.run(main())
EOF
shimmed python3 aio.py &
jobs+=($!)
until_true curl -sS http://127.0.0.1:8082/ -o /dev/null
served "asyncio, IPv4 and V6ONLY listeners" '' 8082 $V4 $V6 127.0.0.1 ::1

# A client's socket is swapped, the server's is mapped: both ends see the peer.
cat >ask.py <<-'EOF'
	import socket, sys
	for to in sys.argv[2:]:
	    family = socket.AF_INET6 if ':' in to else socket.AF_INET
	    s = socket.socket(family, socket.SOCK_DGRAM)
	    s.settimeout(5)
	    s.sendto(b'?', (to, int(sys.argv[1])))
	    data, source = s.recvfrom(100)
	    seen = data.decode().replace('::ffff:', '')
	    if seen != to or source[0] != to:
	        sys.exit(f'not ok - UDP {to}: seen as {seen}, answered by {source[0]}')
EOF
shimmed python3 ask.py 8081 $V4 $V6 127.0.0.1 ::1
echo "ok - node's UDP server"
shimmed python3 ask.py 8082 $V4 127.0.0.1
echo "ok - asyncio's UDP server"

grep -qx 'unclaimed 0' run/ntm/standin || { echo "not ok - unclaimed doorbells"; exit 1; }
echo "ok - every doorbell was claimed"
