"""Makes the readable reference from the API document: apidocs.py openapi.json OUT.html HEADER.h

One page without scripts or outside origin. Its only style is inline and allowed by its digest, which the header carries for the Content-Security-Policy."""
import base64
import hashlib
import html
import json
import sys

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2127;--dim:#5d6873;--line:#e2e6ea;--soft:#f5f7f9;--accent:#0b6bcb;--get:#1a7f4b;--post:#0b6bcb;--patch:#9a6700;--put:#9a6700;--delete:#b3261e}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#dfe4e8;--dim:#93a0ab;--line:#2a3036;--soft:#1b1f23;--accent:#6cb2f7;--get:#5fcf94;--post:#6cb2f7;--patch:#e0b341;--put:#e0b341;--delete:#ff8a80}}
*{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,sans-serif;display:grid;grid-template-columns:270px minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem 2rem 1.5rem;border-right:1px solid var(--line);font-size:13.5px}
nav b{display:block;margin:1.1rem 0 .25rem;text-transform:capitalize}nav a{display:block;padding:.13rem 0;color:var(--dim);text-decoration:none;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
nav a:hover,nav a:focus{color:var(--accent)}main{padding:2rem 3rem 6rem;max-width:60rem}
h1{font-size:1.9rem;margin:.2rem 0 .4rem}h2{margin:3.2rem 0 .3rem;text-transform:capitalize;font-size:1.35rem;border-top:1px solid var(--line);padding-top:1.6rem}h3{margin:2.4rem 0 .3rem;font-size:1.02rem}h4{margin:1.1rem 0 .3rem;font-size:.8rem;color:var(--dim);text-transform:uppercase;letter-spacing:.05em}
a{color:var(--accent)}code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;overflow:auto;margin:.4rem 0}
.op{display:flex;gap:.7rem;align-items:baseline;background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:.45rem .8rem;overflow:auto}
.verb{font:600 12.5px ui-monospace,monospace;min-width:3.6em}.get{color:var(--get)}.post{color:var(--post)}.patch,.put{color:var(--patch)}.delete{color:var(--delete)}
table{border-collapse:collapse;width:100%;font-size:14px}td{border-top:1px solid var(--line);padding:.4rem .8rem .4rem 0;vertical-align:top}td:first-child{white-space:nowrap;width:1%}td:nth-child(2){color:var(--dim);width:30%}
.need{color:var(--delete);font-size:11px;margin-left:.3rem}.dim{color:var(--dim)}summary{cursor:pointer;color:var(--dim);font-size:13.5px;margin:.5rem 0}p{margin:.45rem 0}.nest td:first-child{padding-left:1.2rem}
@media(max-width:760px){body{display:block}nav{position:static;height:auto;border:0;border-bottom:1px solid var(--line)}main{padding:1.2rem}}
"""
METHODS = ("get", "post", "put", "patch", "delete")


class Reference:
    def __init__(self, document):
        self.document = document

    def follow(self, value):
        """The thing itself where a $ref stands; other keys beside the $ref stay in force."""
        while isinstance(value, dict) and "$ref" in value:
            target = self.document
            for part in value["$ref"].lstrip("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            value = {**target, **{k: v for k, v in value.items() if k != "$ref"}}
        return value

    def flat(self, schema):
        """A schema with its allOf folded in: what a reader needs."""
        schema = self.follow(schema)
        merged = dict(schema)
        for part in schema.get("allOf", []):
            part = self.flat(part)
            merged["properties"] = {**part.get("properties", {}), **merged.get("properties", {})}
            merged["required"] = list(part.get("required", [])) + [r for r in merged.get("required", []) if r not in part.get("required", [])]
            merged.setdefault("type", part.get("type"))
        return merged

    def type_words(self, schema):
        schema = self.flat(schema)
        if "enum" in schema:
            return " | ".join(str(v) for v in schema["enum"])
        if "const" in schema:
            return json.dumps(schema["const"])
        kind = schema.get("type", "")
        kind = " or ".join(kind) if isinstance(kind, list) else kind or ""
        if "array" in kind and "items" in schema:
            kind = kind.replace("array", "list of " + (self.type_words(schema["items"]) or "anything"))
        limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("default", "default")) if key in schema]
        return ", ".join(([kind + (f" ({schema['format']})" if "format" in schema else "")] if kind else []) + limits)

    def rows(self, schema, depth=0):
        schema = self.flat(schema)
        if depth < 3 and "items" in schema:
            return self.rows(schema["items"], depth)
        out = []
        for name, value in schema.get("properties", {}).items():
            need = '<span class="need">needed</span>' if name in schema.get("required", []) else ""
            inner = self.flat(value)
            out.append(f'<tr{" class=nest" if depth else ""}><td><code>{"&nbsp;&nbsp;" * depth}{text(name)}</code>{need}</td><td>{text(self.type_words(value))}</td><td>{prose(inner.get("description", ""))}</td></tr>')
            if depth < 2:
                out += self.rows(inner, depth + 1)
        return out

    def table(self, schema):
        rows = self.rows(schema)
        return f"<table>{''.join(rows)}</table>" if rows else f'<p class="dim">{text(self.type_words(schema)) or "anything"}</p>'


def text(value):
    return html.escape(str(value))


def prose(value):
    """Paragraphs, `code`, **bold** and nothing else of Markdown."""
    out = text(value.strip())
    for mark, tag in (("**", "b"), ("`", "code")):
        parts = out.split(mark)
        out = "".join(part if i % 2 == 0 else f"<{tag}>{part}</{tag}>" for i, part in enumerate(parts)) if len(parts) % 2 else out
    return out.replace("\n\n", "</p><p>")


def example(reference, method, path, operation):
    lines = [f"curl -X {method.upper()}" if method != "get" else "curl"]
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    for parameter in map(reference.follow, operation.get("parameters", [])):
        if parameter["in"] == "header" and parameter.get("required"):
            lines.append(f'-H "{parameter["name"]}: $(uuidgen)"' if parameter["name"] == "Idempotency-Key" else f'-H "{parameter["name"]}: ..."')
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        lines += ["-H 'Content-Type: application/json'", "-d '" + json.dumps(body["example"] if "example" in body else sample(reference, body.get("schema", {}))) + "'"]
    return " \\\n  ".join(lines + [f"$SOMA{path}"])


def sample(reference, schema):
    """The needed fields of a body, each with a plausible value."""
    schema = reference.flat(schema)
    if "example" in schema or schema.get("examples"):
        return schema.get("example", (schema.get("examples") or [None])[0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required") or list(schema.get("properties", {}))[:2]
        return {name: sample(reference, schema.get("properties", {}).get(name, {})) for name in wanted}
    return {"array": [], "integer": schema.get("minimum", 1), "number": 1, "boolean": True}.get(kind, "...")


def show_operation(reference, path, method, operation, shared):
    operation = {**operation, "parameters": shared + operation.get("parameters", [])}
    out = [f'<h3 id="{operation["operationId"]}">{text(operation.get("summary", operation["operationId"]))}</h3>',
           f'<div class="op"><span class="verb {method}">{method.upper()}</span><code>{text(path)}</code><span class="dim">{text(operation["operationId"])}</span></div>']
    if operation.get("description"):
        out.append(f"<p>{prose(operation['description'])}</p>")
    parameters = [reference.follow(p) for p in operation["parameters"]]
    if parameters:
        rows = "".join(f'<tr><td><code>{text(p["name"])}</code>{"<span class=need>needed</span>" if p.get("required") else ""}</td><td>{p["in"]}; {text(reference.type_words(p.get("schema", {})))}</td>'
                       f'<td>{prose(p.get("description", ""))}</td></tr>' for p in parameters)
        out.append(f"<h4>Parameters</h4><table>{rows}</table>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        out.append(f"<h4>Body, {text(kind)}</h4>{reference.table(content.get('schema', {}))}")
    out.append("<h4>Answers</h4>")
    for status, answer in operation.get("responses", {}).items():
        answer = reference.follow(answer)
        label = "any other" if status == "default" else status
        schemas = [c.get("schema") for c in answer.get("content", {}).values() if c.get("schema")]
        words = f"<b>{label}</b> {prose(answer.get('description', ''))}"
        out.append(f"<details><summary>{words}</summary>{reference.table(schemas[0])}</details>" if schemas and status != "default" else f"<p class=dim>{words}</p>")
    out.append(f"<details><summary>Example</summary><pre>{text(example(reference, method, path, operation))}</pre></details>")
    return "\n".join(out)


def page(document):
    reference = Reference(document)
    by_tag = {tag["name"]: [] for tag in document.get("tags", [])}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                by_tag.setdefault((item[method].get("tags") or ["other"])[0], []).append((path, method, item[method], item.get("parameters", [])))
    about = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    menu, body = ['<a href="#top"><b>Soma API</b></a>'], []
    for tag, operations in by_tag.items():
        if not operations:
            continue
        menu.append(f"<b>{text(tag)}</b>")
        body.append(f'<h2 id="tag-{text(tag)}">{text(tag)}</h2><p class="dim">{prose(about.get(tag, ""))}</p>')
        for path, method, operation, shared in operations:
            menu.append(f'<a href="#{operation["operationId"]}">{text(operation.get("summary", path))}</a>')
            body.append(show_operation(reference, path, method, operation, shared))
    info = document["info"]
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>Soma API</title><style>{STYLE}</style></head><body><nav aria-label=\"Operations\">{''.join(menu)}</nav>"
            f'<main id="top"><h1>Soma API</h1><p class="dim">Version {text(info["version"])} &middot; <a href="/api/openapi.json">openapi.json</a></p>'
            f"<p>{prose(info.get('description', ''))}</p>{''.join(body)}</main></body></html>\n")


def bytes_as_c(data):
    return "\n".join(",".join(str(b) for b in data[i:i + 32]) + "," for i in range(0, len(data), 32))


def main(source, out, header):
    with open(source, encoding="utf-8") as f:
        text_of_page = page(json.load(f))
    with open(out, "w", encoding="utf-8") as f:
        f.write(text_of_page)
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    with open(header, "w", encoding="utf-8") as f:
        f.write("/* Generated by tools/apidocs.py. */\n#pragma once\nstatic const unsigned char docs_html[] = {\n" + bytes_as_c(text_of_page.encode()) + "0};\n"
                "static const unsigned long docs_html_len = sizeof docs_html - 1;\n"
                f"static const char docs_csp[] = \"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\";\n")


main(*sys.argv[1:4])
