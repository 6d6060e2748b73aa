"""Makes the API reference page from the merged OpenAPI document: apidocs.py OPENAPI.json OUT.html HEADER.h

One page, no script, nothing from elsewhere. Its only style is inline, and the header names that style's hash for the Content-Security-Policy."""
import base64
import hashlib
import html
import json
import re
import sys
import textwrap

METHODS = ("get", "post", "put", "patch", "delete")
ORDER = ("session", "orders", "services", "templates", "catalog", "environments", "monitoring", "people", "tokens", "audit", "jobs", "node")  # what one comes for first
REASONS = {"200": "OK", "201": "Created", "202": "Accepted", "204": "No content", "302": "Found", "304": "Not modified", "400": "Bad request", "401": "Not signed in",
           "403": "Not allowed", "404": "Not found", "409": "Conflict", "412": "Changed meanwhile", "413": "Too large", "415": "Unsupported type", "422": "Does not fit",
           "428": "Precondition missing", "429": "Too many", "503": "Not available", "default": "Any problem"}
PROBLEMS = (
    (400, "The request is not valid: wrong JSON (with line and column), an unknown or badly typed query parameter, ambiguous framing, a missing <code>Idempotency-Key</code>."),
    (401, "Nobody is signed in, or the token or session is not valid any more."),
    (403, "Signed in, but a role is missing; <code>detail</code> says which one and in which team."),
    (404, "Nothing is there, or nothing that you may see."),
    (405, "The path exists without this method; <code>Allow</code> lists those it has."),
    (408, "Head or body of the request came too slowly."),
    (409, "The name is taken, the thing is in another state, or the same <code>Idempotency-Key</code> is being worked on. <code>link</code> leads to the rival."),
    (412, "It has changed since the <code>ETag</code> in <code>If-Match</code>."),
    (413, "The body is larger than this route takes."),
    (415, "The body is not <code>application/json</code>."),
    (422, "The input does not fit; <code>errors</code> names each field by JSON pointer. Also: an <code>Idempotency-Key</code> that was used with another body."),
    (428, "A change of this thing needs <code>If-Match</code>."),
    (429, "Too many requests; <code>Retry-After</code> says when to come back."),
    (431, "The head of the request is too large."),
    (500, "An error of ours. The trace id leads to it in the node's log."),
    (503, "A part is away or all workers are busy; <code>Retry-After</code> says when to try again."),
    (504, "Something we asked took too long."),
)

