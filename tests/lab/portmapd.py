#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""portmapd - a played router that maps ports, and one that lies, for tests

Usage: portmapd.py ADDRESS OUTSIDE PROTOCOLS MANNER [COMMAND]

PROTOCOLS: of pcp, natpmp, upnp, joined by commas.  MANNER:
  good      maps OUTSIDE, port 20000 and up
  silent    hears all, says nothing
  garbage   answers everything with bytes that mean nothing
  deny      says no
  drip      begins to answer by HTTP, and never ends
  foreign   good, but its description names another host to command
COMMAND ADD|DEL INNER PORT OUTER_PORT is called for each mapping.  Every request is a
line on standard output; `ready` is the first.
"""
import re
import socket
import struct
import subprocess
import sys
import threading
import time

ADDRESS, OUTSIDE, PROTOCOLS, MANNER = sys.argv[1:5]
COMMAND = sys.argv[5:]
V4 = bytes(10) + b"\xff\xff"
GARBAGE = bytes(range(7, 90))
mappings = {}
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def say(*words):
    print(*words, flush=True)


def mapped(inner, port, life, wish=0):
    """Return: the outer port"""
    outer = mappings.get((inner, port)) or wish or 20000 + len(mappings)
    if life:
        if (inner, port) not in mappings and COMMAND:
            subprocess.run(COMMAND + ["ADD", inner, str(port), str(outer)],
                           check=True)
        mappings[inner, port] = outer
    elif mappings.pop((inner, port), None) and COMMAND:
        subprocess.run(COMMAND + ["DEL", inner, str(port), str(outer)],
                       check=True)
    return outer


def pcp(q, client):
    if q[1] != 1 or len(q) != 60 or q[8:24] != V4 + socket.inet_aton(client):
        return struct.pack("!BBxBIIxxxxxxxxxxxx", 2, q[1] | 128, 3, 60, 1)
    life, = struct.unpack("!I", q[4:8])
    port, = struct.unpack("!H", q[40:42])
    say("pcp", client, port, life)
    if MANNER == "deny":
        return struct.pack("!BBxBII12x", 2, 129, 2, 1800, 1) + q[24:60]
    outer = mapped(client, port, life)
    return struct.pack("!BBxBII12x", 2, 129, 0, life, 1) + q[24:42] + \
        struct.pack("!H", outer) + V4 + socket.inet_aton(OUTSIDE)


def natpmp(q, client):
    if q[1] == 0:
        say("natpmp address")
        return struct.pack("!BBHI", 0, 128, 2 if MANNER == "deny" else 0, 1) \
            + socket.inet_aton(OUTSIDE)
    port, _, life = struct.unpack("!HHI", q[4:12])
    say("natpmp", client, port, life)
    return struct.pack("!BBHIHHI", 0, 129, 0, 1, port,
                       mapped(client, port, life), life)


def udp(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    return s


def serve_5351(s):
    while True:
        q, at = s.recvfrom(2000)
        if MANNER == "silent":
            say("heard", q[0], q[1])
        elif MANNER == "garbage":
            say("heard", q[0], q[1])
            s.sendto(GARBAGE, at)
        elif q[0] == 2 and "pcp" in PROTOCOLS:
            s.sendto(pcp(q, at[0]), at)
        elif q[0] == 0 and "natpmp" in PROTOCOLS:
            s.sendto(natpmp(q, at[0]), at)
        else:  # of another version
            s.sendto(struct.pack("!BBHI", 0 if q[0] else 2, q[1] | 128, 1, 1),
                     at)


def description(port):
    host = "203.0.113.77" if MANNER == "foreign" else ADDRESS
    dev = "urn:schemas-upnp-org:device:"
    return f"""<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://{host}:{port}</URLBase>
<device><deviceType>{dev}InternetGatewayDevice:1</deviceType><deviceList>
<device><deviceType>{dev}WANDevice:1</deviceType><deviceList>
<device><deviceType>{dev}WANConnectionDevice:1</deviceType><serviceList>
<service><serviceType>{SERVICE}</serviceType><controlURL>/ctl</controlURL>
<eventSubURL>/evt</eventSubURL><SCPDURL>/scpd</SCPDURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>"""


def command(text):
    def value(name):
        m = re.search(f"<{name}[^>]*>([^<]*)<", text)
        return m.group(1) if m else ""
    action = re.search(r"<u:(\w+)", text).group(1)
    say("upnp", action)
    out = ""
    if MANNER == "deny":
        return "500 No", """<s:Envelope><s:Body><s:Fault><detail><UPnPError>
<errorCode>606</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>"""
    if action == "GetExternalIPAddress":
        out = f"<NewExternalIPAddress>{OUTSIDE}</NewExternalIPAddress>"
    elif action == "AddPortMapping":
        mapped(value("NewInternalClient"), int(value("NewInternalPort")),
               int(value("NewLeaseDuration")) or 1,
               int(value("NewExternalPort")))
    elif action == "DeletePortMapping":
        for (inner, port), outer in list(mappings.items()):
            if outer == int(value("NewExternalPort")):
                mapped(inner, port, 0)
    return "200 OK", f"""<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<u:{action}Response xmlns:u="{SERVICE}">{out}</u:{action}Response>
</s:Body></s:Envelope>"""


def http_one(c, port):
    q = b""
    while b"\r\n\r\n" not in q:
        q += c.recv(4096) or b"\r\n\r\n"
    head, body = q.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length.group(1)):
        body += c.recv(4096)
    say("http", head.split(b"\r\n")[0].decode())
    if MANNER == "drip":
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            c.sendall(b"<")
            time.sleep(0.1)  # a byte at a time, for ever: that is the manner
    if MANNER == "garbage":
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"<<a<" + GARBAGE * 50)
        return
    code, text = ("200 OK", description(port)) if head.startswith(b"GET") \
        else command(body.decode())
    c.sendall(f"HTTP/1.1 {code}\r\nContent-Type: text/xml\r\n"
              f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
              .encode())


def serve_http(s):
    while True:
        c, _ = s.accept()
        try:
            http_one(c, s.getsockname()[1])
        except OSError:
            pass
        c.close()


def ssdp(interface):
    s = udp("239.255.255.250", 1900)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 socket.inet_aton("239.255.255.250") +
                 socket.inet_aton(interface))
    return s


def serve_ssdp(s, port):
    while True:
        q, at = s.recvfrom(2000)
        say("search", at[0])
        if MANNER == "silent":
            continue
        st = re.search(rb"(?i)\r\nst: *(\S+)", q).group(1).decode()
        s.sendto(f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=60\r\n"
                 f"LOCATION: http://{ADDRESS}:{port}/desc.xml\r\n"
                 f"ST: {st}\r\nUSN: uuid:1::{st}\r\nEXT:\r\n\r\n".encode(), at)


def main():
    serve = []
    if PROTOCOLS != "upnp" or MANNER == "silent":  # else nobody is at that port
        serve = [(serve_5351, udp(ADDRESS, 5351))]
    if "upnp" in PROTOCOLS:
        web = socket.create_server((ADDRESS, 0))
        on = "127.0.0.1" if ADDRESS.startswith("127.") else ADDRESS
        serve += [(serve_http, web),
                  (serve_ssdp, ssdp(on), web.getsockname()[1])]
    for fn, *args in serve:
        threading.Thread(target=fn, args=args, daemon=True).start()
    say("ready")
    threading.Event().wait()


main()
