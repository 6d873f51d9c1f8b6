#!/usr/bin/env python3
"""The baseline Vigil's latency is measured beside: the shortest program a hospital's own developer would write.

    paho_baseline.py MQTT_PORT WEBHOOK_PORT

paho-mqtt parses each message, compares one value, and posts to a kept-alive connection from a thread of its own. It
keeps nothing on disk, knows no duplicates, signs nothing and retries nothing.
"""
import http.client
import json
import queue
import sys
import threading
from datetime import datetime, timezone

import paho.mqtt.client as mqtt

mqtt_port, webhook_port = int(sys.argv[1]), int(sys.argv[2])
waiting = queue.SimpleQueue()


def post():
    connection = http.client.HTTPConnection("127.0.0.1", webhook_port)
    while True:
        body = waiting.get()
        connection.request("POST", "/hook", body, {"Content-Type": "application/json"})
        connection.getresponse().read()


def on_message(client, userdata, message):
    sample = json.loads(message.payload)
    if sample["code"] == "hr" and sample["value"] >= 200:
        onset = datetime.fromtimestamp(sample["time"] / 1000, timezone.utc)
        alert = {"patient": sample["patient"], "onset_time": onset.isoformat(timespec="milliseconds"),
                 "value": sample["value"]}
        waiting.put(json.dumps(alert, separators=(",", ":")))


def on_connect(client, *_):
    client.subscribe("vigil/v1/+/+/vitals", 1)
    print("connected", flush=True)


threading.Thread(target=post, daemon=True).start()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = on_message
client.on_connect = on_connect
client.connect("127.0.0.1", mqtt_port)
client.loop_forever()
