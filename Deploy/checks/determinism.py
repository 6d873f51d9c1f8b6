"""One recording and one rule set give one set of alert documents, however they arrive.

Each recording is replayed offline twice, then played through a real broker into the live service with `clock: stream`:
as fast as it goes, at 200 times real time, and at 200 times with the service and then the receiver stopped for a while.
Every way must give the same documents byte for byte; the store that a live run leaves, replayed, must too.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import stage
from stage import CheckFailed

DATA = Path(os.environ.get("VIGIL_DATA", stage.ROOT.parent / "shared/data"))
# Patients of the arrhythmia recordings played: enough for some tens of alerts.
CINC_PATIENTS = 50


def synthetic(scene):
    path = scene.folder / "ward.jsonl"
    scene.run("simulate", "--output", path, "--for", "30m", "--pace", "20", "--patients", "8", "--seed", "7")
    return [path]


def bidmc(scene):
    return [DATA / "bidmc_numerics/vitals.csv.zst"]


def cinc(scene):
    """The first patients of the recording, whole."""
    path = scene.folder / "cinc.csv"
    reader = subprocess.Popen(
        ["zstd", "-dcq", str(DATA / "cinc2015_alarms/vitals.csv.zst")], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    with open(path, "wb") as slice_file:
        slice_file.write(reader.stdout.readline())
        patients = set()
        for line in reader.stdout:
            patients.add(line.split(b",", 1)[0])
            if len(patients) > CINC_PATIENTS:
                break
            slice_file.write(line)
    reader.kill()
    reader.wait()
    return [path, "--columns", "cinc2015_alarms"]


def replay(scene, recording, name):
    """Documents in order, and the summary without its timings."""
    alerts = scene.folder / f"{name}.jsonl"
    summary = json.loads(scene.run("replay", *recording, "--alerts", alerts, "--json").splitlines()[-1])
    for figure in ("seconds", "samples_per_second"):
        del summary[figure]
    return alerts.read_bytes().splitlines(), summary


def play(scene, recording, speed, stalls):
    """Plays the recording through the broker; the number of messages published."""
    service = scene.start_vigil()
    scene.wait_ready(service)
    with open(scene.folder / "published.json", "wb") as output:
        player = scene.start(
            [scene.vigil, "replay", *recording, "--mqtt", f"mqtt://127.0.0.1:{scene.broker_port}", "--speed", speed,
             "--json"], "player.log", stdout=output)
    for process, seconds in stalls(service):
        time.sleep(0.7)
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
    if player.wait(120) != 0:
        raise CheckFailed(f"vigil replay --mqtt: exit status {player.returncode}")
    messages = json.loads((scene.folder / "published.json").read_text())["messages"]
    stage.wait_until(lambda: scene.messages_taken_in() >= messages, 60, f"{messages} messages reach vigil")
    return service, messages


def live(scene, recording, speed, stalls, must, what):
    """Documents delivered by a live run."""
    began = time.monotonic()
    service, messages = play(scene, recording, speed, stalls)

    def settled():
        scene.expect_alive(service)
        before = scene.webhooks.stat().st_size
        if not must <= stage.alert_documents(scene.webhooks):
            return False
        time.sleep(0.5)
        return scene.webhooks.stat().st_size == before

    try:
        stage.wait_until(settled, 30, "delivery")
    except CheckFailed:
        difference = stage.first_difference(must, stage.alert_documents(scene.webhooks) & must)
        raise CheckFailed(f"{what}: delivered and replayed differ: {difference}") from None
    scene.stop_vigil(service)
    print(f"  {what}: {messages} messages in {time.monotonic() - began:.1f} s", flush=True)
    return stage.alert_documents(scene.webhooks)


def check_recording(name, make):
    with stage.Stage("determinism") as scene:
        recording = make(scene)
        first, summary = replay(scene, recording, "first")
        again, summary_again = replay(scene, recording, "again")
        if first != again or summary != summary_again:
            raise CheckFailed(f"{name}: two replays differ: {stage.first_difference(set(first), set(again))}")
        if not first:
            raise CheckFailed(f"{name}: the recording gives no alert, so nothing is compared")
        print(f"{name}: {summary['samples']} samples, {len(first)} documents of {summary['alerts']} alerts", flush=True)
        # Updates that nobody is told of are in a replay's output and in no webhook.
        must = {one for one in first if stage.phase(one) != "update"}
        delivered = {}
        ways = [
            ("max", lambda service, sink: []), ("200", lambda service, sink: []),
            ("200", lambda service, sink: [(service, 2), (sink, 3)]),
        ]
        for number, (speed, stalls) in enumerate(ways):
            what = f"{name} at speed {speed}{', stalled' if number == 2 else ''}"
            with stage.Stage("determinism") as place:
                place.start_broker()
                sink = place.start_sink()
                place.configure("stream", identity="payload")
                delivered[what] = live(place, recording, speed, lambda service: stalls(service, sink), must, what)
                check_store(place, what, first)
        reference = next(iter(delivered.values()))
        for what, documents in delivered.items():
            extra = documents - set(first)
            if extra:
                raise CheckFailed(f"{what}: not in the replay: {sorted(extra)[0].decode()[:400]}")
            if documents != reference:
                raise CheckFailed(f"{what}: {stage.first_difference(reference, documents)}")


def check_store(scene, what, expected):
    """The store of a live run, replayed, gives every document again."""
    documents, _ = replay(scene, [scene.store], "stored")
    if sorted(documents) != sorted(expected):
        raise CheckFailed(
            f"{what}: replay of its store differs: {stage.first_difference(set(expected), set(documents))}")


def check():
    check_recording("synthetic ward", synthetic)
    if not DATA.is_dir():
        print(f"{DATA} is not there (VIGIL_DATA): only the synthetic ward was checked")
        return
    check_recording("bidmc_numerics", bidmc)
    check_recording("cinc2015_alarms", cinc)


stage.main(check)
