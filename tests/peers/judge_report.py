"""Reckons a report's figures from its CSV file, by the rules as they are written, and holds every other file of it
against them.

judge_report.py SCHEMA CSV JSON …: prints the figures as JSON; exits with 1 and says where two files differ.
"""

import csv
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import jsonschema

FORMULA = re.compile(r"^'+[=+\-@\t\r\n＝＋－＠]")


def plain(text):
    return text[1:] if FORMULA.match(text) else text


def runs_of_csv(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            row = {name: plain(value) or None for name, value in row.items()}
            row["lane"], row["log_seq"] = int(row["lane"]), int(row["log_seq"])
            row["counted"], row["first_of_day"] = row["counted"] == "true", row["first_of_day"] == "true"
            yield row


def share(part, whole):
    return part / whole if whole else None


def yields(days):
    """`days`: the attempts of each unit and day, in the order in which they began."""
    count = {
        "attempts": sum(len(attempts) for attempts in days),
        "units": len(days),
        "first_passes": sum(attempts[0]["verdict"] == "PASS" for attempts in days),
        "final_passes": sum(max(attempts, key=lambda run: run["log_seq"])["verdict"] == "PASS" for attempts in days),
        "retested": sum(len(attempts) > 1 for attempts in days),
    }
    count["first_pass_yield"] = share(count["first_passes"], count["units"])
    count["final_yield"] = share(count["final_passes"], count["units"])
    count["retest_rate"] = share(count["retested"], count["units"])
    return count


def figures(runs):
    attempts = [run for run in runs if run["verdict"] in ("PASS", "FAIL", "ERROR")]
    days, units = defaultdict(list), defaultdict(list)
    for run in sorted(attempts, key=lambda run: (run["started"], run["log_seq"])):
        if run["serial"] is not None:
            days[run["product"], run["serial"], run["day"]].append(run)
    for run in runs:
        if run["serial"] is not None and run["verdict"] != "ABORTED":
            units[run["product"], run["serial"]].append(run)
    latest = Counter(max(of, key=lambda run: run["log_seq"])["verdict"] for of in units.values())
    by = {
        "day": lambda run: run["day"],
        "lane": lambda run: f"{run['station']}/{run['lane']}",
        "station": lambda run: run["station"],
        "operator": lambda run: run["operator"],
        "product": lambda run: run["product"],
    }
    groups = {}
    for name, key in by.items():
        grouped = defaultdict(list)
        for of in days.values():
            grouped[key(of[0])].append(of)
        groups[name] = {key: yields(of) for key, of in grouped.items()}
    reasons = defaultdict(Counter)
    for run in attempts:
        if run["verdict"] != "PASS":
            reasons[run["reason"]][run["verdict"]] += 1
    return {
        "runs": len(runs),
        "verdicts": dict(Counter(run["verdict"] for run in runs)),
        "units": {
            "passed": latest["PASS"],
            "failed": latest["FAIL"],
            "errors": latest["ERROR"],
            "held": latest["HELD"],
        },
        "total": yields(list(days.values())),
        "groups": groups,
        "reasons": {code: (count["FAIL"], count["ERROR"]) for code, count in reasons.items()},
        "firsts": sorted(of[0]["run"] for of in days.values()),
        "attempts_of_hours": len(attempts),
    }


def figures_of_json(report):
    told = report["report"]["figures"]
    groups = {}
    for name, of in told["groups"].items():
        if name != "shift":
            groups[name] = {group.pop("name"): group for group in of}
    return {
        "runs": told["runs"],
        "verdicts": told["verdicts"],
        "units": {name: told["units"][name] for name in ("passed", "failed", "errors", "held")},
        "total": told["total"],
        "groups": groups,
        "reasons": {reason["code"]: (reason["failed"], reason["errors"]) for reason in told["reasons"]},
        "firsts": sorted(run["run"] for run in report["runs"] if run["first_of_day"]),
        "attempts_of_hours": sum(hour["attempts"] for hour in told["hours"]),
    }


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what} differs:\n{json.dumps(ours, ensure_ascii=False)}\n{json.dumps(theirs, ensure_ascii=False)}")


def main(schema, csv_path, *others):
    runs = list(runs_of_csv(csv_path))
    reckoned = figures(runs)
    same("what the CSV says of first attempts", reckoned["firsts"], sorted(r["run"] for r in runs if r["first_of_day"]))
    for path in map(Path, others):
        if path.suffix == ".json":
            report = json.loads(path.read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(json.loads(Path(schema).read_text())).validate(report)
            same("the runs in JSON", report["runs"], runs)
            same("the figures in JSON", figures_of_json(report), reckoned)
        else:
            sys.exit(f"{path}: nobody here reads that")
    del reckoned["firsts"]
    print(json.dumps(reckoned))


main(*sys.argv[1:])
