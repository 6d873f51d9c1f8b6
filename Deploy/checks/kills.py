"""SIGKILLs at random moments while a ward streams in at QoS 1: nothing lost, nothing twice, no alert renamed.

    kills.py stream|wall MESSAGES KILLS

`stream`: event time is evaluation time, so the alerts delivered must be those of an offline replay of the same
messages, byte for byte. `wall`: devices stamp what they send when they send it, one clock runs two minutes ahead, and
some devices send neither time nor number; there it is the samples that must each be stored once.

The seed is printed and may be given back in VIGIL_SEED; what the scheduler does is beyond it.
"""

import collections
import csv
import datetime
import io
import json
import os
import random
import signal
import sys
import threading
import time

import stage
from mqtt_publisher import Publisher
from stage import CheckFailed

DEVICES = 40
# Of the wall variant: their times are the server's, or corrected by it, and are not compared.
TIMELESS = {"d-04", "d-11", "d-12", "d-28", "d-31", "d-39"}
AHEAD = {"d-37"}
AHEAD_MS = 120_000
EPOCH_MS = 1_767_225_600_000


def instant(milliseconds):
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03}Z"


class Device:
    """One device: what it measures next, and how it says so. Every value of a device and vital is sent once only."""

    def __init__(self, number, seed):
        self.name = f"d-{number:02}"
        self.random = random.Random(f"{seed}/{self.name}")
        self.numbers_messages = number % 4 in (1, 2)
        self.restart_at = self.random.randrange(200, 2000) if number % 4 == 2 else None
        self.sequence = 0
        self.count = 0
        self.dip_at = self.random.randrange(30, 90)
        self.last_ms = 0
        self.offset = number * 7

    def next(self, now_ms):
        """The next message: JSON text, and its samples as (code, value text, time)."""
        self.count += 1
        self.sequence = 1 if self.count == self.restart_at else self.sequence + 1
        time_ms = EPOCH_MS + self.count * 1000 + self.offset if now_ms is None else max(now_ms, self.last_ms + 1)
        self.last_ms = time_ms
        if self.name in AHEAD and now_ms is not None:
            time_ms += AHEAD_MS
        mark = f"{self.count:05}"
        in_dip = self.dip_at <= self.count < self.dip_at + 3
        if self.count == self.dip_at + 3:
            self.dip_at = self.count + self.random.randrange(45, 120)
        values = [("spo2", ("75." if in_dip else "96.") + mark)]
        if self.count % 3 == 0:
            values.append(("hr", "80." + mark))
        if self.count % 10 == 0:
            values.append(("sbp", ("65." if self.random.random() < 0.15 else "120.") + mark))
        head = {}
        if self.numbers_messages:
            head["seq"] = self.sequence
        if not (now_ms is not None and self.name in TIMELESS):
            head["time"] = instant(time_ms)
        text = json.dumps(head, separators=(",", ":"))[:-1] + ("," if head else "") + '"observations":['
        text += ",".join(f'{{"code":"{code}","value":{value}}}' for code, value in values) + "]}"
        return text, [(code, value, instant(time_ms)) for code, value in values]


class Ward:
    """The stream of messages: devices take turns, and about one message in a hundred is sent twice by its device."""

    def __init__(self, messages, seed, is_wall):
        self.messages = messages
        self.is_wall = is_wall
        self.devices = [Device(number, seed) for number in range(DEVICES)]
        self.random = random.Random(f"{seed}/ward")
        self.samples = []
        self.retries = 0
        self.lines = []

    def __iter__(self):
        sent = 0
        turn = 0
        while sent < self.messages:
            device = self.devices[turn % DEVICES]
            turn += 1
            text, samples = device.next(int(time.time() * 1000) if self.is_wall else None)
            self.samples += [(device.name, code, at, value) for code, value, at in samples]
            # A device without times and numbers cannot tell a retry from a new measurement, and nor can we.
            retries = self.random.random() < 0.01 and not (self.is_wall and device.name in TIMELESS)
            for _ in range(1 + retries):
                self.lines.append((device.name, text))
                yield f"vigil/v1/demo/{device.name}/vitals", text.encode()
                sent += 1
            self.retries += len(samples) if retries else 0


class Stream(threading.Thread):
    """Publishes the ward beside the kills, as fast as the kills go: some of it always lies ahead of the last one."""

    def __init__(self, port, ward):
        super().__init__(daemon=True)
        self.ward = ward
        self.publisher = Publisher(port, "ward")
        self.progress = 0.0
        self.failure = None
        self.seconds = 0.0

    def run(self):
        began = time.monotonic()
        try:
            messages = iter(self.ward)
            for topic, payload in messages:
                self.publisher.publish(topic, payload)
                while self.publisher.published > self.allowed():
                    self.publisher.pump(0.01)
            self.publisher.flush()
            self.seconds = time.monotonic() - began
            # The last word of the stream: a new device, whose alert shows that all before it has been evaluated.
            self.publisher.publish("vigil/v1/demo/d-end/vitals", LAST_WORD.encode())
            self.publisher.flush()
            self.publisher.close()
        except Exception as failure:
            self.failure = failure

    def allowed(self):
        return int(self.ward.messages * self.progress) + 200


