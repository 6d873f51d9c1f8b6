"""A webhook receiver that keeps everything: one line `ID TAB STATUS TAB BODY` for each webhook, in order of arrival.

    webhook_sink.py OUTPUT PORT_FILE [FAIL_EVERY] [SLEEP_MS]

The secret is in the environment (HOOK_SECRET). Signatures are verified; one that does not verify is kept with status
401. Each FAIL_EVERYth webhook is kept and then answered 500, as a receiver does that fails after its work: it must come
again under the same id. SLEEP_MS holds each answer back, so that kills find deliveries under way.
"""

import base64
import hashlib
import hmac
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main():
    output, port_file = sys.argv[1], sys.argv[2]
    fail_every = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    sleep = int(sys.argv[4]) / 1000 if len(sys.argv) > 4 else 0
    key = base64.b64decode(os.environ["HOOK_SECRET"].removeprefix("whsec_"))
    kept = open(output, "ab", buffering=0)
    lock = threading.Lock()
    count = 0

    def is_signed(headers, body):
        signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
        good = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(good, one) for one in headers.get("webhook-signature", "").split())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            nonlocal count
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status = 204 if is_signed(self.headers, body) else 401
            with lock:
                count += 1
                if status == 204 and fail_every and count % fail_every == 0:
                    status = 500
                kept.write(b"%s\t%d\t%s\n" % (self.headers.get("webhook-id", "").encode(), status, body))
            if sleep:
                time.sleep(sleep)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_):
            # A sender that was killed mid-request is what the check is about.
            pass

    server = Server(("127.0.0.1", 0), Handler)
    with open(port_file + ".new", "w") as file:
        file.write(str(server.server_address[1]))
    os.rename(port_file + ".new", port_file)
    server.serve_forever()


main()
