"""The daemon under attack, and the good client that must not notice."""
import os
import socket

from wire import (ADMIN, CLIENT, Closed, Conn, U64, greet, msg)

ROOT = 1
MEMORY_GROWTH_MAX = 512 << 20
DESCRIPTOR_GROWTH_MAX = 64


class Skip(Exception):
    """The case does not apply to this daemon."""


def ctx(op_id=0, uid=0, gid=0, **more):
    fields = [(1, op_id), (3, uid), (4, gid), (6, 1)]
    if "acked" in more:
        fields.append((2, more["acked"]))
    return msg(*fields)


class Session:
    """A good client's session on a metaserver. An op's own fields follow the context."""

    def __init__(self, conn, volume, uid=0):
        self.conn, self.uid = conn, uid
        reply = conn.call("OpenSession", msg((1, volume), (4, "/hostile")))
        assert not reply.error, "OpenSession refused: " + reply.text
        self.id, self.key = reply.get(1), reply.get(2)
        self.volume_id = reply.get(3)
        self.op_id = 0

    def op(self, name, *fields, mutates=False, payload=b""):
        if mutates:
            self.op_id += 1
        return self.conn.call(name, msg((1, ctx(self.op_id if mutates else 0, self.uid, self.uid)), *fields), payload)


class Target:
    def __init__(self, address, secret, role, pid):
        self.address, self.secret, self.role, self.pid = address, secret, role, pid
        self.volume = f"hostile-{os.getpid()}"
        self.started = None
        self.memory = self.descriptors = None

    # ---- connections ----

    def connect(self, timeout=20.0):
        return Conn(self.address, timeout)

    def greeted(self, role=CLIENT, timeout=20.0, features=0):
        return greet(Conn(self.address, timeout), self.secret, role, features)

    def session(self, uid=0):
        return Session(self.greeted(), self.volume, uid)

    # ---- the good client ----

    def prepare(self):
        if self.role == "meta":
            with self.greeted(ADMIN) as admin:
                make_volume(admin, self.volume)
        self.still_serves()
        self.memory, self.descriptors = self._memory(), self._descriptors()

    def still_serves(self):
        """A proper client is greeted and answered."""
        with self.greeted() as conn:
            assert not conn.call("Ping").error, "Ping is not answered"
            if self.role == "chunk":
                reply = conn.call("ChunkRead", msg((1, msg((1, 4000000000), (2, 1), (3, 1))), (3, 4096)))
                assert reply.error or len(reply.payload) == 4096, "ChunkRead is answered wrongly"
            else:
                session = Session(conn, self.volume)
                reply = session.op("Lookup", (2, ROOT), (3, b"."))
                assert not reply.error, "Lookup fails: " + reply.text
                conn.call("CloseSession")
        self._same_process()

    def _same_process(self):
        if self.pid is not None:
            assert os.path.exists(f"/proc/{self.pid}"), "the daemon's process is gone"
            if self.memory is not None:
                grown = self._memory() - self.memory
                assert grown < MEMORY_GROWTH_MAX, f"memory grew by {grown >> 20} MiB"
                grown = self._descriptors() - self.descriptors
                assert grown < DESCRIPTOR_GROWTH_MAX, f"{grown} more descriptors are open"
        if self.role == "meta":
            with self.greeted(ADMIN) as admin:
                started = admin.call("ClusterStatus").get(3)
            assert self.started in (None, started), "the daemon was restarted"
            self.started = started

    def _memory(self):
        if self.pid is None:
            return None
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _descriptors(self):
        return None if self.pid is None else len(os.listdir(f"/proc/{self.pid}/fd"))

    def clean_up(self):
        if self.role != "meta":
            return
        try:
            with self.greeted(ADMIN) as admin:
                drop_volume(admin, self.volume)
        except (OSError, Closed, AssertionError):
            pass  # the cases have said what is wrong


# ---- changes of the configuration ----

CREATE_VOLUME, DELETE_VOLUME, STOP_VOLUME, SET_OPTION = 5, 6, 8, 9  # fields of Change


def change(admin, field, *values):
    """Answer to a Change with that field, whose own fields are given."""
    return admin.call("ConfChange", msg((1, msg((1, os.urandom(8).hex()), (2, "hostile test"))), (2, msg((field, msg(*values))))))


def make_volume(admin, name):
    reply = change(admin, CREATE_VOLUME, (1, name))
    assert not reply.error, "making a volume is refused: " + reply.text


def drop_volume(admin, name):
    change(admin, STOP_VOLUME, (1, name))
    change(admin, DELETE_VOLUME, (1, name))


# ---- what a sender must see ----

def refused(conn):
    """The next thing that comes is an error, or the end of the connection."""
    try:
        answer = conn.receive()
    except Closed:
        return
    except socket.timeout:
        raise AssertionError("neither an error nor the end of the connection") from None
    assert answer.error, "an answer without error"


def closed(conn):
    assert conn.ended(), "the connection was left open"


def must_fail(answer, what, errnos=()):
    assert answer.error, f"{what}: no error"
    assert 0 < answer.errno < 4096, f"{what}: errno {answer.errno}"
    assert not errnos or answer.errno in errnos, f"{what}: errno {answer.errno}, expected one of {errnos} ({answer.text})"


NUMBERS = (0, 2, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, U64)
