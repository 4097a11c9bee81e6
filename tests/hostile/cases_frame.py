"""Frames and greetings: what every daemon must withstand."""
import os
import socket
import time

from target import closed, must_fail, refused
from wire import (ADMIN, BODY_MAX, CHUNKSERVER, CLIENT, ERROR, METASERVER, OPS, PAYLOAD_MAX, REPLY, U32, U64, Closed,
                  Deadline, frame, header, hello, msg, proof)

HALF_OPEN = 200


def truncated_header(target):
    """A header cut off anywhere, then the end."""
    whole = frame("Ping")
    for size in (0, 1, 4, 31):
        with target.connect() as c:
            c.send(whole[:size])
            c.finish()
            closed(c)


def truncated_body(target):
    """A body or payload shorter than announced, then the end."""
    for greeted in (False, True):
        with target.greeted() if greeted else target.connect() as c:
            c.send(frame("Hello", b"x" * 100)[:80])
            c.finish()
            closed(c)
    with target.greeted() as c:
        c.send(header(OPS["Ping"], payload=1 << 20) + b"x" * 1000)
        c.finish()
        closed(c)


def huge_lengths(target):
    """Lengths over the limits end the connection before anything of it is held."""
    for body, payload in ((BODY_MAX + 1, 0), (U32, 0), (0, PAYLOAD_MAX + 1), (0, U32), (U32, U32), (1 << 31, 1 << 31)):
        for greeted in (False, True):
            with target.greeted() if greeted else target.connect() as c:
                c.send(header(OPS["Ping"], body=body, payload=payload) + b"x" * 4096)
                closed(c)


def large_frame_before_greeting(target):
    """Who has not proved anything may not make the daemon hold a megabyte."""
    with target.connect() as c:
        c.send(header(OPS["Hello"], body=BODY_MAX) + b"x" * 65536)
        closed(c)
    with target.connect() as c:
        c.send(header(OPS["Hello"], payload=PAYLOAD_MAX) + b"x" * 65536)
        closed(c)


def wrong_magic(target):
    """Other protocols, zeros, noise."""
    noise = [b"\0" * 64, os.urandom(4096), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 64,
             header(OPS["Ping"], magic=0x3253464B), header(OPS["Ping"], magic=0x4B465331)]
    for data in noise:
        with target.connect() as c:
            c.send(data)
            closed(c)


def wrong_header_fields(target):
    """Unknown flags, an error that answers nothing, sequence number 0, reserved bits."""
    for bad in (header(OPS["Ping"], flags=4), header(OPS["Ping"], flags=0x8000), header(OPS["Ping"], flags=ERROR),
                header(OPS["Ping"], seq=0), header(OPS["Ping"], reserved=1), header(OPS["Ping"], reserved=1 << 31)):
        for greeted in (False, True):
            with target.greeted() if greeted else target.connect() as c:
                c.send(bad)
                closed(c)


def wrong_checksum(target):
    """A body that does not match its checksum."""
    with target.connect() as c:
        c.send(frame("Hello", hello(b"n" * 16), crc=1))
        closed(c)
    with target.greeted() as c:
        c.send(frame("Ping", b"\x08\x01", crc=0))
        closed(c)
    with target.greeted() as c:
        c.send(frame("Ping", b"", crc=1))
        closed(c)


def unknown_op(target):
    """Numbers that are no op: an error each, and the connection goes on."""
    known = set(OPS.values())
    with target.greeted() as c:
        for op in (0, 4, 9, 200, 250, 32767, 65535):
            assert op not in known
            must_fail(c.call(op), f"op {op}")
        assert not c.call("Ping").error


def op_before_greeting(target):
    """Every op but the greeting is refused, and the connection ends."""
    for op in ("Ping", "OpenSession", "Lookup", "ConfChange", "ChunkRead", "DeleteChunks", "RegisterChunkserver"):
        with target.connect() as c:
            c.send(frame(op))
            refused(c)
            closed(c)