STYLE = """
:root{color-scheme:light dark;--page:#fbfbf9;--card:#fff;--line:#e3e3dd;--text:#22262b;--soft:#5c646e;--link:#0b5f8a;--code:#f2f2ee;--mark:#fff4cf;
--get:#0b5f8a;--post:#1c6b3a;--put:#7a5200;--delete:#a3262a}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1a1e23;--line:#2d333b;--text:#dfe3e8;--soft:#9aa4b0;--link:#7cc4ec;--code:#21262d;--mark:#3a3214;
--get:#7cc4ec;--post:#7fce9a;--put:#e2b75f;--delete:#f29a96}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:2px}
a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
code,pre,.path{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
code{background:var(--code);border-radius:4px;padding:.1em .35em;overflow-wrap:anywhere}
pre{background:var(--code);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;margin:.5rem 0 1rem;overflow-x:auto;line-height:1.5}
pre code{background:none;padding:0;font-size:1em;overflow-wrap:normal}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem;z-index:2}
.frame{display:grid;grid-template-columns:19rem minmax(0,1fr);max-width:90rem;margin:0 auto}
nav{position:sticky;top:0;align-self:start;height:100vh;overflow-y:auto;padding:1.5rem 1rem 3rem 1.5rem;border-right:1px solid var(--line);font-size:.9rem}
nav h2{font-size:.95rem;margin:1.2rem 0 .2rem;line-height:1.4}nav h2 a{color:inherit;text-decoration:none}nav h2 a:hover{text-decoration:underline}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:flex;gap:.5rem;align-items:baseline;padding:.15rem .4rem;border-radius:5px;color:var(--soft);text-decoration:none;line-height:1.4}
nav li a:hover{background:var(--code);color:var(--text)}
nav .m{flex:none;width:3.1rem;font-size:.68rem;font-weight:700;letter-spacing:.02em}
.brand{font-weight:650;font-size:1.05rem;margin:0 0 .5rem}.brand small{color:var(--soft);font-weight:400}
main{padding:2rem 2.5rem 6rem;min-width:0}
main>header,main>section{max-width:56rem}
h1{font-size:1.9rem;line-height:1.25;margin:0 0 .3rem;letter-spacing:-.01em}
h2.tag{font-size:1.4rem;margin:3.5rem 0 .3rem;padding-top:1.2rem;border-top:1px solid var(--line)}
h3{font-size:1.08rem;margin:0;line-height:1.4}h4{font-size:.8rem;margin:1.3rem 0 .3rem;color:var(--soft);font-weight:650;text-transform:uppercase;letter-spacing:.04em}
h4 .kind{text-transform:none;letter-spacing:0}
.lead{color:var(--soft);margin-top:.2rem}
.op{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.2rem 1.4rem 1rem;margin:1.2rem 0}
.op:target,.schema:target{border-color:var(--link);box-shadow:0 0 0 1px var(--link)}
.op header{display:flex;flex-wrap:wrap;gap:.2rem .8rem;justify-content:space-between;align-items:baseline}
.anchor{color:var(--soft);text-decoration:none;font-weight:400;visibility:hidden}.op:hover .anchor,.schema:hover .anchor,.anchor:focus{visibility:visible}
.path{display:block;margin:.45rem 0 .2rem;font-size:.95rem;overflow-wrap:anywhere}.path .m{font-weight:700;margin-right:.6rem}.path i{font-style:normal;color:var(--put)}
.get{color:var(--get)}.post{color:var(--post)}.put,.patch{color:var(--put)}.delete{color:var(--delete)}
.need{font-size:.8rem;color:var(--soft);white-space:nowrap}
dl{margin:.2rem 0 .6rem}
dl>div{padding:.45rem 0;border-top:1px solid var(--line)}dl>div:first-child{border-top:0}
dt{display:flex;flex-wrap:wrap;gap:.1rem .6rem;align-items:baseline}dt .kind{color:var(--soft);font-size:.85rem}
dt .must{font-size:.74rem;font-weight:650;color:var(--delete)}
dd{margin:.1rem 0 0;color:var(--text);font-size:.93rem}dd p,.op p{margin:.35rem 0}dd .rule{color:var(--soft);font-size:.85rem}
dd>details>dl,dd>dl{margin-left:.2rem;padding-left:1rem;border-left:2px solid var(--line)}
details>summary{cursor:pointer;color:var(--soft);font-size:.88rem;padding:.15rem 0}
.answers{list-style:none;padding:0;margin:.2rem 0}.answers li{padding:.3rem 0;border-top:1px solid var(--line);font-size:.93rem}.answers li:first-child{border-top:0}
.status{font-weight:650;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.88rem;margin-right:.5rem}
table{border-collapse:collapse;width:100%;font-size:.93rem}td{border-top:1px solid var(--line);padding:.45rem .6rem .45rem 0;vertical-align:top}
.schema{border-top:1px solid var(--line);padding:.9rem 0}
.note{background:var(--mark);border-radius:8px;padding:.5rem .9rem;font-size:.92rem}
@media(max-width:60rem){.frame{display:block}nav{position:static;height:auto;border:0;border-bottom:1px solid var(--line);padding:1rem 1.2rem}
nav{max-height:42vh}main{padding:1.5rem 1.2rem 4rem}.op{padding:1rem}}
@media print{nav{display:none}.frame{display:block}.op{break-inside:avoid}}
""".strip()


def esc(text):
    return html.escape(str(text), quote=True)


def inline(text):
    """`code`, **bold** and [words](address) of Markdown; everything else is text."""
    out = []
    for i, part in enumerate(re.split(r"`([^`]+)`", text)):
        if i % 2:
            out.append(f"<code>{esc(part)}</code>")
            continue
        part = esc(part)
        part = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", part)
        out.append(re.sub(r"\[([^\]]+)\]\(((?:https?://|/|#)[^)\s]*)\)", r'<a href="\2">\1</a>', part))
    return "".join(out)


