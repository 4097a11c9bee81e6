"""The wire protocol by hand, right or deliberately wrong: frames, a little protobuf, the greeting.

docs/protocol.md describes what is built here. Nothing but the standard library, so that what is sent is not limited to
what a library would let one say.
"""
import hashlib
import hmac
import os
import re
import socket
import struct
import time

MAGIC = 0x3153464B
HEADER = struct.Struct("<IHHQIIII")
BODY_MAX, PAYLOAD_MAX = 1 << 20, 4 << 20
REPLY, ERROR = 1, 2
CLIENT, CHUNKSERVER, METASERVER, ADMIN = 1, 2, 3, 4
NEED_GROUPS, STALE, UNKNOWN_SESSION, NOT_ATTACHED, TRY_AGAIN = 1, 2, 3, 4, 5
U64, U32 = (1 << 64) - 1, (1 << 32) - 1


def load_ops():
    """Op numbers by name, from the one table."""
    table = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "proto", "ops.h")
    with open(table, encoding="utf-8") as f:
        return {name: int(number) for number, name in re.findall(r"KFS_OP\((\d+), (\w+),", f.read())}


OPS = load_ops()


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data, before=0):
    """`before`: of what comes before `data`."""
    crc = before ^ U32
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ U32


# ---- protobuf ----

def varint(n):
    n &= U64
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def msg(*fields):
    """msg((1, 5), (2, b"name"), (3, msg(...))): numbers as varints, bytes length-delimited."""
    out = b""
    for number, value in fields:
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(int(value))
    return out


def parse(data):
    """Field number to list of values."""
    fields, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = take()
        kind = key & 7
        if kind == 0:
            value = take()
        elif kind == 2:
            size = take()
            value = data[at:at + size]
            at += size
        else:
            size = 8 if kind == 1 else 4
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


# ---- frames ----

def header(op, flags=0, seq=1, body=0, payload=0, crc=0, magic=MAGIC, reserved=0):
    return HEADER.pack(magic, op, flags, seq, body, payload, crc, reserved)


def frame(op, body=b"", payload=b"", seq=1, flags=0, crc=None):
    number = OPS[op] if isinstance(op, str) else op
    return header(number, flags, seq, len(body), len(payload), crc32c(body) if crc is None else crc) + body + payload


class Closed(Exception):
    """The other end closed the connection."""


class Answer:
    def __init__(self, op, flags, seq, body, payload):
        self.op, self.flags, self.seq, self.body, self.payload = op, flags, seq, body, payload
        self.fields = parse(body)
        self.error = bool(flags & ERROR)
        self.errno = self.get(1, 0) if self.error else 0
        self.code = self.get(2, 0) if self.error else 0
        self.text = self.get(3, b"").decode(errors="replace") if self.error else ""

    def get(self, number, default=None):
        return self.fields.get(number, [default])[-1]


class Conn:
    """One connection. `timeout` bounds every wait: a daemon that neither answers nor closes has failed."""

    def __init__(self, address, timeout=20.0):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seq = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """Sends what the peer takes: it may close in the middle, which is an answer too."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def finish(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _exactly(self, size):
        data = bytearray()
        while len(data) < size:
            try:
                piece = self.sock.recv(size - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed()
            data += piece
        return bytes(data)

    def receive(self):
        """The next answer; requests of the daemon are passed over. Raises Closed or socket.timeout."""
        while True:
            magic, op, flags, seq, body, payload, crc, _ = HEADER.unpack(self._exactly(HEADER.size))
            assert magic == MAGIC, "the daemon's frame has no magic"
            assert body <= BODY_MAX and payload <= PAYLOAD_MAX, "the daemon's frame is too large"
            data = self._exactly(body)
            assert crc32c(data) == crc, "the daemon's checksum is wrong"
            extra = self._exactly(payload)
            if flags & REPLY:
                return Answer(op, flags, seq, data, extra)

    def receive_raw(self):
        """The next frame's op, flags and body, unchecked: for those who fetch many."""
        _, op, flags, _, body, payload, _, _ = HEADER.unpack(self._exactly(HEADER.size))
        data = self._exactly(body + payload)
        return op, flags, data[:body]

    def call(self, op, body=b"", payload=b""):
        self.seq += 1
        self.send(frame(op, body, payload, seq=self.seq))
        while True:
            answer = self.receive()
            if answer.seq == self.seq:
                return answer

    def ended(self):
        """Waits for the end of the connection; False when the time-out came first. Answers on the way are dropped."""
        try:
            while True:
                self.receive()
        except Closed:
            return True
        except socket.timeout:
            return False


def proof(secret, client_nonce, server_nonce, role):
    return hmac.new(secret, b"kfs-client" + client_nonce + server_nonce + bytes([role]), hashlib.sha256).digest()


def hello(nonce, role=CLIENT, version=(1, 1), cluster="", host="hostile", ident="hostile", software="hostile", features=0):
    return msg((1, role), (2, ident), (3, version[0]), (4, version[1]), (5, cluster), (6, nonce), (7, software), (8, host), (11, features))


def greet(conn, secret, role=CLIENT, features=0):
    """A proper greeting."""
    nonce = os.urandom(16)
    reply = conn.call("Hello", hello(nonce, role, features=features))
    assert not reply.error, "Hello refused: " + reply.text
    server = hmac.new(secret, b"kfs-server" + nonce + reply.get(3), hashlib.sha256).digest()
    assert reply.get(4) == server, "the daemon's own proof is wrong"
    reply = conn.call("HelloProof", msg((1, proof(secret, nonce, reply.get(3), role))))
    assert not reply.error, "the proof was refused: " + reply.text
    return conn


class Deadline:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def passed(self):
        return time.monotonic() > self.end
