"""SIGKILLs of the service, of backups and of key rotations while a
ward streams into an encrypted store; then restores, damage and repair.

The seed is printed and may be given back in VIGIL_SEED; VIGIL_KILLS sets the number of kills.
"""

import collections
import csv
import datetime
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import kills
import stage
from kills import Stream, Ward, check_samples, instant
from stage import CheckFailed

MESSAGES_A_KILL = 400
# Few devices, so that each fills and seals chunks many times over.
kills.DEVICES = 6


KEYS = {"VIGIL_CHECK_KEY_A": "0a" * 32, "VIGIL_CHECK_KEY_B": "0b" * 32}


class Keys:
    """Which master key opens the store: a rotation that was killed has happened or has not."""

    def __init__(self, scene):
        self.scene = scene
        self.current = "VIGIL_CHECK_KEY_A"

    @property
    def other(self):
        return next(name for name in KEYS if name != self.current)

    def run(self, *arguments, check=True):
        """Runs a command on a store, which may be of a moment before the last rotation."""
        for name in (self.current, self.other):
            done = subprocess.run(
                [self.scene.vigil, *map(str, arguments), "--master-key", f"env:{name}"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.scene.environment, cwd=stage.ROOT, timeout=120)
            said = done.stderr.decode().strip().splitlines()
            if done.returncode == 0 or not any("encryption" in line for line in said):
                break
        if check and done.returncode != 0:
            raise CheckFailed(f"vigil {arguments[0]}: exit status {done.returncode}: {said[-1] if said else ''}")
        return done.stdout

    def settle(self):
        """Gives the service's configuration the key that opens the store now."""
        for name in (self.current, self.other):
            done = subprocess.run(
                [self.scene.vigil, "audit", "--store", str(self.scene.store), "--json", "--master-key", f"env:{name}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.scene.environment)
            if done.returncode == 0:
                break
        else:
            raise CheckFailed(f"no key opens the store: {done.stderr.decode().strip()}")
        text = self.scene.configuration.read_text()
        self.scene.configuration.write_text(text.replace(f"env:{self.current}", f"env:{name}"))
        self.current = name


class Lives:
    """Starts the service, with backups and rotations of keys beside it, and kills all of them at random moments."""

    def __init__(self, scene, keys, stream, kills, seed):
        self.scene = scene
        self.keys = keys
        self.stream = stream
        self.kills = kills
        self.random = random.Random(f"{seed}/kills")
        self.set = scene.folder / "backups"
        self.counts = collections.Counter()
        self.moments = []

    def run(self, process):
        for number in range(self.kills):
            self.live(process, number)
            process.kill()
            process.wait()
            self.counts["kills of the service"] += 1
            if number % 8 == 7:
                self.verify()
            self.keys.settle()
            process = self.scene.start_vigil()
        return process

    def live(self, process, number):
        def receives():
            self.scene.expect_alive(process)
            if self.stream.failure:
                raise CheckFailed(f"publishing failed: {self.stream.failure}")
            self.stream.progress += 0.001 / self.kills
            return self.scene.messages_taken_in() > 0

        stage.wait_until(receives, 30, f"messages reach vigil before kill {number + 1}")
        self.stream.progress = (number + 1) / (self.kills + 1)
        backup = self.start_backup() if number % 2 == 0 else self.start_rotation(number)
        time.sleep(self.random.choice([self.random.uniform(0, 0.05), self.random.uniform(0.05, 0.6)]))
        if backup and self.random.random() < 0.5:
            backup.kill()
            self.counts["kills of a backup or rotation"] += 1
        if number % 3 == 2:
            self.moments.append(int(time.time() * 1000))
        # What a backup says once its service is dead is not judged; what it left is.
        self.finish(backup, process)

    def start_backup(self):
        return self.scene.start(
            [self.scene.vigil, "backup", "--store", self.scene.store, "--to", self.set, "--keep", 3, "--json",
             "--master-key", f"env:{self.keys.current}"], "backup.log")

    def start_rotation(self, number):
        what = ["tenant", "all"] if number % 4 == 1 else ["master", "--new", f"env:{self.keys.other}"]
        return self.scene.start(
            [self.scene.vigil, "keys", "rotate", *what, "--by", "check", "--store", self.scene.store,
             "--master-key", f"env:{self.keys.current}"], "keys.log")

    def finish(self, backup, process):
        if not backup:
            return
        if self.random.random() < 0.3 and backup.poll() is None:
            process.kill()
        if backup.wait(60) == 0:
            self.counts["backups" if "backup" in backup.args else "rotations"] += 1

    def verify(self):
        report = json.loads(self.keys.run("verify", "--store", self.scene.store, "--json", check=False) or b"{}")
        if not report.get("sound"):
            raise CheckFailed(f"verify after a kill: {report.get('findings')}")
        self.counts["verifications"] += 1


class KeyedScene:
    """A scene whose commands name the store's key."""

    def __init__(self, scene, keys):
        self.store = scene.store
        self.run = keys.run


def text_of(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


def replayed(scene, keys, store, *more):
    """Last line of a replay: counts and the digest of every patient's state."""
    output = keys.run("replay", store, "--alerts", scene.folder / "replayed", "--suppressed", "/dev/null", "--json", *more)
    summary = json.loads(output.splitlines()[-1])
    return summary["state_hash"], summary["samples"]


def check_restores(scene, keys, lives, count):
    """A store restored to a moment is what a replay of the journal to that moment gives."""
    backups = [json.loads(line) for line in scene.run("backup", "--list", "--to", lives.set, "--json").splitlines()]
    if not backups:
        raise CheckFailed("no backup was finished")
    first = min(datetime.datetime.fromisoformat(one["last_ingest_time"].replace("Z", "+00:00")) for one in backups)
    first = int(first.timestamp() * 1000)
    last = int(time.time() * 1000)
    seconds = []
    for number in range(count):
        moment = lives.random.randrange(first, last)
        target = scene.folder / f"restored-{number}"
        began = time.monotonic()
        report = json.loads(keys.run("restore", lives.set, "--to", text_of(moment), "--store", target, "--json"))
        seconds.append(time.monotonic() - began)
        expected = replayed(scene, keys, scene.store, "--received-by", text_of(moment))
        if replayed(scene, keys, target) != expected:
            raise CheckFailed(f"restored to {text_of(moment)}: {report}: {replayed(scene, keys, target)}, replayed {expected}")
        keys.run("verify", "--store", target)
        shutil.rmtree(target)
    scene.run("verify", "--backup", lives.set)
    # A disaster now: what is lost is what had not been archived.
    target = scene.folder / "restored-latest"
    keys.run("restore", lives.set, "--store", target, "--no-deliver")
    if replayed(scene, keys, target) != replayed(scene, keys, scene.store):
        raise CheckFailed("the latest moment restored is not the store as it was stopped")
    overwritten = subprocess.run(
        [scene.vigil, "restore", lives.set, "--store", target, "--master-key", f"env:{keys.current}"], capture_output=True, env=scene.environment)
    if overwritten.returncode == 0 or b"never overwrites" not in overwritten.stderr:
        raise CheckFailed("a restore overwrote a store")
    return target, max(seconds)


def check_damage(keys, store):
    """A flipped byte in the largest table file: found, said, repaired by rebuilding, and the service starts."""
    table = max(store.glob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 0x10
    table.write_bytes(content)
    report = json.loads(keys.run("verify", "--store", store, "--json", check=False))
    if report["sound"] or not any(table.name in one["what"] for one in report["findings"]):
        raise CheckFailed(f"a damaged block was not found: {report['findings']}")
    keys.run("verify", "--store", store, "--repair", "--json", check=False)
    left = json.loads(keys.run("verify", "--store", store, "--json", check=False))
    kinds = {one["kind"] for one in left["findings"]}
    # The rows of the block are gone; what a journal misses of itself stays said.
    if not kinds <= {"gap", "reference"}:
        raise CheckFailed(f"not repaired: {left['findings']}")
    if not list(store.parent.glob(store.name + ".damaged-*")):
        raise CheckFailed("the damaged store was not kept")
    keys.run("audit", "--store", store, "--verify")
    return len(left["findings"])


def check_truncated_log(scene, keys, backups):
    """A log cut short by somebody: the start says how much is missing, and goes on; the archive begins another history."""
    log = max(scene.store.glob("*.log"), key=lambda path: path.stat().st_mtime)
    size = log.stat().st_size
    os.truncate(log, size // 2)
    report = json.loads(keys.run("verify", "--store", scene.store, "--json", check=False))
    if not any(one["kind"] == "end" for one in report["findings"]):
        raise CheckFailed(f"a truncated log was not noticed: {report['findings']}")
    before = (scene.folder / "vigil.log").stat().st_size
    process = scene.start_vigil()
    stage.wait_until(
        lambda: b"entries are lost" in (scene.folder / "vigil.log").read_bytes()[before:], 20,
        "the start says that the journal ends early")
    scene.wait_ready(process)
    stage.wait_until(
        lambda: list(backups.glob("journal/*/epoch-000002/began")), 20, "the archive begins another history")
    keys.run("backup", "--store", scene.store, "--to", backups)
    process.kill()
    process.wait()
    target = scene.folder / "restored-second"
    keys.run("restore", backups, "--store", target, "--no-deliver")
    if exported(keys, target) != exported(keys, scene.store):
        raise CheckFailed("the newest moment of the second history is not the store as it was killed")


def exported(keys, store):
    return sorted(keys.run("export", "--store", store, "--full").splitlines())


def check_backup_set(scene, keys, backups):
    """Damage in a backup set is found, put aside, and mended by the next backup; one bad manifest hides no other."""
    file = max(backups.glob("files/*"), key=lambda path: path.stat().st_mtime)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    manifest = min(backups.glob("backups/*.backup"))
    manifest.write_bytes(manifest.read_bytes()[:-9])
    verify = ["verify", "--backup", backups]
    for more, wanted in [([], 1), (["--repair"], 1)]:
        done = subprocess.run(
            [scene.vigil, *map(str, verify), *more], capture_output=True, env=scene.environment, cwd=stage.ROOT)
        if done.returncode != wanted or file.name not in done.stderr.decode() and more:
            raise CheckFailed(f"verify {more} of a damaged set: {done.returncode}: {done.stderr.decode()}")
    keys.run("backup", "--store", scene.store, "--to", backups)
    if not (backups / "damaged" / manifest.name).exists():
        raise CheckFailed("a damaged manifest was not put aside")
    scene.run(*verify)


def check():
    wanted_kills = int(os.environ.get("VIGIL_KILLS", "16"))
    seed = os.environ.get("VIGIL_SEED") or str(random.SystemRandom().randrange(1_000_000))
    print(f"{wanted_kills} kills, VIGIL_SEED={seed}", flush=True)
    with stage.Stage("store") as scene:
        scene.start_broker()
        scene.start_sink()
        scene.environment.update(KEYS)
        keys = Keys(scene)
        scene.configure("stream")
        text = scene.configuration.read_text()
        scene.configuration.write_text(text.replace(
            f'store: {{ path: "{scene.store}" }}',
            f'store: {{ path: "{scene.store}", archive: "{scene.folder / "backups"}", '
            f'master_key: "env:{keys.current}" }}'))
        process = scene.start_vigil()
        scene.wait_ready(process)
        ward = Ward(MESSAGES_A_KILL * wanted_kills, seed, False)
        stream = Stream(scene.broker_port, ward)
        stream.start()
        lives = Lives(scene, keys, stream, wanted_kills, seed)
        lives.start_backup().wait(60)
        process = lives.run(process)
        stream.progress = 1
        stage.wait_until(lambda: stream.failure or not stream.is_alive(), 60, "everything is published")
        if stream.failure:
            raise CheckFailed(f"publishing failed: {stream.failure}")
        wanted = len(ward.samples) + 1
        stage.wait_until(lambda: stored(scene, keys) >= wanted, 60, "everything is stored")
        scene.stop_vigil(process)
        samples = check_samples(KeyedScene(scene, keys), ward, False)
        lives.verify()
        if any(line.get("message") == "changes are missing from the archive" for line in scene.log_lines()):
            raise CheckFailed("the archive has a gap though nothing took its log away")
        target, seconds = check_restores(scene, keys, lives, 6)
        print(f"  {samples} samples stored once each; " + ", ".join(f"{count} {what}" for what, count in lives.counts.items()))
        print(f"  6 random moments restored as replayed, the slowest in {seconds:.2f} s")
        left = check_damage(keys, target)
        print(f"  a damaged block found and the store rebuilt; {left} findings left that only a backup can mend")
        process = scene.start_vigil()
        scene.wait_ready(process)
        subprocess.run(
            ["mosquitto_pub", "-p", str(scene.broker_port), "-q", "1", "-t", "vigil/v1/demo/d-late/vitals", "-m",
             f'{{"time":"{instant(1_770_000_000_000)}","observations":[{{"code":"hr","value":80}}]}}'], check=True)
        stage.wait_until(lambda: stored(scene, keys) > wanted, 20, "one more sample is stored")
        time.sleep(1.2)
        subprocess.run(
            ["mosquitto_pub", "-p", str(scene.broker_port), "-q", "1", "-t", "vigil/v1/demo/d-late/vitals", "-m",
             f'{{"time":"{instant(1_770_000_060_000)}","observations":[{{"code":"hr","value":81}}]}}'], check=True)
        stage.wait_until(lambda: stored(scene, keys) > wanted + 1, 20, "two more samples are stored")
        # Until all of it is archived.
        time.sleep(4.5)
        process.kill()
        process.wait()
        check_truncated_log(scene, keys, lives.set)
        print("  a truncated log is noticed by verify, by the start and by the archive, which keeps the two histories apart")
        check_backup_set(scene, keys, lives.set)
        print("  damage in a backup set found, put aside and mended by the next backup")


def stored(scene, keys):
    """Samples the journal holds, by the store's own count."""
    text = keys.run("export", "--format", "csv", "--store", scene.store, check=False).decode()
    return sum(1 for _ in csv.reader(io.StringIO(text))) - 1


if __name__ == "__main__":
    stage.main(check)
