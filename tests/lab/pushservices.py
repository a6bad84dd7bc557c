#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pushservices.py - FCM, APNs and a UnifiedPush server, as strict as they are

Usage: pushservices.py PORT FOLDER

HTTP/2 over TLS alone, by FOLDER/cert.pem and key.pem. Each request is checked: method,
path, headers, body, and the signature, by FOLDER/fcm.pub and apns.pub (PEM). What is
wrong is answered by 400 and a line "bad WHY"; what is right by a line
"SERVICE TOKEN STATUS". A token that holds "busy" gets 429 with Retry-After once, one
that holds "gone" is of nobody any more. For APNs, where tokens are hexadecimal digits,
that is one that holds "dead"; one that holds "ebbed" gets a 403 once.
"""
import base64
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events

folder = ""
seen = set()
lock = threading.Lock()
access = {"n": 0}


def say(*words):
    with lock:
        print(*words, flush=True)


def unb64(text):
    assert "=" not in text, "padded"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def der(raw):
    """r and s as openssl wants them"""
    def number(b):
        b = b.lstrip(b"\0") or b"\0"
        b = b"\0" + b if b[0] & 0x80 else b
        return b"\x02" + bytes([len(b)]) + b
    body = number(raw[:32]) + number(raw[32:])
    return b"\x30" + bytes([len(body)]) + body


def jwt(text, alg, key):
    head, claims, sig = text.split(".")
    header = json.loads(unb64(head))
    assert header["alg"] == alg, "alg %s" % header["alg"]
    sig = unb64(sig)
    if alg == "ES256":
        assert len(sig) == 64, "signature of %d bytes" % len(sig)
        sig = der(sig)
    with tempfile.NamedTemporaryFile() as f:
        f.write(sig)
        f.flush()
        subprocess.run(["openssl", "dgst", "-sha256", "-verify",
                        "%s/%s" % (folder, key), "-signature", f.name],
                       input=("%s.%s" % (head, claims)).encode(), check=True,
                       stdout=subprocess.DEVNULL)
    claims = json.loads(unb64(claims))
    assert abs(claims["iat"] - time.time()) < 60, "iat"
    return header, claims


def once(key):
    with lock:
        first = key not in seen
        seen.add(key)
        return first


def outcome(token):
    """status, headers, whether it was said before"""
    if "busy" in token and once(token):
        return 429, [("retry-after", "1")]
    return 200, []


def fcm_token(headers, body):
    form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
    assert form["grant_type"] == [
        "urn:ietf:params:oauth:grant-type:jwt-bearer"], "grant_type"
    _, claims = jwt(form["assertion"][0], "RS256", "fcm.pub")
    assert claims["iss"] == "push@ntm.example", "iss"
    assert claims["scope"].endswith("/auth/firebase.messaging"), "scope"
    assert claims["aud"].endswith("/token"), "aud"
    assert claims["exp"] == claims["iat"] + 3600, "exp"
    access["n"] += 1
    say("token", access["n"])
    return 200, [], {"access_token": "access-%d" % access["n"],
                     "expires_in": 3600, "token_type": "Bearer"}


def fcm(headers, body):
    assert headers["authorization"] == "Bearer access-%d" % access["n"], "auth"
    assert headers["content-type"] == "application/json", "content-type"
    message = json.loads(body)["message"]
    assert message["data"] == {"ntm": "direction"}, "data"
    assert message["android"]["priority"] == "HIGH", "priority"
    token = message["token"]
    status, more = outcome(token)
    if "gone" in token:
        say("fcm", token, 404)
        return 404, [], {"error": {"details": [{"errorCode": "UNREGISTERED"}]}}
    say("fcm", token, status)
    return status, more, {"name": "x"}


def apns(headers, body, token):
    kind, text = headers["authorization"].split(" ")
    assert kind == "bearer", "auth"
    header, claims = jwt(text, "ES256", "apns.pub")
    assert header["kid"] == "KEY7890123", "kid"
    assert claims["iss"] == "TEAM456789", "iss"
    assert headers["apns-topic"] == "org.example.ntm", "topic"
    assert headers["apns-push-type"] == "background", "push-type"
    assert headers["apns-priority"] == "5", "priority"
    assert 0 < int(headers["apns-expiration"]) - time.time() <= 61, "expiration"
    assert json.loads(body)["aps"] == {"content-available": 1}, "body"
    if "dead" in token:
        say("apns", token, 410)
        return 410, [], {"reason": "Unregistered"}
    if "ebbed" in token and once(token):
        say("apns", token, 403)
        return 403, [], {"reason": "ExpiredProviderToken"}
    status, more = outcome(token)
    say("apns", token, status)
    return status, more, {}


def unified(headers, body, token):
    assert headers["ttl"] == "60" and headers["urgency"] == "high", "headers"
    assert json.loads(body) == {"ntm": "direction"}, "body"
    if "gone" in token:
        say("unified", token, 410)
        return 410, [], {}
    status, more = outcome(token)
    say("unified", token, status)
    return status, more, {}


def answer(headers, body):
    try:
        assert headers[":method"] == "POST", "method"
        path = headers[":path"]
        if path == "/token":
            return fcm_token(headers, body)
        if path == "/v1/projects/ntm-project/messages:send":
            return fcm(headers, body)
        if path.startswith("/3/device/"):
            return apns(headers, body, path[10:])
        assert path.startswith("/up/"), "path"
        return unified(headers, body, path[4:])
    except Exception as e:  # said, and no service
        say("bad", repr(e))
        return 400, [], {"error": repr(e)}


def serve(s):
    c = h2.connection.H2Connection(
        config=h2.config.H2Configuration(client_side=False,
                                         header_encoding="utf-8"))
    c.initiate_connection()
    s.sendall(c.data_to_send())
    requests = {}
    while True:
        data = s.recv(65536)
        if not data:
            return
        for e in c.receive_data(data):
            if isinstance(e, h2.events.RequestReceived):
                requests[e.stream_id] = [dict(e.headers), b""]
            elif isinstance(e, h2.events.DataReceived):
                requests[e.stream_id][1] += e.data
                c.acknowledge_received_data(e.flow_controlled_length,
                                            e.stream_id)
            elif isinstance(e, h2.events.StreamEnded):
                status, more, body = answer(*requests.pop(e.stream_id))
                text = json.dumps(body).encode()
                c.send_headers(e.stream_id, [
                    (":status", str(status)),
                    ("content-type", "application/json"),
                    ("content-length", str(len(text)))] + more)
                c.send_data(e.stream_id, text, end_stream=True)
        s.sendall(c.data_to_send())


def handle(raw, context):
    try:
        with context.wrap_socket(raw, server_side=True) as s:
            if s.selected_alpn_protocol() != "h2":
                say("bad", "no HTTP/2")
                return
            serve(s)
    except OSError:
        pass


def main():
    global folder
    port, folder = int(sys.argv[1]), sys.argv[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("", port))
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=handle, args=(raw, context),
                         daemon=True).start()


main()
