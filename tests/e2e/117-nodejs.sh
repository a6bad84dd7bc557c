#!/bin/bash
# SPDX-License-Identifier: MIT
# 117-nodejs - Node.js, http and dgram, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
echo "# nodejs $(/usr/bin/nodejs --version)"
cat >"$LAB/server.js" <<'END'
const http = require('http'), dgram = require('dgram');
http.createServer((req, res) => {
	const all = [];
	req.on('data', d => all.push(d));
	req.on('end', () => res.end(req.socket.remoteAddress + ' ' +
		Buffer.concat(all).length));
}).listen(7000);
for (const type of ['udp4', 'udp6']) {
	const s = dgram.createSocket({ type, ipv6Only: type == 'udp6' });
	s.on('message', (data, from) =>
		s.send(from.address + ' ' + data.length, from.port, from.address));
	s.bind(7001);
}
END
cat >"$LAB/client.js" <<'END'
const http = require('http'), dgram = require('dgram');
const name = process.argv[2], family = +process.argv[3];
const fail = e => { console.error(e); process.exit(1); };

function udp(done) {
	const s = dgram.createSocket('udp' + family);
	s.on('error', fail);
	s.on('message', data => { console.log(String(data)); s.close(); done(); });
	s.send(Buffer.alloc(900), 7001, name);
}

function burst() {	// several at once: one system call
	const s = dgram.createSocket('udp' + family);
	let got = 0;
	const end = () => { console.log('burst', got); s.close(); };
	const timer = setTimeout(end, 3000);
	s.on('error', fail);
	s.on('message', () => { if (++got == 10) { clearTimeout(timer); end(); } });
	s.bind(0, () => {
		for (let i = 0; i < 10; i++)
			s.send(Buffer.alloc(500), 7001, name);
	});
}

const req = http.request({ host: name, port: 7000, family, method: 'POST' },
	res => {
		let text = '';
		res.on('data', d => text += d);
		res.on('end', () => { console.log(text); udp(burst); });
	});
req.on('error', fail);
req.end(Buffer.alloc(200000));
END
ntm_start server b /usr/bin/nodejs "$LAB/server.js"
wait_for 10 'ntm_listens b tcp 7000 && ntm_listens b udp 7001'

for family in 4 6; do
	ntm_carried a 205000 1000 \
		ntm_run a timeout 15 /usr/bin/nodejs "$LAB/client.js" "$B" $family
	mapfile -t seen <"$LAB/out"
	assert_eq "${seen[0]#::ffff:}" "${NTM_VIP[a.$family]} 200000" \
		"http: the server sees the virtual IPv$family address"
	assert_eq "${seen[1]}" "${NTM_VIP[a.$family]} 900" \
		"dgram: the server sees the virtual IPv$family address"
	assert_eq "${seen[2]}" "burst 10" "dgram: ten at once are answered"
done
