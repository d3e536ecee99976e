#!/usr/bin/env python3
"""Hold docs/openapi.yaml against a running server's real answers.

openapi.py YAML_AS_JSON BASE: every GET of the document is called, with every parameter that it lists, and each answer
checked against the schema of its status. The part of JSON Schema that the document uses is checked here, in a page of
code: type, enum, const, pattern, required, properties, additionalProperties, items, oneOf, allOf, $ref, minimum.
"""
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


class Document:
    def __init__(self, path):
        with open(path) as file:
            self.root = json.load(file)

    def resolve(self, node):
        while "$ref" in node:
            at = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            node = at
        return node

    def errors(self, schema, value, path="$"):
        schema = self.resolve(schema)
        found = []
        if "allOf" in schema:
            found += [e for part in schema["allOf"] for e in self.errors(part, value, path)]
        if "oneOf" in schema:
            fits = [part for part in schema["oneOf"] if not self.errors(part, value, path)]
            if len(fits) != 1:
                found.append(f"{path}: fits {len(fits)} of oneOf: {value!r:.80}")
        if "const" in schema and value != schema["const"]:
            found.append(f"{path}: is {value!r}, not {schema['const']!r}")
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{path}: {value!r} is none of {schema['enum']}")
        if "type" in schema and not self.has_type(schema["type"], value):
            return found + [f"{path}: {value!r:.80} is no {schema['type']}"]
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r} does not match {schema['pattern']}")
        if "minimum" in schema and value < schema["minimum"]:
            found.append(f"{path}: {value} is below {schema['minimum']}")
        if isinstance(value, dict):
            found += self.object_errors(schema, value, path)
        if isinstance(value, list) and "items" in schema:
            found += [e for i, item in enumerate(value) for e in self.errors(schema["items"], item, f"{path}[{i}]")]
        return found

    def has_type(self, names, value):
        for name in names if isinstance(names, list) else [names]:
            if name in ("integer", "number"):
                if isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool):
                    return True
            elif isinstance(value, TYPES[name]):
                return True
        return False

    def object_errors(self, schema, value, path):
        found = [f"{path}: {name} is missing" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", True)
        for name, item in value.items():
            if name in schema.get("properties", {}):
                found += self.errors(schema["properties"][name], item, f"{path}.{name}")
            elif more is False:
                found.append(f"{path}: {name} is not in the document")
            elif isinstance(more, dict):
                found += self.errors(more, item, f"{path}.{name}")
        return found


def fetch(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Checker:
    def __init__(self, document, base):
        self.document, self.base, self.checked, self.failed = document, base, 0, 0

    def check(self, path, operation, target, expected):
        status, body = fetch(self.base + target)
        responses = operation["responses"]
        found = [] if status == expected else [f"status {status}, expected {expected}"]
        if str(status) not in responses:
            found.append(f"status {status} is not in the document")
        else:
            content = self.document.resolve(responses[str(status)])["content"]["application/json"]
            found += self.document.errors(content["schema"], body)
        self.checked += 1
        for error in found:
            self.failed += 1
            print(f"GET {target} ({path}): {error}")
        return body

    def check_parameters(self, path, operation, row):
        for parameter in map(self.document.resolve, operation.get("parameters", [])):
            if parameter["in"] != "query":
                continue
            name, schema = parameter["name"], self.document.resolve(parameter["schema"])
            value = schema.get("enum", [None])[0] or (7 if name == "limit" else row["id"] if name == "cursor" else row.get(name) or "x")
            self.check(path, operation, f"{path}?{name}={urllib.parse.quote(str(value))}", 200)
        self.check(path, operation, f"{path}?no_such_parameter=1", 400)
        self.check(path, operation, f"{path}?limit=0", 400)


def main():
    document = Document(sys.argv[1])
    checker = Checker(document, sys.argv[2])
    for path, item in document.root["paths"].items():
        if "get" not in item or "{" in path:
            continue
        operation = item["get"]
        body = checker.check(path, operation, path, 200)
        plural = path.rsplit("/", 1)[1]
        assert body[plural], f"{path}: the server has nothing to show"
        first = checker.check(path, operation, path + "?limit=1", 200)
        assert len(first[plural]) == 1 and first["next_cursor"] == first[plural][0]["id"], f"{path}: no second page"
        checker.check_parameters(path, operation, body[plural][0])
        one = path + "/{id}"
        for row in body[plural]:
            checker.check(one, document.root["paths"][one]["get"], f"{path}/{row['id']}", 200)
        checker.check(one, document.root["paths"][one]["get"], f"{path}/none", 404)
    print(f"{checker.checked} answers checked, {checker.failed} errors")
    sys.exit(1 if checker.failed else 0)


main()