def op_of_a_wrong_role(target):
    """A client may not administrate or play a server; nor an administrator or a server a client."""
    wrong = {CLIENT: ("ConfChange", "PeerSend", "PeerAdopt", "ClusterStatus", "RegisterChunkserver", "Heartbeat", "ReportChunks", "JoinCluster",
                      "MutateChunk", "DeleteChunks", "DrainReleases"),
             ADMIN: ("OpenSession", "Mkdir", "ChunkWrite", "DeleteChunks", "RegisterChunkserver", "JoinCluster"),
             CHUNKSERVER: ("OpenSession", "Unlink", "ConfChange", "ChunkWrite", "DeleteChunks"),
             METASERVER: ("OpenSession", "Lookup", "ConfChange", "ChunkRead")}
    for role, ops in wrong.items():
        with target.greeted(role) as c:
            for op in ops:
                must_fail(c.call(op), f"{op} from role {role}")


def unasked_reply(target):
    """Answers to questions that were never put."""
    for flags, body in ((REPLY, b""), (REPLY | ERROR, b""), (REPLY | ERROR, msg((1, 5), (3, b"\xff\xfe")))):
        for seq in (1, 77, 1 << 40, U64):
            with target.greeted() as c:
                c.send(frame("Ping", body, seq=seq, flags=flags))
                # A number that the daemon may have used is dropped, any other ends the connection.
                c.send(frame("Ping", seq=5))
                try:
                    assert not c.receive().error
                except Closed:
                    pass
    with target.connect() as c:
        c.send(frame("Hello", flags=REPLY))
        closed(c)


def not_protobuf(target):
    """Bodies that are no messages, for every op that each role may send."""
    bodies = (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 200, b"\x07", b"\x0a\x05abc")
    for role in (CLIENT, ADMIN, CHUNKSERVER, METASERVER):
        for name in OPS:
            if name == "Ping":
                continue  # has nothing to read
            with target.greeted(role) as c:
                for body in bodies:
                    try:
                        must_fail(c.call(name, body), f"{name} with a broken body")
                    except Closed:
                        break


def deep_nesting(target):
    """A message within a message, a thousand times."""
    body = b""
    for _ in range(1000):
        body = msg((1, body))
    with target.greeted() as c:
        for op in ("Lookup", "OpenSession", "ChunkRead", "Reclaim"):
            try:
                c.call(op, body)
            except Closed:
                break


def bad_greetings(target):
    """Hello with fields out of bounds: each is refused with words."""
    good = os.urandom(16)
    bad = [b"", hello(b""), hello(b"short"), hello(os.urandom(17)), hello(good, role=0), hello(good, role=99),
           hello(good, role=U32), hello(good, host="h" * 300), hello(good, ident="i" * 1000), hello(good, software="s" * 1000)]
    for body in bad:
        with target.connect() as c:
            must_fail(c.call("Hello", body), "a bad Hello")
            closed(c)
    for version in ((2, 9), (0, 0), (U32, U32), (5, 1)):
        with target.connect() as c:
            answer = c.call("Hello", hello(good, version=version))
            must_fail(answer, f"version {version}")
            assert answer.code == 10, "the code says that no version is common"
    with target.connect() as c:
        answer = c.call("Hello", hello(good, cluster="00000000-0000-0000-0000-000000000000"))
        must_fail(answer, "another cluster")
        assert answer.code == 8, "the code says that it is another cluster"


def wrong_proof(target):
    """Who does not know the secret gets nowhere."""
    wrong = [b"", b"x", b"\0" * 32, os.urandom(32), os.urandom(64)]
    for value in wrong:
        with target.connect() as c:
            assert not c.call("Hello", hello(os.urandom(16))).error
            answer = c.call("HelloProof", msg((1, value)))
            must_fail(answer, "a wrong proof")
            assert answer.code == 9, "the code says that the proof is wrong"
            closed(c)
    with target.connect() as c:  # the daemon's own proof, sent back
        answer = c.call("Hello", hello(os.urandom(16)))
        must_fail(c.call("HelloProof", msg((1, answer.get(4)))), "its own proof")
    with target.connect() as c:  # a proof without Hello
        must_fail(c.call("HelloProof", msg((1, os.urandom(32)))), "a proof without Hello")
        closed(c)
    with target.connect() as c:  # the proof for another role
        nonce = os.urandom(16)
        answer = c.call("Hello", hello(nonce, role=METASERVER))
        must_fail(c.call("HelloProof", msg((1, proof(target.secret, nonce, answer.get(3), CLIENT)))), "another role's proof")


