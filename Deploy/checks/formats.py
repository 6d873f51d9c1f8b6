"""Every format and kind of webhook, as the program sends it, judged by others' code and by what others document.

    formats.py VIGIL

`vigil webhook test` sends to a sink on loopback: signed by an old and a new secret, as during a rotation.
"""

import base64
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from fhir.resources.R4B.bundle import Bundle
from standardwebhooks import Webhook, WebhookVerificationError

FORMATS = ["standard", "cloudevents", "alertmanager", "pagerduty", "slack", "teams", "fhir"]
ALWAYS_THIN = {"pagerduty", "slack", "teams"}
TYPES = ["opened", "updated", "escalated", "acknowledged", "resolved", "digest"]
# Of the test alert: what no thin payload may hold.
PRIVATE = ["test-patient", "test-device", "test-user", "nothing is wrong", "SpO2", "87.65"]
ROUTING_KEY = "0123456789abcdef0123456789abcdef"


def check(condition, *what):
    if not condition:
        print("FAILED:", *what, file=sys.stderr)
        sys.exit(1)


def secret(fill):
    return "whsec_" + base64.b64encode(bytes([fill]) * 32).decode()


NEW, OLD, OTHER = secret(1), secret(2), secret(3)


class Sink:
    """Keeps every request: path, headers, body."""

    def __init__(self):
        self.requests = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                sink.requests.append((self.path.strip("/"), dict(self.headers.items()), body))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        taken, self.requests = self.requests, []
        return {path: (headers, body) for path, headers, body in taken}


def configuration(port, names):
    lines = ["receivers:"]
    for name, kind in names:
        payload = name.split("-")[1]
        fields = [f"name: {name}", f"format: {kind}", "allow_private: true"]
        # Slack's and Teams' addresses are secrets themselves.
        reference = kind in ("slack", "teams")
        fields.append(f"url: env:URL_{kind.upper()}" if reference else f'url: "http://127.0.0.1:{port}/{name}"')
        if kind == "pagerduty":
            fields.append("secret: env:ROUTING_KEY")
        elif not reference:
            fields.append("secrets: [env:NEW_SECRET, env:OLD_SECRET]")
        if kind not in ALWAYS_THIN:
            fields.append(f"payload: {payload}")
        lines.append("  - { " + ", ".join(fields) + " }")
    return "\n".join(lines) + "\n"


# MARK: what others require


def signature(name, headers, body):
    for key in (NEW, OLD):
        try:
            Webhook(key).verify(body, headers)
        except WebhookVerificationError as error:
            check(False, name, "does not verify:", error)
    for key, content in ((OTHER, body), (NEW, body + b" ")):
        try:
            Webhook(key).verify(content, headers)
        except WebhookVerificationError:
            continue
        check(False, name, "verifies though it must not")


def standard(kind, payload, headers, body):
    content = json.loads(body)
    check(set(content) == {"type", "timestamp", "data"}, "standard", content)
    check(content["type"] == "alert." + kind, content)
    data = content["data"]["alerts"][0] if kind == "digest" else content["data"]
    check(data["alert_id"] and ("patient" in data) == (payload == "full"), data)


def cloudevents(kind, payload, headers, body):
    parsed = from_http_event(HTTPMessage(headers=headers, body=body))
    check(parsed.get_specversion() == "1.0" and parsed.get_type() == "vigil.alert." + kind, body)
    check(parsed.get_id() == headers["webhook-id"], "the CloudEvents id is the webhook id")
    check(parsed.get_source().startswith("/vigil") and parsed.get_time() is not None, body)
    check(parsed.get_datacontenttype() == "application/json" and isinstance(parsed.get_data(), dict), body)
    check(headers["Content-Type"] == "application/cloudevents+json", headers)
    for value in (parsed.get_source(), parsed.get_type(), parsed.get_subject() or ""):
        check("test-patient" not in value, "personal data in an attribute:", value)


