#!/usr/bin/env python3
"""What the checks of device alarms are worth on recorded alarms that experts judged.

    Benchmarks/verification.py [--data DIR] [--vigil PROGRAM] [--set NAME] [--minimum SCORE]   the table
    Benchmarks/verification.py --sensitivity                every parameter ten percent down and up, through the engine
    Benchmarks/verification.py --refit                      limits chosen anew on four fifths, scored on the fifth

The recordings are replayed with the monitor's own alarms as events. An alarm counts as dropped where the checks answer
`unsupported`, as kept where they answer anything else or nothing. CinC score: 100 (TP + TN) / (TP + TN + FP + 5 FN).
Fails if an alarm was not told, or was held back, or the score is below the minimum. Needs nothing but Python 3.9, and for
--refit the program zstd.
"""

import argparse
import collections
import csv
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ["asystole", "bradycardia", "tachycardia", "vtach", "vfib"]
SET = "cinc2015_alarms"


def wilson(part, whole, z=1.959963984540054):
    """Wilson's 95 % interval of a proportion, in percent."""
    if whole == 0:
        return "-"
    p = part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return f"{100 * p:.0f} % ({100 * max(0, middle - half):.0f} to {100 * min(1, middle + half):.0f})"


class Counts(collections.Counter):
    """TP: true and kept; FN: true and dropped; TN: false and dropped; FP: false and kept."""

    @classmethod
    def of(cls, verdicts):
        """verdicts: pairs of whether the alarm is true and whether it is dropped."""
        counts = cls()
        for is_true, is_dropped in verdicts:
            counts[("FN" if is_dropped else "TP") if is_true else ("TN" if is_dropped else "FP")] += 1
        return counts

    @property
    def score(self):
        right = self["TP"] + self["TN"]
        return 100 * right / (right + self["FP"] + 5 * self["FN"])


def labels(data):
    """Kind and truth of each record's alarm."""
    found = {}
    with open(data / "labels.csv", newline="") as file:
        for row in csv.DictReader(file):
            kind, truth = row["label"].rsplit("_", 1)
            found[row["patient_id"]] = (kind, truth == "true")
    return found


def replay(program, data, rules, rule_set):
    """The documents of device alarms told, by record, and how many of them were held back."""
    with tempfile.TemporaryDirectory() as folder:
        told, held = Path(folder, "told"), Path(folder, "held")
        command = [
            program, "replay", data / "vitals.csv.zst", "--rules", rules, "--set", rule_set, "--events",
            data / "alarms.csv", "--columns", SET, "--alerts", told, "--suppressed", held, "--json",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr.strip() or f"vigil replay ended with status {done.returncode}")
        alarms = collections.defaultdict(list)
        for line in told.read_text().splitlines():
            document = json.loads(line)
            if document["rule"]["id"].startswith("device-alarm-"):
                alarms[document["patient"]].append(document)
        lost = sum('"id":"device-alarm-' in line for line in held.read_text().splitlines())
        return alarms, lost


def answers(program, data, rules, rule_set, truth):
    """What the checks said of each record's alarm. Ends the program if an alarm was not told exactly once, at once."""
    alarms, lost = replay(program, data, rules, rule_set)
    if lost:
        sys.exit(f"{lost} device alarms were held back: they are annotated, never cancelled")
    found = {}
    for record, (kind, _) in truth.items():
        told = alarms.get(record, [])
        if [a["phase"] for a in told] != ["start"] or told[0]["rule"]["id"] != "device-alarm-" + kind:
            sys.exit(f"the alarm of {record} was not told exactly once: they are annotated, never cancelled")
        if told[0]["suppressed"] is not None or told[0]["state"] != "active":
            sys.exit(f"the alarm of {record} is held back: they are annotated, never cancelled")
        found[record] = told[0]["verification"]
    return found


def counted(truth, said, kind=None):
    return Counts.of((t, said[r] == "unsupported") for r, (k, t) in truth.items() if kind in (None, k))