def markdown(text):
    out = []
    for block in re.split(r"\n\s*\n", textwrap.dedent(text or "").strip()):
        lines = [line.rstrip() for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        if all(re.match(r"[-*] |\s", line) for line in lines):
            items = re.split(r"\n[-*] ", "\n" + "\n".join(lines))[1:]
            out.append("<ul>" + "".join(f"<li>{inline(' '.join(item.split()))}</li>" for item in items) + "</ul>")
        else:
            out.append(f"<p>{inline(' '.join(' '.join(lines).split()))}</p>")
    return "".join(out)


class Page:
    def __init__(self, document):
        self.document = document
        self.schemas = document.get("components", {}).get("schemas", {})
        self.operations = {}  # tag -> [(method, path, operation, shared parameters)]
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    tag = (operation.get("tags") or ["other"])[0]
                    self.operations.setdefault(tag, []).append((method, path, operation, item.get("parameters", [])))
        known = [tag["name"] for tag in document.get("tags", [])]
        place = {tag: i for i, tag in enumerate(ORDER)}
        self.tags = sorted(self.operations, key=lambda tag: (place.get(tag, len(ORDER) - 0.5 if tag in known else len(ORDER)), tag))
        for tag, operations in self.operations.items():  # the tag's own noun first
            operations.sort(key=lambda one: not one[1].startswith(f"/api/v1/{tag}"))
        self.about = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}

    # --- references -------------------------------------------------------------------------------

    def resolve(self, thing):
        for _ in range(16):
            if not isinstance(thing, dict) or "$ref" not in thing:
                return thing if isinstance(thing, dict) else {}
            target = self.document
            for token in thing["$ref"].removeprefix("#/").split("/"):
                target = target[token.replace("~1", "/").replace("~0", "~")]
            thing = target
        sys.exit(f"apidocs: a reference leads in a circle: {thing}")

    @staticmethod
    def ref_name(schema):
        found = re.fullmatch(r"#/components/schemas/([\w.-]+)", schema.get("$ref", "")) if isinstance(schema, dict) else None
        return found and found.group(1)

    # --- schemas ----------------------------------------------------------------------------------

    def kind(self, schema):
        """The type in words, as HTML; a named schema is a link."""
        name = self.ref_name(schema)
        if name:
            return f'<a href="#schema-{esc(name)}">{esc(name)}</a>'
        schema = self.resolve(schema) if isinstance(schema, dict) else {}
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return " or ".join(dict.fromkeys(self.kind(part) for part in schema[key]))
        if "const" in schema:
            return f"<code>{esc(json.dumps(schema['const'], ensure_ascii=False))}</code>"
        types = schema.get("type", "object" if "properties" in schema else "any")
        types = types if isinstance(types, list) else [types]
        words = []
        for one in types:
            if one == "array":
                words.append("list of " + self.kind(schema.get("items", {})))
            elif one == "string" and schema.get("format"):
                words.append(esc(schema["format"]))
            else:
                words.append({"integer": "whole number", "string": "text", "boolean": "true or false"}.get(one, esc(one)))
        return " or ".join(words)

    @staticmethod
    def rules(schema):
        out = []
        if "enum" in schema:
            out.append("one of " + ", ".join(f"<code>{esc(v if isinstance(v, str) else json.dumps(v))}</code>" for v in schema["enum"]))
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None or high is not None:
            out.append(f"{low} to {high}" if None not in (low, high) else f"at least {low}" if high is None else f"at most {high}")
        for few, many, what in (("minLength", "maxLength", "characters"), ("minItems", "maxItems", "items"), ("minProperties", "maxProperties", "members")):
            a, b = schema.get(few), schema.get(many)
            if a is not None or b is not None:
                out.append(f"{a} to {b} {what}" if None not in (a, b) else f"at least {a} {what}" if b is None else f"at most {b} {what}")
        if "pattern" in schema:
            out.append(f"matches <code>{esc(schema['pattern'])}</code>")
        if "default" in schema:
            out.append(f"default <code>{esc(json.dumps(schema['default'], ensure_ascii=False))}</code>")
        return "; ".join(out)

    def members(self, schema):
        """(name, schema, required) of an object, through allOf."""
        schema = self.resolve(schema)
        found = {}
        for part in schema.get("allOf", []):
            for name, inner, must in self.members(part):
                found[name] = (inner, must)
        for name, inner in schema.get("properties", {}).items():
            found[name] = (inner, name in schema.get("required", []))
        for name in schema.get("required", []):
            if name in found:
                found[name] = (found[name][0], True)
        return [(name, inner, must) for name, (inner, must) in found.items()]

    def member(self, name, schema, must, depth):
        plain = self.resolve(schema)
        text = schema.get("description") or (plain.get("description", "") if not self.ref_name(schema) else "")
        rules = self.rules(plain) if not self.ref_name(schema) or "enum" in plain else ""
        inner = ""
        holder = plain.get("items", {}) if plain.get("type") == "array" else plain
        if depth < 3 and not self.ref_name(schema) and not self.ref_name(holder) and self.members(holder):
            inner = f"<details><summary>its members</summary>{self.fields(holder, depth + 1)}</details>"
        elif isinstance(plain.get("additionalProperties"), dict):
            rules = "; ".join(filter(None, [rules, f"each member is {self.kind(plain['additionalProperties'])}"]))
        return (f'<div><dt><code>{esc(name)}</code><span class="kind">{self.kind(schema)}</span>{"<span class=must>required</span>" if must else ""}</dt>'
                f'<dd>{markdown(text)}{f"<div class=rule>{rules}</div>" if rules else ""}{inner}</dd></div>')

    def fields(self, schema, depth=0):
        return "<dl>" + "".join(self.member(name, inner, must, depth) for name, inner, must in self.members(schema)) + "</dl>"

    def example(self, schema, depth=0):
        """A value that fits well enough to show the shape."""
        plain = self.resolve(schema)
        for key in ("example", "const", "default"):
            if key in plain:
                return plain[key]
        if plain.get("examples"):
            return plain["examples"][0]
        if plain.get("enum"):
            return plain["enum"][0]
        for key in ("oneOf", "anyOf"):
            if key in plain:
                return self.example(plain[key][0], depth)
        types = plain.get("type", "object" if self.members(plain) else "string")
        kind = types[0] if isinstance(types, list) else types
        if kind == "object":
            members = self.members(plain)
            needed = [m for m in members if m[2]] or members[:2]
            return {name: self.example(inner, depth + 1) for name, inner, _ in needed} if depth < 4 else {}
        if kind == "array":
            return [self.example(plain.get("items", {}), depth + 1)] if depth < 4 else []
        if kind in ("integer", "number"):
            return plain.get("minimum", 1)
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return {"uuid": "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11", "date-time": "2026-01-31T10:20:30Z", "date": "2026-01-31", "email": "ada@example.org", "password": "...",
                "uri": "https://example.org/", "decimal": "12.50"}.get(plain.get("format"), "...")

    # --- operations -------------------------------------------------------------------------------

    def curl(self, method, path, operation, parameters, body):
        url = path
        query = []
        for p in parameters:
            value = p.get("example", self.example(p.get("schema", {})))
            value = p["name"] if value == "..." else value
            if p["in"] == "path":
                url = url.replace("{" + p["name"] + "}", str(value))
            elif p["in"] == "query" and p.get("required"):
                query.append(f"{p['name']}={value}")
        url += "?" + "&".join(query) if query else ""
        lines = [f'curl "$SOMA_URL{url}"'] if method == "get" else [f'curl -X {method.upper()} "$SOMA_URL{url}"']
        if operation.get("security", self.document.get("security")):
            lines.append('-H "Authorization: Bearer $SOMA_TOKEN"')
        if any("text/event-stream" in self.resolve(a).get("content", {}) for a in operation["responses"].values()):
            lines[0] = lines[0].replace("curl ", "curl -N ", 1)
        for p in parameters:
            if p["in"] == "header" and p.get("required"):
                lines.append('-H "Idempotency-Key: $(uuidgen)"' if p["name"] == "Idempotency-Key" else f'-H "{p["name"]}: ..."')
        if body is not None:
            lines.append('-H "Content-Type: application/json"')
            lines.append("-d '" + json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''") + "'")
        return " \\\n  ".join(lines)

    def answers(self, operation):
        out = []
        for status, answer in operation["responses"].items():
            shared = answer == {"$ref": "#/components/responses/Problem"}
            answer = self.resolve(answer)
            kinds = [f"{self.kind(content['schema'])}" if media == "application/json" and "schema" in content else f"<code>{esc(media)}</code>"
                     for media, content in answer.get("content", {}).items()]
            if status == "default":
                kinds = ['<a href="#problems">problem</a>']
            headers = ", ".join(f"<code>{esc(name)}</code>" for name in answer.get("headers", {}))
            example = ""
            media = answer.get("content", {}).get("application/json", {})
            if status.startswith("2") and "schema" in media:
                value = media.get("example", self.example(media["schema"]))
                example = f"<details><summary>example</summary><pre><code>{esc(json.dumps(value, indent=2, ensure_ascii=False))}</code></pre></details>"
            tail = " ".join(filter(None, [", ".join(kinds) and f"<span class=kind>{', '.join(kinds)}</span>", headers and f'<span class="need">with {headers}</span>']))
            out.append(f'<li><span class="status">{esc("others" if status == "default" else status)}</span>{"" if shared else inline(answer.get("description", REASONS.get(status, "")))} {tail}{example}</li>')
        return f'<h4>Answers</h4><ul class="answers">{"".join(out)}</ul>'

    def body(self, operation):
        given = self.resolve(operation.get("requestBody", {}))
        media = given.get("content", {}).get("application/json")
        if not media:
            return "", None
        schema = media.get("schema", {})
        example = media.get("example")
        if example is None and media.get("examples"):
            example = self.resolve(next(iter(media["examples"].values()))).get("value")
        if example is None:
            example = self.example(schema)
        name = self.ref_name(schema)
        title = f'Body <span class="kind">{self.kind(schema)}</span>' if name else "Body"
        text = given.get("description") or self.resolve(schema).get("description", "")
        return f"<h4>{title}</h4>{markdown(text)}{self.fields(schema)}", example

    def parameters(self, parameters):
        if not parameters:
            return ""
        places = {"path": "in the path", "query": "in the query", "header": "header", "cookie": "cookie"}
        rows = []
        for p in parameters:
            schema = p.get("schema", {})
            rules = self.rules(self.resolve(schema))
            rows.append(f'<div><dt><code>{esc(p["name"])}</code><span class="kind">{self.kind(schema)}, {places[p["in"]]}</span>'
                        f'{"<span class=must>required</span>" if p.get("required") and p["in"] != "path" else ""}</dt>'
                        f'<dd>{markdown(p.get("description", ""))}{f"<div class=rule>{rules}</div>" if rules else ""}</dd></div>')
        return f"<h4>Parameters</h4><dl>{''.join(rows)}</dl>"

    @staticmethod
    def need(text):
        """What a caller must hold, in words."""
        kind, _, name = text.partition(":")
        words = {"public": "without sign-in", "signed-in": "signed in", "team": f"{name} in its team", "scope": f"scope {name}, or platform-admin"}
        return words.get(kind, f"role {text}")

    def operation(self, method, path, operation, shared):
        by_name = {}
        for p in [self.resolve(p) for p in shared + operation.get("parameters", [])]:
            by_name[(p["in"], p["name"])] = p
        parameters = list(by_name.values())
        body, example = self.body(operation)
        ident = esc(operation["operationId"])
        shown = re.sub(r"\{(\w+)\*?\}", r"<i>{\1}</i>", esc(path))
        need = f'<span class="need">{esc(self.need(operation.get("x-need", "signed-in")))}</span>'
        flag = '<p class="note">This operation is being withdrawn.</p>' if operation.get("deprecated") else ""
        return (f'<article class="op" id="{ident}"><header><h3>{inline(operation.get("summary", operation["operationId"]))} '
                f'<a class="anchor" href="#{ident}" aria-label="Link to {ident}">#</a></h3>{need}</header>'
                f'<div class="path"><span class="m {method}">{method.upper()}</span>{shown}</div>{flag}{markdown(operation.get("description", ""))}'
                f'{self.parameters(parameters)}{body}{self.answers(operation)}'
                f"<h4>Example</h4><pre><code>{esc(self.curl(method, path, operation, parameters, example))}</code></pre></article>")

    # --- the page ---------------------------------------------------------------------------------

    def navigation(self):
        out = [f'<p class="brand">{esc(self.document["info"]["title"])} <small>API {esc(self.document["info"]["version"])}</small></p>',
               '<h2><a href="#top">Introduction</a></h2>']
        for tag in self.tags:
            items = "".join(f'<li><a href="#{esc(op["operationId"])}"><span class="m {method}">{method.upper()}</span>{esc(op.get("summary", op["operationId"]))}</a></li>'
                            for method, _, op, _ in self.operations[tag])
            out.append(f'<h2><a href="#tag-{esc(tag)}">{esc(tag[:1].upper() + tag[1:])}</a></h2><ul>{items}</ul>')
        out.append('<h2><a href="#problems">Problems</a></h2><h2><a href="#schemas">Schemas</a></h2>')
        return "".join(out)

    def problems(self):
        rows = "".join(f'<tr id="problem-{status}"><td><span class="status">{status}</span></td><td>{text}</td></tr>' for status, text in PROBLEMS)
        return ('<section id="problems"><h2 class="tag">Problems</h2><p>Whatever goes wrong is answered with a problem document (RFC 9457). <code>type</code> is stable and names the kind; '
                'programs look at it, people read <code>detail</code>.</p>'
                '<pre><code>' + esc(json.dumps({"type": "/problems/name-taken", "title": "The name is taken", "status": 409, "detail": "...", "instance": "/api/v1/orders",
                                                "trace_id": "0af7651916cd43dd8448eb211c80319c", "link": "/api/v1/services/orders-db"}, indent=2)) +
                f"</code></pre><table>{rows}</table></section>")

    def all_schemas(self):
        out = []
        for name in sorted(self.schemas):
            schema = self.schemas[name]
            rules = self.rules(schema)
            shape = self.fields(schema) if self.members(schema) else f'<p><span class="kind">{self.kind(schema)}</span>{f" <span class=rule>{rules}</span>" if rules else ""}</p>'
            out.append(f'<div class="schema" id="schema-{esc(name)}"><h3>{esc(name)} <a class="anchor" href="#schema-{esc(name)}" aria-label="Link to {esc(name)}">#</a></h3>'
                       f'{markdown(schema.get("description", ""))}{shape}</div>')
        return f'<section id="schemas"><h2 class="tag">Schemas</h2>{"".join(out)}</section>'

    def render(self):
        info = self.document["info"]
        sections = []
        for tag in self.tags:
            operations = "".join(self.operation(*one) for one in self.operations[tag])
            sections.append(f'<section><h2 class="tag" id="tag-{esc(tag)}">{esc(tag[:1].upper() + tag[1:])}</h2><div class="lead">{markdown(self.about.get(tag, ""))}</div>{operations}</section>')
        return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
                f'<title>{esc(info["title"])} API reference</title><style>{STYLE}</style></head><body><a class="skip" href="#top">To the content</a>'
                f'<div class="frame"><nav aria-label="Contents">{self.navigation()}</nav><main id="top"><header><h1>{esc(info["title"])} API reference</h1>'
                f'<p class="lead">{inline(info.get("summary", ""))} Version {esc(info["version"])}. The document itself: <a href="/api/openapi.json">openapi.json</a>.</p>'
                f'{markdown(info.get("description", ""))}</header>{"".join(sections)}{self.problems()}{self.all_schemas()}</main></div></body></html>\n')


def bytes_as_c(data):
    return "\n".join(",".join(str(b) for b in data[i:i + 32]) + "," for i in range(0, len(data), 32))


def main(source, page, header):
    with open(source, encoding="utf-8") as f:
        document = json.load(f)
    text = Page(document).render()
    anchors, links = set(re.findall(r' id="([^"]+)"', text)), set(re.findall(r'href="#([^"]+)"', text))
    if links - anchors:
        sys.exit(f"apidocs: links that lead nowhere: {', '.join(sorted(links - anchors))}")
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    with open(page, "w", encoding="utf-8") as f:
        f.write(text)
    with open(header, "w", encoding="utf-8") as f:
        f.write("/* Generated by tools/apidocs.py. */\n#pragma once\n"
                f'#define APIDOCS_CSP "{policy}"\n'
                "static const unsigned char apidocs_html[] = {\n" + bytes_as_c(text.encode()) + "0};\n"
                "static const unsigned long apidocs_html_len = sizeof(apidocs_html) - 1;\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
