#!/usr/bin/env python3
"""What each suppression stage is worth on recordings: alone, all but it, all together, and none.

    Benchmarks/suppression.py [--data DIR] [--vigil PROGRAM] [--only NAME]       the tables, on standard output
    Benchmarks/suppression.py --write [PAPER]                                    and in docs/suppression.md (or PAPER)

Every row is `vigil replay --without` of the stages it switches off; a stage alone is the replay without all others. Stages that
held nothing and change nothing share a row. Fails if a device alarm is held, or if the documents do not add up to the summary.
Needs nothing but Python 3.9 and the program zstd.
"""

import argparse
import collections
import csv
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from verification import ROOT, labels, wilson

STAGES = [
    "quality", "smoothing", "hysteresis", "persistence", "confirmation", "inhibition", "refractory", "duplicate", "flap",
    "silence", "acknowledged", "grouping", "budget", "stale", "retrospective", "shadow",
]
SETS = {
    "cinc2015_alarms": "adult-icu", "bidmc_numerics": "adult-ward", "exam_stress": "home", "mimic3_demo": "adult-charted",
}
EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
FIELDS = re.compile(
    r'\{"alert_id":"([^"]+)",.*?"patient":"([^"]*)",.*?"rule":\{"id":"([^"]+)",.*?"kind":"([^"]+)","phase":"([^"]+)",.*?'
    r'"detected_time":"([^"]+)"')
# An alert of ours belongs to a judged alarm if it stood at some time from this long before it to this long after, seconds.
BEFORE, AFTER = 30, 10
# An alert warns of a death if it started or escalated this long before it, seconds.
LEAD = 12 * 3600
DAY = 86400


def seconds(text):
    return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH).total_seconds()


# The recordings


def stays(folder):
    """First and last sample and one interval of every patient, seconds: (first, last, interval)."""
    times = collections.defaultdict(list)
    with subprocess.Popen(["zstd", "-dcq", folder / "vitals.csv.zst"], stdout=subprocess.PIPE, text=True) as pipe:
        rows = csv.reader(pipe.stdout)
        next(rows)
        for row in rows:
            if any(row[2:]):
                times[row[0]].append(float(row[1]))
    found = {}
    for patient, own in times.items():
        own.sort()
        steps = [b - a for a, b in zip(own, own[1:]) if b > a]
        found[patient] = (own[0], own[-1], statistics.median(steps) if steps else 0)
    return found


def patient_days(spans):
    """SEMANTICS F1: the sum of last - first sample + one interval, in days."""
    return sum(last - first + step for first, last, step in spans.values()) / DAY


def deaths(folder):
    with open(folder / "labels.csv", newline="") as file:
        return {row["patient_id"]: float(row["onset_time_s"]) for row in csv.DictReader(file) if row["label"] == "death"}


# One replay


class Run:
    """What one replay told: the summary, and by patient when physiological alerts of ours began, were over, and called."""

    def __init__(self, program, folder, without):
        events = folder / "alarms.csv"
        with tempfile.TemporaryDirectory() as own:
            told = Path(own, "told")
            command = [
                program, "replay", folder / "vitals.csv.zst", "--rules", ROOT / "Rules", "--set", SETS[folder.name],
                "--roster", folder / "patients.csv", "--alerts", told, "--json", "--stage-report",
            ]
            if events.is_file():
                command += ["--events", events]
            if without:
                command += ["--without", ",".join(without)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(done.stderr.strip() or f"vigil replay ended with status {done.returncode}")
            self.summary = json.loads(done.stdout.splitlines()[-1])
            lines = told.read_text().splitlines()
        if list(self.summary["stages"]) != STAGES:
            sys.exit("the program knows other stages than this script: " + " ".join(self.summary["stages"]))
        self.read(lines, events)

    def read(self, lines, events):
        starts = collections.Counter()
        self.spans = collections.defaultdict(dict)
        self.told = collections.defaultdict(list)
        self.physiological = 0
        for line in lines:
            # The keys come in the contract's order; whole documents would be most of the time this takes.
            alert, patient, rule, kind, phase, time = FIELDS.match(line).groups()
            is_device = rule.startswith("device-alarm-")
            if phase == "start":
                starts["device" if is_device else "own"] += 1
            if is_device or kind != "physiological" or phase in ("update", "de-escalate"):
                continue
            spans, time = self.spans[patient], seconds(time)
            if phase == "end":
                spans[alert] = (spans[alert][0], time)
                continue
            self.told[patient].append(time)
            if phase == "start":
                self.physiological += 1
                spans[alert] = (time, float("inf"))
        expected = sum(1 for _ in open(events)) - 1 if events.is_file() else 0
        if starts["device"] != expected:
            sys.exit(f"{starts['device']} of {expected} device alarms were told: they are never held")
        if starts["own"] + starts["device"] != self.summary["alerts"]:
            sys.exit("the documents do not add up to the summary's alerts")
        self.alerts = starts["own"]
        # A device alarm without an end is told once.
        self.notifications = self.summary["notifications"] - expected

    def held(self, stage):
        return self.summary["stages"][stage]["held"]

    def called(self, patient, start, end):
        """Whether a physiological alert of ours started or escalated from one time to another."""
        return any(start <= time <= end for time in self.told[patient])

    def stood(self, patient, start, end):
        """The through-end variant: told before or within, and not over before."""
        return any(begin <= end and over >= start for begin, over in self.spans[patient].values())


def runs(program, folder):
    """Every replay of a recording, by ("all" | "none" | "alone" | "but", stage)."""
    wanted = {("all", ""): [], ("none", ""): STAGES}
    for stage in STAGES:
        wanted["alone", stage] = [other for other in STAGES if other != stage]
        wanted["but", stage] = [stage]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(wanted, pool.map(lambda without: Run(program, folder, without), wanted.values())))