def table(truth, said):
    wrong = sorted(r for r, (_, t) in truth.items() if t and said[r] == "unsupported")
    names = ", ".join(f"{r} ({truth[r][0]})" for r in wrong) or "none"
    print(f"True alarms wrongly called unsupported: {names}\n")
    print("| alarm | true | kept | false | dropped | supported: true of all | unknown: true of all | CinC score | all kept |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in KINDS + [None]:
        c = counted(truth, said, kind)
        positive, negative = c["TP"] + c["FN"], c["TN"] + c["FP"]
        shares = []
        for answer in ("supported", "unknown"):
            hits = [t for r, (k, t) in truth.items() if kind in (None, k) and said[r] == answer]
            shares.append(f"{sum(hits)} of {len(hits)}")
        kept = 100 * positive / (positive + negative) if positive + negative else 0
        print(
            f"| {kind or '**all**'} | {positive} | {c['TP']}, {wilson(c['TP'], positive)} | {negative} | "
            f"{c['TN']}, {wilson(c['TN'], negative)} | {shares[0]} | {shares[1]} | {c.score:.1f} | {kept:.1f} |")
    return counted(truth, said).score


# Sensitivity: through the engine


def parameters():
    """Every parameter of the checks as shipped: (rule, name, value)."""
    found, rule = [], None
    inside = False
    for line in (ROOT / "Rules/arrhythmia/checks.yaml").read_text().splitlines():
        if line.startswith("rule: "):
            rule = line[6:]
        if not line.startswith(" "):
            inside = line == "parameters:"
        elif inside:
            name, rest = line.strip().split(":", 1)
            found.append((rule, name, float(rest.split("default:")[1].split(",")[0])))
    return found


def sensitivity(program, data, truth):
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "Rules")
        shutil.copytree(ROOT / "Rules", rules)

        def run(changed=None):
            lines = ["set: checks", "title: Checks only", "rationale: one limit moved", "rules:"]
            for kind in KINDS:
                rule = kind + "-check"
                own = f", parameters: {{ {changed[1]}: {changed[2]:g} }}" if changed and changed[0] == rule else ""
                lines.append(f"  - {{ rule: {rule}{own} }}")
            (rules / "sets/checks.yaml").write_text("\n".join(lines) + "\n")
            return counted(truth, answers(program, data, rules, "checks", truth))

        base = run()
        print(f"As shipped: {base.score:.1f}, true alarms dropped {base['FN']}\n")
        print("| limit | shipped | 10 % lower: score, true dropped | 10 % higher: score, true dropped |")
        print("| --- | --- | --- | --- |")
        for rule, name, value in parameters():
            cells = []
            for factor in (0.9, 1.1):
                c = run((rule, name, value * factor))
                cells.append(f"{c.score:.1f}, {c['FN']}")
            print(f"| `{rule}` {name} | {value:g} | {cells[0]} | {cells[1]} |")


# Refitting: the conditions of Rules/arrhythmia/checks.yaml once more, by another program


class Record:
    """One record up to the alarm, as the registry judges it: impossible values gone, rounded half up."""

    COLUMNS = {
        "hr": (0, 350, 1), "hr2": (0, 350, 1), "pr": (0, 350, 1), "pr_abp": (0, 350, 1), "age_ecg1": (0, 3600, 100),
        "age_ecg2": (0, 3600, 100), "age_pleth": (0, 3600, 100), "age_abp": (0, 3600, 100),
    }

    def __init__(self):
        self.values = {name: [] for name in self.COLUMNS}
        self.cache = {}

    def add(self, row):
        for name, (low, high, steps) in self.COLUMNS.items():
            text = row[name]
            if text and low <= float(text) <= high:
                self.values[name].append((int(row["time_s"]), math.floor(float(text) * steps + 0.5) / steps))

    def of(self, kind, name, length):
        """One aggregate of a column over the seconds before the alarm at 300 s; None where there is no value."""
        key = (kind, name, length)
        if key not in self.cache:
            seen = [v for t, v in self.values[name] if 300 - length < t]
            if kind == "count":
                self.cache[key] = len(seen)
            elif not seen:
                self.cache[key] = None
            else:
                self.cache[key] = {
                    "min": min, "max": max, "range": lambda v: max(v) - min(v)}[kind](seen)
        return self.cache[key]

    def below(self, kind, name, length, limit):
        value = self.of(kind, name, length)
        return value is not None and value < limit - 1e-9

    def known(self, name, length, count):
        return self.of("count", name, length) >= count


