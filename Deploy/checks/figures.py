"""Recomputes every point figure and every exact interval of `vigil evaluate` from the alerts `vigil replay` tells.

Matching, windows and the utility are written again here from their definitions; scikit-learn and statsmodels give the
figures. usage: figures.py VIGIL
"""

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

from sklearn.metrics import cohen_kappa_score, confusion_matrix, fbeta_score, precision_score, recall_score
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

EPOCH = datetime(2020, 1, 1, tzinfo=timezone.utc)
HOUR = 3600
TOLERANCE = 1e-9
compared = 0


def check(name, found, wanted):
    """Two figures, either of which may be missing."""
    global compared
    compared += 1
    if found is None or wanted is None:
        same = found is None and wanted is None
    else:
        same = math.isclose(found, wanted, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if not same:
        raise SystemExit(f"{name}: vigil says {found!r}, expected {wanted!r}")


def utility_of(hour, onset, predicted):
    """One hour's utility by the PhysioNet Challenge 2019 (Reyna 2019): onset is the hour of sepsis, None never."""
    if onset is None:
        return -0.05 if predicted else 0.0
    early, best, late = onset - 12, onset - 6, onset + 3
    if hour > late:
        return 0.0
    if hour <= best:
        return max((hour - early) / (best - early), -0.05) if predicted else 0.0
    share = (hour - best) / (late - best)
    return 1 - share if predicted else -2 * share


def check_scorer_vectors():
    """Sums the official scorer gives for 20 hours with sepsis at hour 14, and for 10 hours without."""
    def total(hours, onset, hits):
        return sum(utility_of(hour, onset, hour in hits) for hour in range(hours))
    for hits, wanted in [
        ((), -10.0), (range(20), 7.4), ((8,), -9.0), ((2,), -10.0), ((0,), -10.05), ((1,), -10.05), ((17,), -8.0),
        ((18,), -10.0), (range(8, 18), 5.0), (range(2, 18), 7.5),
    ]:
        check(f"utility of predictions at {list(hits)}", total(20, 14, set(hits)), wanted)
    check("utility of silence without sepsis", total(10, None, set()), 0.0)
    check("utility of alarms without sepsis", total(10, None, set(range(10))), -0.5)


class Ward:
    """A ward of hourly charts, with what happened to its patients."""

    def __init__(self, seed, patients, events_max, share_with_events):
        self.random = random.Random(seed)
        self.hours = {f"p{number:03d}": self.random.randint(6, 60) for number in range(patients)}
        self.events = {}
        for name, hours in self.hours.items():
            if self.random.random() > share_with_events:
                continue
            onsets = sorted(self.random.sample(range(hours * 60), self.random.randint(1, events_max)))
            self.events[name] = [
                (60 * onset, 60 * onset + 60 * self.random.randint(1, 240)) for onset in onsets
            ]

    def write(self, folder):
        vitals = {"hr": (85, 12, 20, 250), "spo2": (96, 1.5, 50, 100), "sbp": (118, 14, 40, 260),
                  "resp": (18, 3, 4, 60), "temp": (37.0, 0.5, 34, 42)}
        recording, labels = os.path.join(folder, "vitals.csv"), os.path.join(folder, "labels.csv")
        with open(recording, "w") as out:
            out.write("patient_id,time_s," + ",".join(vitals) + "\n")
            for name, hours in self.hours.items():
                state = {vital: self.random.gauss(0, 1) for vital in vitals}
                for hour in range(hours):
                    cells = []
                    for vital, (mean, spread, low, high) in vitals.items():
                        state[vital] = 0.8 * state[vital] + self.random.gauss(0, 0.9)
                        value = min(high, max(low, mean + spread * state[vital]))
                        places = 1 if vital == "temp" else 0
                        # The first of each hour is always there: a record begins and ends with a sample.
                        keep = vital == "hr" or self.random.random() > 0.2
                        cells.append(f"{value:.{places}f}" if keep else "")
                    out.write(f"{name},{hour * HOUR}," + ",".join(cells) + "\n")
        with open(labels, "w") as out:
            out.write("patient_id,onset_time_s,end_time_s,label\n")
            for name, events in self.events.items():
                for onset, end in events:
                    out.write(f"{name},{onset},{end},crisis\n")
        return recording, labels


def merged(events):
    """Events that overlap are one."""
    result = []
    for onset, end in sorted(events):
        if result and onset < result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((onset, end))
    return result


def seconds(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((moment - EPOCH).total_seconds(), 3)


def told(vigil, recording, folder, rule):
    """By patient: (start, end) of every alert people were told of; the end is None while it is open."""
    path = os.path.join(folder, "alerts.jsonl")
    subprocess.run([vigil, "replay", recording, "--set", "adult-charted", "--alerts", path, "--json"], check=True,
                   stdout=subprocess.DEVNULL)
    alerts = {}
    with open(path) as lines:
        for line in lines:
            document = json.loads(line)
            if rule and document["rule"]["id"] != rule:
                continue
            if document["phase"] == "start":
                alerts[document["alert_id"]] = [document["patient"], seconds(document["detected_time"]), None]
            elif document["phase"] == "end" and document["alert_id"] in alerts:
                alerts[document["alert_id"]][2] = seconds(document["detected_time"])
    by_patient = {}
    for patient, start, end in alerts.values():
        by_patient.setdefault(patient, []).append((start, end))
    return {patient: sorted(own) for patient, own in by_patient.items()}


def match(alerts, events, lead, grace, through_end, neutral_inside):
    """Worth of each alert, oldest first, and the alert credited to each event."""
    worth, credited = [], {}
    for start, _ in alerts:
        fits = [
            (last, index) for index, (onset, end) in enumerate(events)
            for last in [(end if through_end else onset) + grace] if onset - lead <= start <= last
        ]
        free = sorted(pair for pair in fits if pair[1] not in credited)
        if free:
            credited[free[0][1]] = start
            worth.append("credited")
        elif fits:
            worth.append("repeat")
        elif neutral_inside and any(onset <= start <= end for onset, end in events):
            worth.append("neutral")
        else:
            worth.append("false")
    return worth, credited


def interval(figure, method):
    for entry in [figure] + figure["also"]:
        if entry["method"] == method:
            return entry["low"], entry["high"]
    return None


def check_proportion(name, figure, successes, trials):
    """Where every patient gives one answer both intervals stand beside the value."""
    for method, theirs in [("wilson", "wilson"), ("clopper-pearson", "beta")]:
        found = interval(figure, method)
        if 0 < successes < trials or method == "clopper-pearson":
            low, high = proportion_confint(successes, trials, method=theirs)
            check(f"{name}, {method} low", found[0], low if successes else 0.0)
            check(f"{name}, {method} high", found[1], high if successes < trials else 1.0)


def evaluate(vigil, recording, labels, options):
    text = subprocess.run(
        [vigil, "evaluate", recording, "--labels", labels, "--set", "adult-charted", "--json", "-", "--resamples",
         "1000"] + options, check=True, capture_output=True, text=True).stdout
    return json.loads(text)


def check_ward(vigil, seed, patients, events_max, share, lead, grace, through_end, neutral_inside, window,
               rule=None):
    ward = Ward(seed, patients, events_max, share)
    with tempfile.TemporaryDirectory() as folder:
        recording, labels = ward.write(folder)
        alerts = told(vigil, recording, folder, rule)
        options = ["--lead", f"{lead}s", "--grace", f"{grace}s", "--window", f"{window}s"]
        options += ["--rule", rule] if rule else []
        options += ["--through-end"] * through_end + ["--neutral-inside"] * neutral_inside
        report = evaluate(vigil, recording, labels, options)

    days = sum(ward.hours.values()) / 24
    counts = dict.fromkeys(["credited", "repeat", "neutral", "false"], 0)
    detected = before = events_total = 0
    truth, answer, leads, gained, best, none = [], [], [], 0.0, 0.0, 0.0
    yes_patients = with_event = 0
    for name, hours in ward.hours.items():
        events = merged(ward.events.get(name, []))
        own = alerts.get(name, [])
        worth, credited = match(own, events, lead, grace, through_end, neutral_inside)
        for word in worth:
            counts[word] += 1
        events_total += len(events)
        detected += len(credited)
        with_event += bool(events)
        yes_patients += bool(credited)
        leads += [events[index][0] - start for index, start in credited.items()]
        early, _ = match(own, events, lead, -1e-3, False, neutral_inside)
        before += early.count("credited")
        for number in range(math.ceil(hours * HOUR / window)):
            low, high = number * window, min((number + 1) * window, hours * HOUR)
            truth.append(any(onset < high and max(end, onset + 1e-3) > low for onset, end in events))
            answer.append(any(low <= start < high for start, _ in own))
        predicted = [
            any(start < (hour + 1) * HOUR and (start if end is None or end <= start else end - 1e-3) >= hour * HOUR
                or (end is None and start < (hour + 1) * HOUR) for start, end in own)
            for hour in range(hours)
        ]
        onset = int(events[0][0] // HOUR) if events else None
        gained += sum(utility_of(hour, onset, yes) for hour, yes in enumerate(predicted))
        none += sum(utility_of(hour, onset, False) for hour in range(hours))
        if events:
            best += sum(utility_of(hour, onset, onset - 12 <= hour <= onset + 3) for hour in range(hours))

    total = sum(counts.values())
    true = counts["credited"] + counts["repeat"]
    where = f"ward {seed}: "
    check(where + "patients", report["patients"]["n"], len(ward.hours))
    check(where + "patient-days", report["patients"]["patient_days"], days)
    check(where + "events", report["events"]["n"], events_total)
    check(where + "detected", report["events"]["detected"], detected)
    check(where + "alerts", report["alerts"]["n"], total)
    for word, key in [("credited", "credited"), ("repeat", "repeats"), ("neutral", "neutral"), ("false", "false")]:
        check(where + key, report["alerts"][key], counts[word])
    check(where + "burden", report["alerts"]["per_patient_day"]["value"], total / days)
    check(where + "before onset", report["chance"]["before_onset"], before / events_total if events_total else None)
    if events_total:
        found, missed = [1] * detected + [0] * (events_total - detected), [1] * events_total
        check(where + "sensitivity", report["events"]["sensitivity"]["value"], recall_score(missed, found))
        check_proportion(where + "patients detected", report["patients"]["sensitivity"], yes_patients, with_event)
        # Events and false alerts as one vector of answers: no true negatives exist.
        said = found + [1] * counts["false"]
        truly = missed + [0] * counts["false"]
        check(where + "F1", report["scores"]["f1"]["value"], fbeta_score(truly, said, beta=1))
        check(where + "F2", report["scores"]["f2"]["value"], fbeta_score(truly, said, beta=2))
        check(where + "utility", report["scores"]["utility2019"]["value"], (gained - none) / (best - none))
    if true + counts["false"]:
        judged = [1] * true + [0] * counts["false"]
        ppv = precision_score(judged, [1] * len(judged))
        check(where + "PPV", report["alerts"]["ppv"]["value"], ppv)
        check(where + "alerts for a true one", (report["alerts"]["number_needed_to_evaluate"] or {}).get("value"),
              1 / ppv if ppv else None)
    elif total == 0:
        low, high = confint_poisson(0, days, method="exact-c")
        burden = interval(report["alerts"]["per_patient_day"], "poisson-exact")
        check(where + "burden of nothing", burden[1], high)
    if leads:
        leads.sort()
        check(where + "median lead", report["lead_time_s"]["median"], leads[math.ceil(len(leads) / 2) - 1])
    tn, fp, fn, tp = confusion_matrix(truth, answer, labels=[False, True]).ravel()
    windows = report["windows"]
    for key, wanted in [("tn", tn), ("fp", fp), ("fn", fn), ("tp", tp)]:
        check(where + f"windows {key}", windows[key], int(wanted))
    check(where + "window specificity", windows["specificity"]["value"], recall_score(truth, answer, pos_label=False))
    if tp + fn:
        check(where + "window sensitivity", windows["sensitivity"]["value"], recall_score(truth, answer))
    if tp + fp:
        check(where + "window PPV", windows["ppv"]["value"], precision_score(truth, answer))
    for row in windows["net_benefit"]:
        odds = row["threshold"] / (1 - row["threshold"])
        check(where + "net benefit", row["value"], (tp - fp * odds) / len(truth))
        check(where + "alerting always", row["alert_always"], (tp + fn - (fp + tn) * odds) / len(truth))
    check(where + "CinC 2015", report["scores"]["cinc2015"]["value"], 100 * (tp + tn) / (tp + tn + fp + 5 * fn))
    return total


def check_agreement(vigil, seed):
    """Kappas of `vigil label import` over three reviewers who often, and not always, agree."""
    pick = random.Random(seed)
    words = ["true", "false", "not-relevant", "unsure"]
    truth = [pick.choices(words, [3, 5, 1, 1])[0] for _ in range(120)]
    said = {
        name: [word if pick.random() < skill else pick.choice(words) for word in truth]
        for name, skill in [("ada", 0.9), ("bo", 0.7), ("cy", 0.5)]
    }
    with tempfile.TemporaryDirectory() as folder:
        sheets = []
        for name, verdicts in said.items():
            sheets.append(os.path.join(folder, name + ".csv"))
            with open(sheets[-1], "w") as out:
                out.write("alert_id,rule,time,patient_id,verdict,reviewer\n")
                for number, verdict in enumerate(verdicts):
                    out.write(f"a-{number:032x},hr-high,2020-01-01T00:00:00Z,p{number % 30},{verdict},{name}\n")
        text = subprocess.run(
            [vigil, "label", "import", *sheets, "--out", os.path.join(folder, "labels.csv"), "--json"], check=True,
            capture_output=True, text=True).stdout
    report = json.loads(text)
    for pair in report["pairs"]:
        one, other = said[pair["first"]], said[pair["second"]]
        name = f"kappa of {pair['first']} and {pair['second']}"
        check(name, pair["kappa"], cohen_kappa_score(one, other))
        table = confusion_matrix(one, other, labels=words)
        # statsmodels takes its variance from Fleiss, Cohen and Everitt 1969 as well.
        check(name + ", standard error", pair["standard_error"], float(cohens_kappa(table).std_kappa))
        check(name + ", agreed", pair["agreed"], sum(a == b for a, b in zip(one, other)) / len(one))
    counts, _ = aggregate_raters([[words.index(said[name][number]) for name in said] for number in range(len(truth))])
    check("Fleiss' kappa", report["all"]["kappa"], float(fleiss_kappa(counts)))
    if len(report["pairs"]) != 3:
        raise SystemExit(f"three reviewers are three pairs, not {len(report['pairs'])}")


def main():
    vigil = sys.argv[1]
    check_scorer_vectors()
    check_agreement(vigil, 8)
    told_alerts = 0
    for ward in [
        (1, 40, 1, 0.5, 12 * HOUR, 3 * HOUR, False, False, HOUR),
        (2, 30, 3, 0.7, 6 * HOUR, 0, False, True, HOUR),
        (3, 30, 3, 0.7, 4 * HOUR, HOUR, True, False, 6 * HOUR),
        (4, 25, 4, 0.9, 1800, 300, True, True, 300),
        (5, 12, 1, 1.0, 24 * HOUR, 3 * HOUR, False, False, HOUR),
        (6, 30, 1, 0.5, 12 * HOUR, 3 * HOUR, False, False, HOUR, "sbp-low"),
        # Nothing is ever told: no lactate is measured.
        (7, 12, 1, 0.5, 12 * HOUR, 3 * HOUR, False, False, HOUR, "lactate-high"),
    ]:
        told_alerts += check_ward(vigil, *ward)
    if told_alerts < 200:
        raise SystemExit(f"only {told_alerts} alerts were told: nothing much was compared")
    print(f"figures: {compared} compared over {told_alerts} alerts, all within {TOLERANCE}")


main()
