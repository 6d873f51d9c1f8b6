#!/usr/bin/env python3
"""Figures of `VigilBenchmarks storage --json` and `peers.py` as tables: sizes, then ratios beside the targets.

usage: table.py FIGURES
"""
import json
import sys

# Rows a chunk that targets are about.
ROWS = 600
OWN = "modelled, trained"
DICTIONARY = "varint, zstd-19, dictionary"
# The kinds of data that targets are set for, and which entropy figure each is held against.
KINDS = {
    ("synthetic", "jitter"): ("jittered 1 Hz vitals", "reference"),
    ("synthetic", "grid"): ("grid 1 Hz vitals", "order_3"),
    ("bidmc_numerics", "grid"): ("real ICU numerics, grid", "order_2"),
    ("exam_stress", "grid"): ("0.01-step wearables", "order_1"),
    ("stress_predict", "grid"): ("0.01-step wearables", "order_1"),
}
# Largest ratio allowed, by what it is held against, then by kind. The entropy figures are held against the payload, the
# others against the table files (chunks, keys, index and filter).
TARGETS = {
    "entropy figure": (1.10, 1.06, 1.06, 1.08),
    "VictoriaMetrics": (0.30, 0.72, 0.36, 0.78),
    "Prometheus": (0.13, 0.20, 0.17, 0.10),
    "Parquet, zstd-19": (0.68, 0.72, 0.41, 0.73),
    "pcodec": (0.73, 0.58, 0.50, 0.77),
    DICTIONARY: (0.80, 0.75, 0.70, 0.76),
}
# Millions of samples a second of CPU time, encode and decode.
SPEEDS = {"jittered 1 Hz vitals": 10, "grid 1 Hz vitals": 10, "real ICU numerics, grid": 10, "0.01-step wearables": 4}
ORDER = list(dict.fromkeys(kind for kind, _ in KINDS.values()))


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def label(figure):
    return figure.get("codec") or figure["peer"]


def print_sizes(figures):
    """Bytes a sample at the targets' chunk length: of chunks for what packs chunks, of files for the others."""
    labels = list(dict.fromkeys(label(figure) for figure in figures))
    sets = list(dict.fromkeys((figure["set"], figure["stamping"]) for figure in figures))
    print(f"bytes a sample, {ROWS} rows a chunk (SST: table files of Vigil's store)\n")
    print(f"| set | samples | SST ({OWN}) | " + " | ".join(labels) + " |")
    print("| --- " * (len(labels) + 3) + "|")
    for name, stamping in sets:
        cells, sst, count = [], "", 0
        for wanted in labels:
            found = find(figures, (name, stamping), wanted)
            cells.append(f"{found['chunk']:.4f}" if found else "")
            count = found["samples"] if found else count
            if wanted == OWN and found:
                sst = f"{found['sst']:.4f}"
        print(f"| {name}, {stamping} | {count:,} | {sst} | " + " | ".join(cells) + " |")


def find(figures, place, wanted, rows=ROWS):
    for figure in figures:
        if (figure["set"], figure["stamping"]) == place and label(figure) == wanted and figure.get("rows", rows) == rows:
            return figure
    return None


def print_ratios(figures):
    print("\nratios of Vigil's table files and, after the comma, of its stamps and values alone to each; the target is the first's")
    print("(the entropy figure: of stamps and values)\n")
    print("| set | " + " | ".join(TARGETS) + " | encode, decode M/s |")
    print("| --- " * (len(TARGETS) + 2) + "|")
    for place, (kind, entropy) in KINDS.items():
        own = find(figures, place, OWN)
        if not own:
            continue
        cells = []
        for against, limits in TARGETS.items():
            limit = limits[ORDER.index(kind)]
            if against == "entropy figure":
                ratios = [own["values_and_stamps"] / own[entropy]] if own.get(entropy) else []
            else:
                other = find(figures, place, against)
                ratios = [own[size] / other["chunk"] for size in ("sst", "values_and_stamps")] if other else []
            cells.append(verdict(ratios, limit))
        least = SPEEDS[kind]
        speed = f"{own['encode_msps']:.1f}, {own['decode_msps']:.1f} (≥ {least})"
        if min(own["encode_msps"], own["decode_msps"]) < least:
            speed = f"**{speed}**"
        print(f"| {place[0]}, {place[1]}: {kind} | " + " | ".join(cells) + f" | {speed} |")
    print("\nbold: the target is missed")


def verdict(ratios, limit):
    """The first ratio is held against the target."""
    if not ratios:
        return ""
    text = ", ".join(f"{ratio:.2f}" for ratio in ratios) + f" (≤ {limit:.2f})"
    return text if ratios[0] <= limit else f"**{text}**"


def main():
    figures = read(sys.argv[1])
    print_sizes(figures)
    print_ratios(figures)


main()