LAST_WORD = '{"time":"2026-02-01T00:00:00.000Z","observations":[{"code":"sbp","value":60.5}]}'


class Killer:
    """Starts the service and kills it, again and again."""

    def __init__(self, scene, stream, kills, seed):
        self.scene = scene
        self.stream = stream
        self.kills = kills
        self.random = random.Random(f"{seed}/kills")
        self.early = 0
        self.figures = collections.Counter()

    def run(self, process):
        for number in range(self.kills):
            life = self.lifetime()
            self.live(process, number, life)
            self.note_figures()
            self.kill(process)
            if self.random.random() < 0.15:
                # Killed again while it recovers.
                process = self.scene.start_vigil()
                time.sleep(self.random.uniform(0, 0.3))
                self.kill(process)
                self.early += 1
            process = self.scene.start_vigil()
        return process

    def lifetime(self):
        """Seconds from the first message taken in to the kill: often within a few commits, sometimes past a checkpoint."""
        return self.random.choice([self.random.uniform(0, 0.05), self.random.uniform(0.05, 0.5), self.random.uniform(0.5, 1.2)])

    def live(self, process, number, life):
        def receives():
            self.scene.expect_alive(process)
            if self.stream.failure:
                raise CheckFailed(f"publishing failed: {self.stream.failure}")
            # Should the life before have had all that was allowed: a little more.
            self.stream.progress += 0.001 / self.kills
            return self.scene.messages_taken_in() > 0

        stage.wait_until(receives, 30, f"messages reach vigil before kill {number + 1}")
        began = time.monotonic()
        while (age := time.monotonic() - began) < life:
            self.stream.progress = max(self.stream.progress, (number + min(1, age / life)) / (self.kills + 1))
            time.sleep(0.005)
        self.stream.progress = (number + 1) / (self.kills + 1)

    def note_figures(self):
        metrics = self.scene.metrics()
        self.figures["duplicates"] += int(metrics.get("vigil_samples_duplicate_total", 0))

    def kill(self, process):
        self.scene.expect_alive(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def check_samples(scene, ward, is_wall):
    """Every sample published is in the store once, and nothing else is."""
    text = scene.run("export", "--format", "csv", "--store", scene.store).decode()
    stored = collections.Counter()
    for row in csv.DictReader(io.StringIO(text)):
        if row["device"] != "d-end":
            stored[key(row["device"], row["code"], row["time"], row["value"], is_wall)] += 1
    expected = collections.Counter(key(device, code, at, value, is_wall) for device, code, at, value in ward.samples)
    twice = [one for one, count in stored.items() if count > 1]
    lost = [one for one in expected if one not in stored]
    strange = [one for one in stored if one not in expected]
    if is_wall:
        # Until three messages agree a clock that runs ahead is not known to: those are in quarantine.
        lost = [one for one in lost if not (one[0] in AHEAD and int(one[2].split(".")[1]) <= 3)]
    if lost or twice or strange:
        raise CheckFailed(
            f"samples: {len(lost)} lost, {len(twice)} stored twice, {len(strange)} never published, of {len(expected)}"
            + "".join(f"; {name}: {rows[0]}" for name, rows in (("lost", lost), ("twice", twice), ("strange", strange)) if rows))
    return len(expected)


def key(device, code, at, value, is_wall):
    return (device, code, value) if is_wall and device in TIMELESS | AHEAD else (device, code, value, at)


def check_webhooks(scene):
    """The same id always brought the same document, and an episode has one id; how many came again."""
    bodies = {}
    again = 0
    for name, status, body in stage.received(scene.webhooks):
        if status == 401:
            raise CheckFailed(f"webhook {name} is not signed with the receiver's secret")
        if stage.is_digest(body):
            continue
        data = stage.document(body)
        first = bodies.setdefault(name, (data, body))
        if first[1] is not body:
            again += 1
            if first[1] != body:
                raise CheckFailed(f"webhook {name} came again with another body: {first[1][:300]} then {body[:300]}")
    episodes = {}
    for name, (data, _) in bodies.items():
        alert = json.loads(data)
        if name != f'{alert["alert_id"]}-{alert["sequence"]}':
            raise CheckFailed(f'webhook-id {name} is not {alert["alert_id"]}-{alert["sequence"]}')
        if alert["rule"]["id"] in stage.OWN_RULES:
            continue
        # Technical alerts are one a device, all of these devices have one patient.
        episode = (alert["patient"], alert["rule"]["id"], alert.get("code"), alert["onset_time"])
        if episodes.setdefault(episode, alert["alert_id"]) != alert["alert_id"]:
            raise CheckFailed(f'one episode has two ids: {episode}: {episodes[episode]} and {alert["alert_id"]}')
    return len(bodies), again, len(set(episodes.values()))


def replay(scene, ward):
    """Alert documents of an offline replay of the same messages, the silent updates apart."""
    recording = scene.folder / "ward.jsonl"
    with open(recording, "w") as file:
        for device, text in [*ward.lines, ("d-end", LAST_WORD)]:
            file.write(f'{{"device":"{device}",{text[1:]}\n')
    alerts = scene.folder / "replayed.jsonl"
    scene.run("replay", recording, "--alerts", alerts, "--json")
    documents = set(alerts.read_bytes().splitlines())
    return {one for one in documents if stage.phase(one) != "update"}, documents


def check_alerts(scene, ward):
    must, may = replay(scene, ward)

    def delivered():
        # What was tried in vain before a kill and has ended since goes as part of a digest.
        got = stage.alert_documents(scene.webhooks)
        newest = stage.digested(scene.webhooks)
        return got | {one for one in must - got if newest and is_in_digest(one, newest)}

    try:
        stage.wait_until(lambda: must <= delivered(), 30, "delivery")
    except CheckFailed:
        raise CheckFailed(f"alerts delivered and replayed differ: {stage.first_difference(must, delivered() & must)}") from None
    extra = delivered() - may
    if extra:
        raise CheckFailed(f"alerts delivered and replayed differ: {stage.first_difference(may, delivered() | may)}")
    return len({stage.alert_id(one) for one in must})


def is_in_digest(data, newest):
    alert = json.loads(data)
    return alert["sequence"] <= newest.get(alert["alert_id"], 0)


def check_stored_alerts(scene):
    """The journal that all the lives wrote, replayed as one, gives what the messages replayed give."""
    alerts = scene.folder / "stored.jsonl"
    scene.run("replay", scene.store, "--alerts", alerts, "--json")
    stored, replayed = (set(path.read_bytes().splitlines()) for path in (alerts, scene.folder / "replayed.jsonl"))
    if stored != replayed:
        raise CheckFailed(f"replays of the store and of the messages differ: {stage.first_difference(replayed, stored)}")


def summary(values):
    values = sorted(values)
    return f"median {values[len(values) // 2]}, most {values[-1]}" if values else "none"


def check():
    is_wall = sys.argv[1] == "wall"
    messages, kills = int(sys.argv[2]), int(sys.argv[3])
    seed = os.environ.get("VIGIL_SEED") or str(random.SystemRandom().randrange(1_000_000))
    print(f"{sys.argv[1]}: {messages} messages, {kills} kills, VIGIL_SEED={seed}", flush=True)
    with stage.Stage("kills") as scene:
        scene.start_broker()
        scene.start_sink(fail_every=211, sleep_ms=5)
        # Two evaluators in one of the variants: each has its own progress and floor.
        scene.configure(sys.argv[1], shards=2 if is_wall else 1)
        process = scene.start_vigil()
        scene.wait_ready(process)
        ward = Ward(messages, seed, is_wall)
        stream = Stream(scene.broker_port, ward)
        stream.start()
        killer = Killer(scene, stream, kills, seed)
        process = killer.run(process)
        stream.progress = 1
        stage.wait_until(lambda: stream.failure or not stream.is_alive(), 60, "everything is published")
        if stream.failure:
            raise CheckFailed(f"publishing failed: {stream.failure}")
        wait_for_last_word(scene, process)
        killer.note_figures()
        alerts = None if is_wall else check_alerts(scene, ward)
        scene.stop_vigil(process)
        if not is_wall:
            check_stored_alerts(scene)
        samples = check_samples(scene, ward, is_wall)
        webhooks, again, episodes = check_webhooks(scene)
        starts = [line for line in scene.log_lines() if line.get("msg") == "started" or line.get("message") == "started"]
        print(
            f"  {stream.publisher.acknowledged} messages acknowledged at {messages / stream.seconds:.0f}/s, "
            f"{samples} samples stored once each, at least {killer.figures['duplicates']} duplicates seen and ignored "
            f"({ward.retries} samples were sent twice by their device)")
        print(
            f"  {kills} kills and {killer.early} while recovering; recovery ms: "
            f"{summary(line['recovery_ms'] for line in starts)}; entries evaluated again: "
            f"{summary(line['recovered_entries'] for line in starts)}")
        print(f"  {episodes} alerts, {webhooks} webhooks, {again} of them delivered again with the same id and body")
        if alerts is not None and alerts != episodes:
            raise CheckFailed(f"{episodes} alerts were delivered, the replay has {alerts}")


def wait_for_last_word(scene, process):
    def heard():
        scene.expect_alive(process)
        return any(b'"patient":"d-end"' in body for _, _, body in stage.received(scene.webhooks))

    # By the clock on the wall its time lies long ago, so it is told as missed while offline, or not at all.
    if "clock: wall" in scene.configuration.read_text():
        stage.wait_until(lambda: scene.messages_taken_in() > 0 and is_idle(scene), 60, "the last message is stored")
    else:
        stage.wait_until(heard, 60, "the alert of the last message")


def is_idle(scene):
    """Nothing came in for half a second, and nothing waits between the stages."""
    before = scene.metrics()
    time.sleep(0.5)
    after = scene.metrics()
    name = "vigil_samples_total"
    depths = [value for key, value in after.items() if key.startswith("vigil_ring_depth")]
    return before and before.get(name) == after.get(name) and not any(depths)


if __name__ == "__main__":
    stage.main(check)
