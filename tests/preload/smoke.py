# SPDX-License-Identifier: MIT
"""smoke - CPython under the shim: sockets, asyncio, http.server, subprocess."""
import asyncio
import http.server
import os
import socket
import subprocess
import sys
import threading
import urllib.request

NODE4, NODE6, PEER4 = '198.18.0.2', 'fd6e::2', '198.18.0.3'
SO_NETNS_COOKIE = 71

if os.environ['FAKE_NS'] != '1':
    print('# SKIP no namespace here')
    sys.exit(77)


def cookie(sock):
    return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


with socket.socket(socket.AF_UNIX) as s:
    HOST = cookie(s)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = self.client_address[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(seen.encode())

    def log_message(self, *args):
        pass


def http_case():
    server = http.server.ThreadingHTTPServer(('', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    for host, want in ((NODE4, NODE4), ('127.0.0.1', '127.0.0.1'),
                       ('peer.me.test', NODE4)):
        with urllib.request.urlopen(f'http://{host}:{port}/', timeout=10) as r:
            assert r.read().decode() == want, (host, want)
    # a child made by vfork, its sockets its own
    out = subprocess.run(
        [sys.executable, '-c',
         'import sys, urllib.request as u;'
         'print(u.urlopen(sys.argv[1], timeout=10).read().decode())',
         f'http://{NODE4}:{port}/'], check=True, capture_output=True)
    assert out.stdout.decode().strip() == NODE4, out
    server.shutdown()


async def stream_case():
    async def serve(reader, writer):
        sock = writer.get_extra_info('socket')
        writer.write(writer.get_extra_info('peername')[0].encode() + b' ' +
                     str(cookie(sock) != HOST).encode() + b'\n')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, '0.0.0.0', 0)
    port = server.sockets[0].getsockname()[1]
    for host, want in ((NODE4, b'198.18.0.2 True\n'),
                       ('127.0.0.1', b'127.0.0.1 False\n')):
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.readline() == want
        writer.close()
    server.close()


class Echo(asyncio.DatagramProtocol):
    def __init__(self):
        self.heard = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b'question':
            self.transport.sendto(addr[0].encode(), addr)
        elif not self.heard.done():
            self.heard.set_result((data, addr[0]))


async def datagram_case():
    loop = asyncio.get_running_loop()
    t, _ = await loop.create_datagram_endpoint(
        Echo, local_addr=('0.0.0.0', 0))
    port = t.get_extra_info('sockname')[1]
    # the server is announced once it sends to a virtual address
    t.sendto(b'hello', (PEER4, 9))
    c, client = await loop.create_datagram_endpoint(
        Echo, local_addr=(PEER4, 0))
    c.sendto(b'question', (NODE4, port))
    heard = await asyncio.wait_for(client.heard, 10)
    assert heard == (PEER4.encode(), NODE4), heard
    h, host = await loop.create_datagram_endpoint(
        Echo, local_addr=('127.0.0.1', 0))
    h.sendto(b'question', ('127.0.0.1', port))
    heard = await asyncio.wait_for(host.heard, 10)
    assert heard == (b'127.0.0.1', '127.0.0.1'), heard
    for transport in (t, c, h):
        transport.close()


http_case()
asyncio.run(stream_case())
asyncio.run(datagram_case())
print('ok')
