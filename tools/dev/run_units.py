#!/usr/bin/env python3
"""Runs the unit tests that CTest knows of and counts the cmocka tests inside each program.

A program that fails beside others is run once more by itself, and that is said.
A program that ends badly without a failed test of its own (a sanitizer's finding, a crash, a timeout) counts as one failure.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

FOUND = re.compile(rb"data race|heap-|stack-|use-after|double-free|runtime error:|lock-order|deadly ?signal|WARNING: ThreadSanitizer|Segmentation fault", re.I)
LINE = re.compile(rb"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.M)


def programs(build, label):
    listing = subprocess.run(["ctest", "--show-only=json-v1"], cwd=build, check=True, capture_output=True).stdout
    for test in json.loads(listing)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        if "command" in test and (not label or label in properties.get("LABELS", [])):
            yield test["name"], test["command"], float(properties.get("TIMEOUT", 120)), properties.get("WORKING_DIRECTORY", build)


def run(command, timeout, folder, log):
    with open(log, "wb") as out:
        try:
            return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            out.write(f"\nended after {timeout:.0f} s\n".encode())
            return -1


def counts(log, status):
    total = {b"PASSED": 0, b"FAILED": 0, b"SKIPPED": 0}
    with open(log, "rb") as f:
        for kind, number in LINE.findall(f.read()):
            total[kind] += int(number)
    passed, failed, skipped = total[b"PASSED"], total[b"FAILED"], total[b"SKIPPED"]
    if status and not failed:
        failed = 1
    if not (passed or failed or skipped):
        passed = 1
    return passed, failed, skipped


def tail(log, lines=40):
    with open(log, errors="replace") as f:
        return "".join(f.readlines()[-lines:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--logs", required=True)
    parser.add_argument("--result", required=True, help="file for the line PASSED FAILED SKIPPED")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--label")
    options = parser.parse_args()
    os.makedirs(options.logs, exist_ok=True)
    # ThreadSanitizer cannot place its shadow memory under every layout that the kernel may draw.
    wrap = ["setarch", "-R"] if options.label == "threads" else []

    def one(test):
        name, command, timeout, folder = test
        log = os.path.join(options.logs, name.replace("/", "-") + ".log")
        status = run(wrap + command, timeout, folder, log)
        return name, status, log, counts(log, status)

    def again(test, first):
        """A program that failed beside others has one more try with the machine to itself: leases and heartbeats are kept by the clock. What a sanitizer
        found in memory or between threads stands, however the second try ends."""
        if FOUND.search(open(first[2], "rb").read()):
            return first
        os.replace(first[2], first[2] + ".first")
        second = one(test)
        print(f"--- {first[0]} failed beside others and {'failed' if second[3][1] else 'passed'} by itself; the first log: {first[2]}.first", flush=True)
        return second

    total = [0, 0, 0]
    tests = list(programs(options.build, options.label))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        ended = list(pool.map(one, tests))
    for test, first in zip(tests, ended):
        name, status, log, result = again(test, first) if first[3][1] else first
        total = [a + b for a, b in zip(total, result)]
        if result[1]:
            print(f"--- {name} failed (status {status}); the end of {log}\n{tail(log)}---", flush=True)
    with open(options.result, "w") as f:
        print(*total, file=f)
    sys.exit(total[1] != 0)


if __name__ == "__main__":
    main()