def alertmanager(kind, payload, headers, body):
    content = json.loads(body)
    keys = {"version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
            "commonAnnotations", "externalURL", "alerts"}
    check(set(content) == keys and content["version"] == "4", content)
    ended = kind in ("resolved", "digest")
    check(content["status"] == ("resolved" if ended else "firing"), content)
    check(content["groupKey"].startswith("{}:{"), content)
    for alert in content["alerts"]:
        wanted = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
        check(set(alert) == wanted and alert["status"] == content["status"], alert)
        check(re.fullmatch("[0-9a-f]{16}", alert["fingerprint"]), alert)
        check(alert["labels"]["alertname"] == "webhook-test" and alert["labels"]["severity"], alert)
        for pairs in (alert["labels"], alert["annotations"], content["commonLabels"]):
            check(all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", k) and isinstance(v, str) for k, v in pairs.items()), pairs)
        starts = datetime.datetime.fromisoformat(alert["startsAt"].replace("Z", "+00:00"))
        ends = datetime.datetime.fromisoformat(alert["endsAt"].replace("Z", "+00:00"))
        check((ends >= starts) if ended else ends.year == 1, alert)
    common = content["commonLabels"].items()
    check(all(common <= alert["labels"].items() for alert in content["alerts"]), content)


def pagerduty(kind, payload, headers, body):
    content = json.loads(body)
    action = {"acknowledged": "acknowledge", "resolved": "resolve"}.get(kind, "trigger")
    check(content["event_action"] == action, content)
    check(content["routing_key"] == ROUTING_KEY and len(content["dedup_key"]) <= 255, content)
    check("webhook-signature" not in {name.lower() for name in headers}, headers)
    if action == "trigger":
        inner = content["payload"]
        check(inner["summary"] and len(inner["summary"]) <= 1024 and inner["source"], inner)
        check(inner["severity"] in ("critical", "error", "warning", "info"), inner)
        check(isinstance(inner["custom_details"], dict), inner)
    check(len(body) < 512 * 1024, "too long")
    if kind != "digest":
        return content["dedup_key"]


def slack(kind, payload, headers, body):
    content = json.loads(body)
    check(content["text"] and 1 <= len(content["blocks"]) <= 50, content)
    for block in content["blocks"]:
        check(block["type"] in ("header", "section", "context"), block)
        if block["type"] == "header":
            check(block["text"]["type"] == "plain_text" and 1 <= len(block["text"]["text"]) <= 150, block)
        for field in block.get("fields", []):
            check(field["type"] == "mrkdwn" and 1 <= len(field["text"]) <= 2000, field)
        check(len(block.get("fields", [])) <= 10 and len(block.get("elements", [])) <= 10, block)
        if block["type"] == "section":
            check("text" in block or "fields" in block, block)


def teams(kind, payload, headers, body):
    content = json.loads(body)
    check(content["type"] == "message" and len(content["attachments"]) == 1 and len(body) < 28_000, content)
    attachment = content["attachments"][0]
    check(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", attachment)
    card = attachment["content"]
    check(card["type"] == "AdaptiveCard" and card["version"] == "1.4" and card["body"], card)
    for item in card["body"]:
        check(item["type"] in ("TextBlock", "FactSet"), item)
        check(item.get("text") if item["type"] == "TextBlock" else item["facts"], item)


def fhir(kind, payload, headers, body):
    check(headers["Content-Type"] == "application/fhir+json", headers)
    bundle = Bundle.model_validate_json(body)
    check(bundle.type == "transaction", body)
    kinds = [entry.resource.get_resource_type() for entry in bundle.entry]
    wanted = ["DetectedIssue", "Communication"]
    check(kinds == (["Observation"] + wanted if payload == "full" and kind != "digest" else wanted), kinds)
    urls = set()
    for entry in bundle.entry:
        uuid.UUID(entry.fullUrl.removeprefix("urn:uuid:"))
        urls.add(entry.fullUrl)
        resource = entry.resource
        codes = [label.code for label in resource.meta.security]
        check(codes == ["HTEST"], "a simulated resource without its label")
        identifier = resource.identifier[0]
        query = f"identifier={identifier.system}|{identifier.value}"
        check(query in (entry.request.ifNoneExist or entry.request.url), "no idempotency by identifier:", entry.request)
    check(len(urls) == len(bundle.entry), "full URLs are not unique")
    content = json.loads(body)
    references = re.findall(r'"reference":"([^"]+)"', body.decode())
    check(references and set(references) <= urls, "a reference leads nowhere", references)
    if kinds[0] == "Observation":
        observation = content["entry"][0]["resource"]
        check([c["code"] for c in observation["code"]["coding"]][:2] == ["2708-6", "59408-5"], observation)
        check(observation["valueQuantity"]["code"] == "%" and observation["subject"], observation)
    check(("test-patient" in body.decode()) == (payload == "full"), "who it is about", payload, kind)


JUDGES = {name: globals()[name] for name in FORMATS}


# MARK: the run


def main():
    vigil = sys.argv[1]
    sink = Sink()
    names = [(f"{kind}-{payload}", kind) for kind in FORMATS for payload in ("full", "thin")
             if payload == "thin" or kind not in ALWAYS_THIN]
    environment = dict(os.environ, NEW_SECRET=NEW, OLD_SECRET=OLD, ROUTING_KEY=ROUTING_KEY,
                       URL_SLACK=f"http://127.0.0.1:{sink.port}/slack-thin",
                       URL_TEAMS=f"http://127.0.0.1:{sink.port}/teams-thin")
    with tempfile.TemporaryDirectory() as folder:

        def send(file, *arguments):
            done = subprocess.run([vigil, "webhook", "test", "-c", file, *arguments], env=environment, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            check(done.returncode == 0, arguments, done.stdout, done.stderr)
            return sink.take()

        file = os.path.join(folder, "vigil.yaml")
        with open(file, "w", encoding="utf-8") as out:
            out.write(configuration(sink.port, names))
        keys = set()
        for kind in TYPES:
            taken = send(file, "--type", kind)
            check(set(taken) == {name for name, _ in names}, kind, sorted(taken))
            for name, form in names:
                headers, body = taken[name]
                if form not in ALWAYS_THIN:
                    signature(name, headers, body)
                payload = name.split("-")[1]
                if payload == "thin":
                    for word in PRIVATE:
                        check(word not in body.decode(), name, kind, "is thin and holds", word, body)
                found = JUDGES[form](kind, payload, headers, body)
                if found:
                    keys.add(found)
        check(len(keys) == 1, "PagerDuty's dedup_key is not one for all of an alert", keys)

        with open(file, "w", encoding="utf-8") as out:
            out.write(configuration(sink.port, [n for n in names if n[1] in ("standard", "cloudevents")]))
        for name, (headers, body) in send(file, "--type", "heartbeat").items():
            signature(name, headers, body)
            check("heartbeat" in json.loads(body)["type"], body)
    print(f"{len(names)} receivers, {len(TYPES)} kinds of webhook each: signatures with the new and the old secret, "
          "CloudEvents, FHIR R4B, Alertmanager v4, PagerDuty v2, Slack and Teams as their worlds want them; thin is thin")


main()