LEADS = [("hr", "age_ecg1"), ("hr2", "age_ecg2")]
PULSES = [("pr_abp", "age_abp"), ("pr", "age_pleth")]


def asystole(r, beat_gap, pulse_gap, pulse_spread):
    return any(r.below("max", a, 10, beat_gap) and r.known(a, 10, 8) for _, a in LEADS) or any(
        r.below("max", a, 10, pulse_gap) and r.below("range", p, 10, pulse_spread) and r.known(p, 10, 8)
        for p, a in PULSES)


def bradycardia(r, beat_gap, pulse_gap, limit):
    return any(r.below("max", a, 10, beat_gap) and r.known(a, 10, 8) for _, a in LEADS) or any(
        r.known(p, 10, 8) and not r.below("min", p, 10, limit) and r.below("max", a, 10, pulse_gap)
        for p, a in PULSES)


def tachycardia(r, limit):
    return any(r.below("max", h, 10, limit) and r.known(h, 10, 8) for h, _ in LEADS) or (
        r.below("max", "pr_abp", 16, limit) and r.known("pr_abp", 16, 13))


def vfib(r, pulse_gap):
    ages = [a for _, a in PULSES]
    return all(r.of("count", a, 10) == 0 or r.below("max", a, 10, pulse_gap) for a in ages) and any(
        r.known(a, 10, 8) for a in ages)


def vtach(r, spread, pause, limit, limit_pause):
    return any(
        (r.below("range", p, 12, spread) and r.below("max", a, 12, pause) and r.known(p, 12, 10))
        or (r.below("max", p, 10, limit) and r.below("max", a, 10, limit_pause) and r.known(p, 10, 8))
        for p, a in PULSES)


CHECKS = {"asystole": asystole, "bradycardia": bradycardia, "tachycardia": tachycardia, "vtach": vtach, "vfib": vfib}
GRIDS = {
    "asystole": {"beat_gap": [1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5], "pulse_gap": [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5],
                 "pulse_spread": [5, 10, 20, 30, 40]},
    "bradycardia": {"beat_gap": [0.9, 1, 1.1, 1.2, 1.3], "pulse_gap": [1.1, 1.2, 1.3, 1.4, 1.5],
                    "limit": [45, 50, 55, 60, 65]},
    "tachycardia": {"limit": [85, 90, 95, 100, 105, 110, 115, 120]},
    "vfib": {"pulse_gap": [1.5, 1.75, 2, 2.25, 2.5, 2.75, 3]},
    "vtach": {"spread": [3, 4, 5, 6, 7, 8], "pause": [0.8, 0.9, 1, 1.1], "limit": [75, 80, 85, 90, 95],
              "limit_pause": [0.7, 0.8, 0.9, 1]},
}


def records(data):
    found = collections.defaultdict(Record)
    with subprocess.Popen(["zstd", "-dc", data / "vitals.csv.zst"], stdout=subprocess.PIPE, text=True) as pipe:
        for row in csv.DictReader(pipe.stdout):
            # The alarm comes before the row of its own second.
            if 240 < int(row["time_s"]) < 300:
                found[row["patient_id"]].add(row)
    return found