# What the labels say of a replay


def share(part, whole, is_short):
    return str(part) if is_short else f"{part} of {whole}, {wilson(part, whole)}"


class Labels:
    """Further columns for one recording: their titles, and their cells for one replay."""

    titles = []

    def __init__(self, folder, spans):
        pass

    def cells(self, run, is_short=False):
        """Counts with their intervals; short: counts alone."""
        return []


class Alarms(Labels):
    """Judged alarms of monitors: did a physiological alert of ours stand near them."""

    titles = ["true alarms kept", "false alarms dropped"]

    def __init__(self, folder, spans):
        truth = labels(folder)
        self.true = [record for record, (_, is_true) in truth.items() if is_true]
        self.false = [record for record, (_, is_true) in truth.items() if not is_true]
        with open(folder / "labels.csv", newline="") as file:
            self.times = {row["patient_id"]: float(row["onset_time_s"]) for row in csv.DictReader(file)}

    def cells(self, run, is_short=False):
        def near(record):
            return run.stood(record, self.times[record] - BEFORE, self.times[record] + AFTER)

        kept, dropped = sum(map(near, self.true)), sum(not near(record) for record in self.false)
        return [share(kept, len(self.true), is_short), share(dropped, len(self.false), is_short)]


class Healthy(Labels):
    """Healthy people: whatever is told of their vital signs is false."""

    titles = ["false alerts told"]

    def cells(self, run, is_short=False):
        return [str(run.physiological)]


class Deaths(Labels):
    """Deaths: was an alert told in the hours before, and of others in the same hours of their stay."""

    titles = ["deaths with an alert before", "comparable stays with one"]

    def __init__(self, folder, spans):
        self.times = deaths(folder)
        self.controls = {
            patient: [
                other for other, (first, last, _) in spans.items() if other not in self.times and first <= time <= last]
            for patient, time in self.times.items()}

    def cells(self, run, is_short=False):
        kept = sum(run.called(patient, time - LEAD, time) for patient, time in self.times.items())
        shares = [
            statistics.mean(run.called(other, self.times[patient] - LEAD, self.times[patient]) for other in others)
            for patient, others in self.controls.items() if others]
        return [share(kept, len(self.times), is_short), f"{100 * statistics.mean(shares):.0f} %"]


LABELS = {"cinc2015_alarms": Alarms, "exam_stress": Healthy, "mimic3_demo": Deaths}


# The tables


def figure(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def table(program, folder):
    spans = stays(folder)
    days = patient_days(spans)
    judge = LABELS.get(folder.name, Labels)(folder, spans)
    done = runs(program, folder)

    def burden(run):
        return [figure(run.alerts / days), figure(run.notifications / days)]

    def cells(run, is_short=False):
        return burden(run) + judge.cells(run, is_short)

    everything, nothing = done["all", ""], done["none", ""]
    blank = [""] * (2 + len(judge.titles))
    rows, idle = [["*none*", ""] + cells(nothing) + blank], []
    for stage in STAGES:
        held, alone, rest = everything.held(stage), done["alone", stage], done["but", stage]
        if held == 0 and cells(alone) == cells(nothing) and cells(rest) == cells(everything):
            idle.append(stage)
            continue
        rows.append([stage, f"{held:,}"] + cells(alone) + cells(rest, is_short=True))
    if idle:
        rows.append([", ".join(idle), "0"] + cells(nothing) + cells(everything, is_short=True))
    rows.append(["**all**", f"{everything.summary['suppressed']:,}"] + cells(everything) + blank)
    burdens = ["alerts", "notifications"]
    titles = ["stage", "held"] + burdens + judge.titles + ["without it: " + title for title in burdens + judge.titles]
    lines = [
        f"**{folder.name}**, set `{SETS[folder.name]}`: {len(spans)} records, {days:.3g} patient-days.", "",
        "| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def write(paper, text):
    """Puts the tables between their two marks."""
    begin, end = "<!-- tables -->\n", "<!-- end of tables -->"
    old = paper.read_text()
    if begin not in old or end not in old:
        sys.exit(f"{paper}: has no place for the tables ({begin.strip()} and {end})")
    paper.write_text(old[: old.index(begin) + len(begin)] + "\n" + text + "\n" + old[old.index(end):])


def main():
    parser = argparse.ArgumentParser(description="What each suppression stage is worth on recordings.")
    parser.add_argument("--data", default=os.environ.get("VIGIL_DATA", ROOT.parent / "shared/data"), type=Path)
    parser.add_argument("--vigil", default=os.environ.get("VIGIL", ROOT / ".build/release/vigil"))
    parser.add_argument("--only", choices=SETS, help="one recording")
    parser.add_argument("--write", nargs="?", const=ROOT / "docs/suppression.md", type=Path, metavar="PAPER")
    options = parser.parse_args()
    lines = []
    for name in [options.only] if options.only else SETS:
        folder = options.data / name
        if not (folder / "vitals.csv.zst").is_file():
            sys.exit(f"no recordings in {folder}: name their folder with --data or VIGIL_DATA")
        lines += table(options.vigil, folder)
    text = "\n".join(lines).rstrip("\n") + "\n"
    print(text, end="")
    if options.write:
        write(options.write, text)


if __name__ == "__main__":
    main()
