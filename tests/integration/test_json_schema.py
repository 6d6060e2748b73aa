"""The official JSON Schema 2020-12 tests of every keyword that portal/json supports.

The suite comes with the source package of `jsonschema`, the meta-schemas with that of `jsonschema-specifications`; both are fetched from PyPI once and kept.
"""
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

SOURCES = {"jsonschema": "4.23.0", "jsonschema-specifications": "2023.12.1"}
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("SOMA_CACHE", CHECKOUT / ".cache")) / "json-schema-suite"

# All of draft2020-12 but vocabulary.json: a meta-schema that takes a vocabulary away is not supported.
KEYWORDS = """additionalProperties allOf anchor anyOf boolean_schema const contains content default defs dependentRequired dependentSchemas dynamicRef
enum exclusiveMaximum exclusiveMinimum format if-then-else infinite-loop-detection items maxContains maxItems maxLength maxProperties maximum minContains
minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames ref refRemote required type
unevaluatedItems unevaluatedProperties uniqueItems""".split()
OPTIONAL = "anchor dynamicRef float-overflow id no-schema non-bmp-regex refOfUnknownKeyword unknownKeyword".split()
FORMATS = "date date-time duration email hostname ipv4 ipv6 json-pointer regex time unknown uri uri-reference uuid".split()


def executable():
    folders = [os.environ.get("SOMA_BUILD"), CHECKOUT / "build/release"]
    for folder in filter(None, folders):
        path = pathlib.Path(folder) / "schema-suite"
        if path.exists():
            return path
    pytest.skip("schema-suite is not built (target schema-suite)")


def unpack(name, version):
    folder = CACHE / f"{name}-{version}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--disable-pip-version-check", "-d", CACHE, f"{name}=={version}"],
                          capture_output=True, text=True, check=False, timeout=300)
    archives = list(CACHE.glob(f"{name.replace('-', '?')}-{version}.tar.gz"))
    if not archives:
        pytest.skip(f"{name} {version} cannot be fetched: {done.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        root = archive.getnames()[0].split("/")[0]
        archive.extractall(CACHE, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(CACHE)
    (CACHE / root).rename(folder) if root != folder.name else None
    return folder


@pytest.fixture(scope="module")
def suite():
    tests = unpack("jsonschema", SOURCES["jsonschema"]) / "json"
    schemas = next(unpack("jsonschema-specifications", SOURCES["jsonschema-specifications"]).rglob("draft202012"))
    documents = {"https://json-schema.org/draft/2020-12/schema": schemas / "metaschema.json"}
    for vocabulary in (schemas / "vocabularies").iterdir():
        documents[f"https://json-schema.org/draft/2020-12/meta/{vocabulary.name}"] = vocabulary
    for remote in (tests / "remotes").rglob("*.json"):
        name = remote.relative_to(tests / "remotes").as_posix()
        if name.startswith("draft2020-12/") or not name.startswith("draft"):
            documents[f"http://localhost:1234/{name}"] = remote
    return tests / "tests" / "draft2020-12", [word for uri, path in documents.items() for word in ("--document", f"{uri}={path}")]


def run(suite, path, *options):
    folder, documents = suite
    assert (folder / path).exists()
    done = subprocess.run([executable(), *options, *documents, folder / path], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed, 0 failed" in done.stdout and ": 0 passed" not in done.stdout


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_keyword(suite, keyword):
    run(suite, f"{keyword}.json")


@pytest.mark.parametrize("part", OPTIONAL)
def test_optional_part(suite, part):
    run(suite, f"optional/{part}.json")


@pytest.mark.parametrize("name", FORMATS)
def test_asserted_format(suite, name):
    run(suite, f"optional/format/{name}.json", "--formats")


def test_nothing_of_the_suite_is_forgotten(suite):
    assert {path.stem for path in suite[0].glob("*.json")} - set(KEYWORDS) == {"vocabulary"}
