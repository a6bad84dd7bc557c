#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""exchange_check - holds what a box was asked and answered to docs/exchange.yaml

Usage: exchange_check.py RECORDS only|but|some PATH,...  A line each: method, path, headers,
body, status and answer of one request.  Each must be in the file, as it was answered; one
that succeeded must have been asked as the file says; and every operation of the box below
these paths (only), or below no such path (but), must have succeeded once; or none has to (some).
"""
import json
import re
import sys

import jsonschema
import yaml


def fail(text):
    sys.exit("exchange_check: " + text)


def plain(node):
    """OpenAPI 3.0's nullable as JSON Schema has it"""
    if isinstance(node, list):
        return [plain(v) for v in node]
    if not isinstance(node, dict):
        return node
    node = {k: plain(v) for k, v in node.items()}
    if node.pop("nullable", False):
        return {"anyOf": [node, {"type": "null"}]}
    return node


with open("docs/exchange.yaml", encoding="utf-8") as f:
    ROOT = plain(yaml.safe_load(f))
RESOLVER = jsonschema.RefResolver("", ROOT)


def follow(node):
    while "$ref" in node:
        target = ROOT
        for part in node["$ref"].split("/")[1:]:
            target = target[part]
        node = target
    return node


def check(schema, value, what):
    for error in jsonschema.Draft4Validator(schema, resolver=RESOLVER).iter_errors(value):
        fail("%s: %s" % (what, error.message))


def operations():
    """those of the box: (method, path) -> operation, with the path's parameters"""
    found = {}
    for path, item in ROOT["paths"].items():
        if "//box." not in json.dumps(item.get("servers", "")):
            continue
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                op = item[method]
                op["parameters"] = [follow(p) for p in item.get("parameters", []) +
                                    op.get("parameters", [])]
                found[method.upper(), path] = op
    return found


def find(all_of_them, method, path):
    for (m, template), op in all_of_them.items():
        names = re.findall(r"\{([^}]*)\}", template)
        match = re.fullmatch(re.sub(r"\{[^}]*\}", "([^/]+)", template), path)
        if m == method and match:
            return template, op, dict(zip(names, match.groups()))
    return None, None, None


def request(op, values, query, record, what):
    headers = {k.lower() for k in record["headers"]}
    for p in op["parameters"]:
        place = {"path": values, "query": query}.get(p["in"])
        if p["in"] == "header":
            if p.get("required") and p["name"].lower() not in headers:
                fail("%s lacks %s" % (what, p["name"]))
        elif p["name"] in place:
            value = place[p["name"]]
            if p["schema"].get("type") == "integer":
                value = int(value)
            check(p["schema"], value, what + " " + p["name"])
    if "requestBody" in op:
        check(op["requestBody"]["content"]["application/json"]["schema"],
              record["body"], what + ": body")


def main():
    ops = operations()
    succeeded = set()
    count = 0
    if not ops:
        fail("the file has no box")
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            path, _, query = record["path"].partition("?")
            template, op, values = find(ops, record["method"], path)
            status = record["status"]
            if not op:
                if status not in (404, 405):
                    fail("%s %s is not in the file" % (record["method"], path))
                continue
            what = "%s %s" % (record["method"], template)
            if str(status) not in op["responses"]:
                fail("%s answers %d, which is not in the file" % (what, status))
            response = follow(op["responses"][str(status)])
            check(response["content"]["application/json"]["schema"], record["answer"],
                  "%s %d" % (what, status))
            if status == 200:
                request(op, values, dict(p.split("=") for p in query.split("&"))
                        if query else {}, record, what)
                succeeded.add((record["method"], template))
            count += 1
    paths = tuple(sys.argv[3].split(","))
    mine = {op for op in ops if sys.argv[2] != "some" and
            op[1].startswith(paths) == (sys.argv[2] == "only")}
    for missing in sorted(mine - succeeded):
        fail("%s %s never succeeded" % missing)
    print("%d requests are as docs/exchange.yaml says" % count)


main()
