// SPDX-License-Identifier: MIT
// smoke - Node under the shim: http on the wildcard, dgram, names
'use strict';
const assert = require('assert');
const dgram = require('dgram');
const dns = require('dns');
const http = require('http');

const NODE4 = '198.18.0.2', NODE6 = 'fd6e::2', PEER4 = '198.18.0.3';

if (process.env.FAKE_NS !== '1') {
	console.log('# SKIP no namespace here');
	process.exit(77);
}

function get(host, port) {
	return new Promise((resolve, reject) => {
		http.get({ host, port, agent: false }, (res) => {
			let text = '';
			res.on('data', (d) => { text += d; });
			res.on('end', () => resolve(text));
		}).on('error', reject);
	});
}

function heard(socket) {
	return new Promise((resolve) => {
		socket.once('message', (m, from) =>
			resolve(`${m} ${from.address}`));
	});
}

function bound(...args) {
	return new Promise((resolve) => {
		const s = dgram.createSocket('udp4');
		s.bind(...args, () => resolve(s));
	});
}

async function main() {
	const server = http.createServer((req, res) =>
		res.end(req.socket.remoteAddress));
	await new Promise((resolve) => server.listen(0, resolve));
	const port = server.address().port;
	assert.strictEqual(await get(NODE4, port), '::ffff:' + NODE4);
	assert.strictEqual(await get(NODE6, port), NODE6);
	assert.strictEqual(await get('127.0.0.1', port), '::ffff:127.0.0.1');
	assert.strictEqual(await get('peer.me.test', port) !== '', true);
	server.close();

	const all = await dns.promises.lookup('peer.me.test', { all: true });
	assert.deepStrictEqual(all.map((a) => a.address).sort(),
		[NODE4, NODE6].sort());

	// binds 0.0.0.0:0, then sends where it is told: to both networks
	const s = dgram.createSocket('udp4');
	const peer = await bound(0, PEER4), host = await bound(0, '127.0.0.1');
	let got = heard(peer);
	s.send('virtual', peer.address().port, PEER4);
	assert.strictEqual(await got, 'virtual ' + NODE4);
	got = heard(host);
	s.send('host', host.address().port, '127.0.0.1');
	assert.strictEqual(await got, 'host 127.0.0.1');
	got = heard(s);
	peer.send('back', s.address().port, NODE4);
	assert.strictEqual(await got, 'back ' + PEER4);
	s.close();
	peer.close();
	host.close();
	console.log('ok');
}

main().catch((err) => {
	console.error(err);
	process.exit(1);
});