def replayed_proof(target):
    """What was overheard on one connection does not open another."""
    nonce = os.urandom(16)
    with target.connect() as first, target.connect() as second:
        overheard = first.call("Hello", hello(nonce))
        good = proof(target.secret, nonce, overheard.get(3), CLIENT)
        assert not first.call("HelloProof", msg((1, good))).error
        second.call("Hello", hello(nonce))
        must_fail(second.call("HelloProof", msg((1, good))), "a replayed proof")


def greeting_twice(target):
    """A second Hello with another role does not change who one is."""
    with target.greeted() as c:
        try:
            must_fail(c.call("Hello", hello(os.urandom(16), role=METASERVER)), "Hello twice")
        except Closed:
            return
        must_fail(c.call("DeleteChunks", msg((1, 1))), "the role of a second Hello")


def same_sequence_number(target):
    """One number for many requests: each gets its answer."""
    with target.greeted() as c:
        c.send(frame("Ping", seq=7) * 50)
        for _ in range(50):
            assert c.receive().seq == 7


def payload_nobody_wants(target):
    """A payload on ops that take none ends the connection before it is read."""
    for op in ("Ping", "KeepAlive", "Lookup", "ChunkRead", "SetLock", 9999):
        for size in (1, PAYLOAD_MAX):
            with target.greeted() as c:
                c.send(header(OPS.get(op, op), payload=size))
                closed(c)


def byte_by_byte(target):
    """A frame that arrives in single bytes is a frame all the same."""
    with target.greeted() as c:
        for byte in frame("Ping", seq=9):
            c.send(bytes([byte]))
        assert c.receive().seq == 9


def half_open_connections(target):
    """Many connections that say nothing, or half a header, while others are served; those that never greet are ended."""
    crowd = [target.connect() for _ in range(HALF_OPEN)]
    try:
        for i, c in enumerate(crowd):
            if i % 2 == 0:
                c.send(frame("Ping")[: i % 32])
        target_pid, target.pid = target.pid, None  # the crowd's descriptors are meant
        target.still_serves()
        target.pid = target_pid
        slow = crowd[0]
        limit = Deadline(40)
        while not limit.passed():
            slow.sock.settimeout(0.5)
            slow.send(b"K")  # a byte now and then does not keep the place
            if slow.ended():
                break
        assert not limit.passed(), "a connection that never greets stays open"
        for c in crowd[1:5]:
            c.sock.settimeout(20)
            closed(c)
    finally:
        for c in crowd:
            c.sock.close()
    wait_until_gone(target)


def wait_until_gone(target):
    """The daemon notices closed connections in its own time."""
    if target.pid is None:
        return
    limit = Deadline(20)
    while target._descriptors() > target.descriptors + 20 and not limit.passed():
        time.sleep(0.05)


def flood_without_reading(target):
    """Requests without end whose answers are not fetched: held back in the socket, not in the daemon's memory."""
    with target.greeted(timeout=2.0) as c:
        pings = frame("Ping") * 1000
        sent = 0
        try:
            while sent < 64 << 20:
                c.sock.sendall(pings)
                sent += len(pings)
        except (socket.timeout, BrokenPipeError, ConnectionResetError):
            pass  # held back, as it should be
        target.still_serves()


CASES = [truncated_header, truncated_body, huge_lengths, large_frame_before_greeting, wrong_magic, wrong_header_fields,
         wrong_checksum, unknown_op, op_before_greeting, op_of_a_wrong_role, unasked_reply, not_protobuf, deep_nesting,
         bad_greetings, wrong_proof, replayed_proof, greeting_twice, same_sequence_number, payload_nobody_wants,
         byte_by_byte, half_open_connections, flood_without_reading]
