"""A small MQTT 3.1.1 publisher: QoS 1, many messages in flight, the order of publishing kept.

Its one job is to hand messages to a broker fast and to know which of them the broker has acknowledged. It does not
reconnect: a check's broker lives as long as the check.
"""

import select
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0xE0


class PublishError(Exception):
    pass


def remaining_length(count):
    out = bytearray()
    while True:
        byte, count = count & 0x7F, count >> 7
        out.append(byte | (0x80 if count else 0))
        if not count:
            return bytes(out)


class Publisher:
    """One connection, used by one thread."""

    def __init__(self, port, client_id, window=4000, host="127.0.0.1"):
        self.window = window
        self.published = 0
        self.acknowledged = 0
        self.next_id = 1
        self.in_flight = set()
        self.out = bytearray()
        self.inbound = bytearray()
        self.topics = {}
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = client_id.encode()
        body = struct.pack("!H4sBBH", 4, b"MQTT", 4, 0x02, 60) + struct.pack("!H", len(name)) + name
        self.socket.sendall(bytes([CONNECT]) + remaining_length(len(body)) + body)
        answer = b""
        while len(answer) < 4:
            more = self.socket.recv(4 - len(answer))
            if not more:
                raise PublishError("the broker closed the connection before CONNACK")
            answer += more
        if answer[0] != CONNACK or answer[3] != 0:
            raise PublishError(f"the broker refused the connection: {answer.hex()}")
        self.socket.setblocking(False)

    def publish(self, topic, payload):
        """Queues one message; waits only while the window of unacknowledged messages is full."""
        while len(self.in_flight) >= self.window:
            self.pump(0.2)
        prefix = self.topics.get(topic)
        if prefix is None:
            name = topic.encode()
            prefix = self.topics[topic] = struct.pack("!H", len(name)) + name
        while self.next_id in self.in_flight:
            self.next_id = self.next_id % 65535 + 1
        self.in_flight.add(self.next_id)
        body_length = len(prefix) + 2 + len(payload)
        self.out += bytes([PUBLISH | 0x02]) + remaining_length(body_length) + prefix
        self.out += struct.pack("!H", self.next_id) + payload
        self.next_id = self.next_id % 65535 + 1
        self.published += 1
        if len(self.out) > 65536:
            self.pump(0)

    def pump(self, seconds):
        """Sends what is queued and takes in acknowledgements; waits at most so long for either."""
        wants = [self.socket] if self.out else []
        readable, writable, _ = select.select([self.socket], wants, [], seconds)
        if writable:
            sent = self.socket.send(memoryview(self.out)[:262144])
            del self.out[:sent]
        if readable:
            received = self.socket.recv(262144)
            if not received:
                raise PublishError("the broker closed the connection")
            self.inbound += received
            self.take_packets()

    def take_packets(self):
        offset = 0
        # PUBACK is the only packet a publisher at QoS 1 gets, always of four bytes.
        while len(self.inbound) - offset >= 4:
            if self.inbound[offset] & 0xF0 != PUBACK or self.inbound[offset + 1] != 2:
                raise PublishError(f"unexpected packet {self.inbound[offset]:#x}")
            self.in_flight.discard(self.inbound[offset + 2] << 8 | self.inbound[offset + 3])
            self.acknowledged += 1
            offset += 4
        del self.inbound[:offset]

    def flush(self, seconds=60):
        """Waits until the broker has acknowledged everything."""
        deadline = time.monotonic() + seconds
        while self.in_flight or self.out:
            if time.monotonic() > deadline:
                raise PublishError(f"{len(self.in_flight)} messages not acknowledged by the broker after {seconds} s")
            self.pump(0.2)

    def close(self):
        self.socket.setblocking(True)
        self.socket.sendall(bytes([DISCONNECT, 0]))
        self.socket.close()
