"""What a client, or a false metaserver, may try on a chunkserver. Nothing here may create a chunk: the volume is one that
cannot exist."""
import hashlib
import hmac
import os

from target import must_fail
from wire import METASERVER, OPS, U32, U64, Closed, crc32c, frame, msg

VOLUME = 4000000000


def ref(chunk=1, version=1, volume=VOLUME):
    return msg((1, volume), (2, chunk), (3, version))


def bad_reads(target):
    """Ranges over the limits, chunks without a name."""
    with target.greeted() as c:
        for offset, length in ((0, U32), (U64, 1), (U64, U32), (1 << 63, 4096), (0, (1 << 20) + 4096), (1 << 40, 4096)):
            must_fail(c.call("ChunkRead", msg((1, ref()), (2, offset), (3, length))), f"read at {offset} for {length}")
        for who in (b"", ref(volume=0), ref(chunk=0), ref(version=0)):
            answer = c.call("ChunkRead", msg((1, who), (2, 0), (3, 4096)))
            assert answer.error or answer.payload == b"\0" * 4096
        c.call("ChunkRead", b"")
        for offset in (0, U64, 1 << 63):
            c.call("ChunkSeek", msg((1, ref()), (2, offset)))
            c.call("ChunkSeek", msg((2, offset)))


def bad_writes(target):
    """Wrong or missing checksums, payloads that are none, ranges over the limits, versions of the future."""
    block = b"x" * 4096
    good = crc32c(block)

    def write(c, offset=0, crcs=(good,), payload=block, who=None):
        packed = b"".join(crc.to_bytes(4, "little") for crc in crcs)
        return c.call("ChunkWrite", msg((1, ref() if who is None else who), (2, offset), (3, packed)), payload)

    with target.greeted() as c:
        must_fail(write(c, crcs=(good ^ 1,)), "a wrong checksum")
        must_fail(write(c, crcs=()), "no checksum")
        must_fail(write(c, crcs=(good,) * 2), "too many checksums")
        must_fail(write(c, crcs=(good,) * 100000), "far too many checksums")
        must_fail(write(c, offset=1), "one checksum for two blocks")
        must_fail(write(c, payload=b"", crcs=()), "nothing to write")
        for offset in (U64, U64 - 4095, 1 << 63, 1 << 40):
            must_fail(write(c, offset=offset & ~4095), f"a write at {offset & ~4095}")
        must_fail(write(c, who=ref(version=0)), "version 0")
        must_fail(write(c, who=ref(version=7)), "a chunk that does not exist at version 7")
        must_fail(write(c, who=ref(version=U64)), "the last version")
        must_fail(write(c, who=ref(chunk=0)), "chunk 0")
        must_fail(write(c, who=ref(volume=0)), "volume 0")
        must_fail(write(c, who=b""), "no chunk")
        must_fail(c.call("ChunkWrite", b"", block), "an empty request")
        must_fail(c.call("ChunkRead", msg((1, ref(chunk=987654321)), (3, 4096))), "a chunk that no write has made")


EACCES, TOKEN_REFUSED = 13, 20


def chunkserver_key(target):
    """As whoever has the cluster's secret derives it (common/keys.h)."""
    with target.greeted() as c:
        uuid = c.call("Ping").get(1, b"").decode()
    secret = target.secret.encode() if isinstance(target.secret, str) else target.secret
    extracted = hmac.new(b"\0" * 32, secret, hashlib.sha256).digest()
    return hmac.new(extracted, b"kfs key chunkserver/" + uuid.encode() + b"/1\x01", hashlib.sha256).digest()


def access(key, chunk=1, version=1, session=1, rights=3, clock=1, expires=U64, serial=1, volume=VOLUME):
    """A token and a ticket, signed with the key (common/chunk_token.cc)."""
    def mac(kind, *values):
        return hmac.new(key, kind + b"".join((v & U64).to_bytes(8, "little") for v in values), hashlib.sha256).digest()[:16]
    ticket = msg((1, clock), (2, expires), (3, serial), (4, mac(b"kfs session ticket", volume, session, clock, expires, serial)))
    return msg((1, session), (2, rights), (3, mac(b"kfs chunk token", volume, chunk, version, session, rights)), (4, ticket))


