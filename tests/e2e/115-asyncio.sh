#!/bin/bash
# SPDX-License-Identifier: MIT
# 115-asyncio - Python's asyncio, TCP and UDP, servers and clients
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
cat >"$LAB/server.py" <<'END'
import asyncio

class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        seen = addr[0].replace("::ffff:", "").encode()
        self.transport.sendto(seen + b" " + data, addr)

async def tcp(reader, writer):
    data = await reader.readexactly(300000)
    peer = writer.get_extra_info("peername")[0]
    writer.write(peer.encode().ljust(50) + data)
    await writer.drain()
    writer.close()

async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Udp, local_addr=("::", 7000))
    server = await asyncio.start_server(tcp, None, 7000)
    await server.serve_forever()

asyncio.run(main())
END
cat >"$LAB/client.py" <<'END'
import asyncio, os, socket, sys

family = socket.AF_INET if sys.argv[2] == "4" else socket.AF_INET6

class Udp(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        if not self.got.done():
            self.got.set_result(data)

    def error_received(self, exc):
        self.got.set_exception(exc)

async def tcp(name):
    sent = os.urandom(300000)
    reader, writer = await asyncio.open_connection(name, 7000, family=family)
    writer.write(sent)
    await writer.drain()
    got = await reader.read(-1)
    writer.close()
    assert got[50:] == sent, len(got)
    return got[:50].decode().strip()

async def udp(name):
    loop = asyncio.get_running_loop()
    transport, udp = await loop.create_datagram_endpoint(
        Udp, remote_addr=(name, 7000), family=family)
    transport.sendto(b"x" * 900)
    got = await asyncio.wait_for(udp.got, 5)
    transport.close()
    assert got.endswith(b" " + b"x" * 900)
    return got[:-901].decode()

async def main():
    name = sys.argv[1]
    print(await tcp(name))
    print(await udp(name))
    many = await asyncio.gather(*(tcp(name) for _ in range(8)),
                                *(udp(name) for _ in range(8)))
    print(*set(many))

asyncio.run(main())
END
ntm_start server b /usr/bin/python3 "$LAB/server.py"
wait_for 5 'ntm_listens b tcp 7000 && ntm_listens b udp 7000'

for family in 4 6; do
	ntm_carried a 2700000 2700000 \
		ntm_run a /usr/bin/python3 "$LAB/client.py" "$B" $family
	mapfile -t seen <"$LAB/out"
	assert_eq "${seen[0]}" "${NTM_VIP[a.$family]}" \
		"TCP: the server sees the virtual IPv$family address"
	assert_eq "${seen[1]}" "${NTM_VIP[a.$family]}" \
		"UDP: the server sees the virtual IPv$family address"
	assert_eq "${seen[2]}" "${NTM_VIP[a.$family]}" \
		"eight of each at once: the same"
done