def agree(program, data, truth, found):
    """The other program says `unsupported` of exactly the alarms the engine says it of."""
    shipped = collections.defaultdict(dict)
    for rule, name, value in parameters():
        shipped[rule.removesuffix("-check")][name] = value
    said = answers(program, data, ROOT / "Rules", "adult-icu", truth)
    for record, (kind, _) in truth.items():
        mine = CHECKS[kind](found[record], **shipped[kind])
        # Where both conditions hold the engine says supported.
        if mine != (said[record] == "unsupported") and said[record] != "supported":
            sys.exit(f"{record}: the engine says {said[record]}, this program {'un' if mine else 'not un'}supported")
    print(f"Both programs agree on all {len(truth)} alarms with the limits as shipped.")


def refit(program, data, truth, folds=5, rounds=10, seed=7):
    found = records(data)
    agree(program, data, truth, found)
    dropped = {}
    for kind in KINDS:
        names = list(GRIDS[kind])
        chosen = sorted(r for r, (k, _) in truth.items() if k == kind)
        dropped[kind] = (
            chosen,
            [[CHECKS[kind](found[r], **dict(zip(names, values))) for r in chosen]
             for values in itertools.product(*GRIDS[kind].values())])
    generator = random.Random(seed)
    scores, lost, by_kind = [], [], collections.defaultdict(list)
    for _ in range(rounds):
        total = Counts()
        for kind in KINDS:
            counts = held_out(*dropped[kind], truth, folds, generator)
            by_kind[kind].append(counts.score)
            total.update(counts)
        scores.append(total.score)
        lost.append(total["FN"])
    mean = sum(scores) / rounds
    print(
        f"Limits chosen anew in {folds} folds by record, {rounds} rounds (seed {seed}): CinC score {mean:.1f} "
        f"({min(scores):.1f} to {max(scores):.1f}), true alarms dropped {sum(lost) / rounds:.1f} "
        f"({min(lost)} to {max(lost)})")
    print(", ".join(f"{kind} {sum(by_kind[kind]) / rounds:.1f}" for kind in KINDS))


def held_out(chosen, table, truth, folds, generator):
    """Each record judged by the limits that did best on the other folds; of equals the ones that drop least, then the middle."""
    fold = {}
    for is_true in (True, False):
        group = [i for i, r in enumerate(chosen) if truth[r][1] is is_true]
        generator.shuffle(group)
        fold.update((i, place % folds) for place, i in enumerate(group))
    verdicts = []
    for number in range(folds):
        inner = [i for i in fold if fold[i] != number]

        def quality(row):
            return Counts.of((truth[chosen[i]][1], row[i]) for i in inner).score, -sum(row[i] for i in inner)

        ranked = [quality(row) for row in table]
        best = [row for row, rank in zip(table, ranked) if rank == max(ranked)]
        row = best[len(best) // 2]
        verdicts += [(truth[chosen[i]][1], row[i]) for i in fold if fold[i] == number]
    return Counts.of(verdicts)


def main():
    parser = argparse.ArgumentParser(description="What the checks of device alarms are worth on judged alarms.")
    parser.add_argument("--data", default=os.environ.get("VIGIL_DATA", ROOT.parent / "shared/data"), type=Path)
    parser.add_argument("--vigil", default=os.environ.get("VIGIL", ROOT / ".build/release/vigil"))
    parser.add_argument("--set", default="adult-icu")
    parser.add_argument("--minimum", type=float, default=0)
    parser.add_argument("--sensitivity", action="store_true")
    parser.add_argument("--refit", action="store_true")
    options = parser.parse_args()
    data = options.data / SET
    if not (data / "labels.csv").is_file():
        sys.exit(f"no recordings in {data}: name their folder with --data or VIGIL_DATA")
    truth = labels(data)
    if options.sensitivity:
        sensitivity(options.vigil, data, truth)
    elif options.refit:
        refit(options.vigil, data, truth)
    else:
        score = table(truth, answers(options.vigil, data, ROOT / "Rules", options.set, truth))
        if score < options.minimum:
            sys.exit(f"CinC score {score:.1f} is below {options.minimum:g}")


if __name__ == "__main__":
    main()