def forged_tokens(target):
    """Noise, another key's, another chunk's, for something else; and rightly signed ones of a metaserver that nobody knows.

    (With tls = accept, by which these tests link, who shows no token at all is taken for a mount of before tokens.)"""
    block = b"x" * 4096
    crc = crc32c(block).to_bytes(4, "little")
    key = chunkserver_key(target)
    good = access(key)
    tries = {"noise": os.urandom(64), "half a message": good[:len(good) // 2],
             "without a ticket": msg((1, 1), (2, 3), (3, b"m" * 16)), "short signatures": msg((1, 1), (2, 3), (3, b"m"), (4, msg((4, b"m")))),
             "a long signature": msg((1, 1), (2, 3), (3, b"m" * 100000), (4, msg((4, b"m" * 100000)))),
             "another key's": access(b"k" * 32), "another chunk's": access(key, chunk=2), "another version's": access(key, version=2),
             "another volume's": access(key, volume=1), "rights for nothing": access(key, rights=0)}
    with target.greeted() as c:
        for what, token in tries.items():
            read = [(1, ref()), (2, 0), (3, 4096), (4, token)]
            write = [(1, ref()), (2, 0), (3, crc), (6, token)]
            must_fail(c.call("ChunkRead", msg(*read)), f"a read with {what}", (EACCES, 22))
            must_fail(c.call("ChunkWrite", msg(*write), block), f"a write with {what}", (EACCES, 22))
        for what, token in (("a clock that nobody has told of", good), ("the past", access(key, expires=0))):
            answer = c.call("ChunkWrite", msg((1, ref()), (2, 0), (3, crc), (6, token)), block)
            must_fail(answer, f"a write with a ticket of {what}", (EACCES,))
            assert answer.code == TOKEN_REFUSED, f"{what}: {answer.text}"
        must_fail(c.call("FenceSessions", msg((1, VOLUME), (2, msg((1, 1), (2, U64))))), "fencing by a client")


def large_write(target):
    """The largest payload that a frame allows, with checksums that do not fit it."""
    with target.greeted() as c:
        must_fail(c.call("ChunkWrite", msg((1, ref()), (3, b"\0" * 4096)), b"x" * (4 << 20)), "4 MiB with wrong checksums")


def many_unknown_chunks(target):
    """Sync of chunks that do not exist."""
    with target.greeted() as c:
        for count in (0, 4096, 100000):
            packed = b"".join(bytes([0x80 | i & 127, 1 + (i >> 7 & 63)]) for i in range(count))
            c.call("ChunkSync", msg((1, VOLUME), (2, packed)))


def a_client_as_metaserver(target):
    """Deletion and mutation are not a client's."""
    with target.greeted() as c:
        must_fail(c.call("DeleteChunks", msg((1, 1), (2, 1))), "deletion by a client")
        must_fail(c.call("MutateChunk", msg((1, 1), (2, 1), (3, 1), (4, 2))), "mutation by a client")


def false_metaserver(target):
    """One that knows the secret, and sends nonsense."""
    with target.greeted(METASERVER) as c:
        for fields in (((3, 2), (4, 1)), ((3, 0), (4, 0)), ((3, U64), (4, U64)), ((3, 1), (4, 1))):
            c.call("MutateChunk", msg((1, VOLUME), (2, 0), *fields))
        for kind, offset, length in ((99, 0, 0), (1, U64, 0), (2, U64, U64), (3, 0, U64), (2, 1 << 63, 1 << 63)):
            step = msg((1, kind), (2, offset), (3, length))
            must_fail(c.call("MutateChunk", msg((1, VOLUME), (2, 1), (3, 1), (4, 2), (5, step))), f"step {kind} {offset} {length}")
        c.call("DeleteChunks", msg((1, VOLUME), (2, 0), (2, 1), (2, U64)))
        c.call("DeleteChunks", msg((1, 0)))


def reads_that_nobody_fetches(target):
    """Megabytes asked for by the thousand and left in the socket: bounded in the daemon."""
    with target.greeted() as c:
        c.sock.settimeout(3)
        ask = frame(OPS["ChunkRead"], msg((1, ref()), (3, 1 << 20))) * 100
        try:
            for _ in range(50):
                c.sock.sendall(ask)
        except OSError:
            pass
        target.still_serves()


def ops_of_a_metaserver(target):
    """Names and sessions are not served here."""
    with target.greeted() as c:
        for op in ("OpenSession", "Lookup", "Mkdir", "SetLock", "ReadLayout"):
            try:
                must_fail(c.call(op), op)
            except Closed:
                break


CASES = [bad_reads, bad_writes, forged_tokens, large_write, many_unknown_chunks, a_client_as_metaserver, false_metaserver,
         reads_that_nobody_fetches, ops_of_a_metaserver]
