"""What a client with a session may try on a metaserver."""
import os

from target import CREATE_VOLUME, DELETE_VOLUME, NUMBERS, ROOT, SET_OPTION, Skip, change, ctx, drop_volume, make_volume, must_fail
from wire import ADMIN, CHUNKSERVER, METASERVER, NOT_ATTACHED, U32, U64, UNKNOWN_SESSION, frame, msg, parse

SESSION_OPS = ("Lookup", "Mkdir", "Mknod", "Symlink", "Link", "Unlink", "Rmdir", "Rename", "Readlink", "Readdir", "Getattr",
               "Setattr", "Access", "Statfs", "Getxattr", "Setxattr", "Listxattr", "Removexattr", "Open", "Create", "Tmpfile",
               "Release", "ReadLayout", "PrepareWrite", "CommitWrite", "AbortAppend", "GiveUpWrite", "Fallocate", "Fsync", "GetLock",
               "SetLock", "Flush")
INO_OPS = ("Readlink", "Readdir", "Getattr", "Setattr", "Access", "Getxattr", "Setxattr", "Listxattr", "Removexattr", "Open",
           "ReadLayout", "PrepareWrite", "CommitWrite", "Fallocate")
MUTATES = {"Mkdir", "Mknod", "Symlink", "Link", "Unlink", "Rmdir", "Rename", "Setattr", "Setxattr", "Removexattr", "Open",
           "Create", "Tmpfile", "Release", "CommitWrite", "Fallocate", "SetLock", "Flush"}
EAGAIN, EINVAL, ENOSPC, ENAMETOOLONG = 11, 22, 28, 36


def make_file(session, name=None, mode=0o100644):
    """A file of the case's own; its inode number."""
    name = name or b"f" + os.urandom(8).hex().encode()
    reply = session.op("Mknod", (2, ROOT), (3, name), (4, mode), mutates=True)
    assert not reply.error, "Mknod: " + reply.text
    return parse(reply.get(1))[1][0], name


def ops_without_a_session(target):
    """Nothing is done for a connection without a session."""
    with target.greeted() as c:
        for op in SESSION_OPS:
            answer = c.call(op, msg((1, ctx(1)), (2, ROOT), (3, b"x")))
            must_fail(answer, f"{op} without a session")
            assert answer.code in (NOT_ATTACHED, UNKNOWN_SESSION), f"{op}: code {answer.code}"
        must_fail(c.call("Reclaim"), "Reclaim without a session")


def foreign_sessions(target):
    """A session is attached only with its own key; numbers alone are worth nothing."""
    victim = target.session()
    with victim.conn:
        for number in (victim.id, victim.id + 1, victim.id + 1000, U64, 1 << 63):  # 0 asks for a new one
            for key in (b"", b"\0" * len(victim.key), os.urandom(len(victim.key)), victim.key[:-1], victim.key + b"\0", b"k" * 65536):
                with target.greeted() as c:
                    answer = c.call("OpenSession", msg((1, target.volume), (2, number), (3, key)))
                    must_fail(answer, f"session {number} with a wrong key")
        assert not victim.op("Getattr", (2, ROOT)).error, "the victim still has its session"


def a_session_of_another_volume(target):
    """The right key, but another volume."""
    victim = target.session()
    with victim.conn, target.greeted(ADMIN) as admin:
        other = target.volume + "b"
        make_volume(admin, other)
        try:
            with target.greeted() as c:
                answer = c.call("OpenSession", msg((1, other), (2, victim.id), (3, victim.key)))
                if not answer.error:
                    assert answer.get(3) == victim.volume_id, "a session moved to another volume"
        finally:
            drop_volume(admin, other)


def bad_volume_names(target):
    """Volumes that do not exist, and names that no volume can have."""
    for name in (b"", b"no-such-volume", b"a/b", b"..", b"a\0b", b"\xff\xfe", b"v" * 64, b"v" * 100000):
        with target.greeted() as c:
            must_fail(c.call("OpenSession", msg((1, name))), f"volume {name[:20]!r}")
        with target.greeted(ADMIN) as c:
            must_fail(c.call("VolumeInfo", msg((1, name))), f"info of volume {name[:20]!r}")
            must_fail(c.call("ChunkserverFiles", msg((1, 1), (2, name))), f"files of volume {name[:20]!r}")
            must_fail(change(c, DELETE_VOLUME, (1, name)), f"deletion of volume {name[:20]!r}")
            if name != b"no-such-volume":
                must_fail(change(c, CREATE_VOLUME, (1, name)), f"creation of volume {name[:20]!r}")


def bad_volume_parameters(target):
    """Chunk sizes and replica counts out of bounds."""
    with target.greeted(ADMIN) as c:
        for size in (1, 4095, 4097, 65535, 1 << 31, 1 << 63, U64):
            must_fail(change(c, CREATE_VOLUME, (1, "hostile-size"), (4, size)), f"chunk size {size}")
        for replicas in (1000, U32):
            must_fail(change(c, CREATE_VOLUME, (1, "hostile-size"), (3, replicas)), f"{replicas} replicas")


def bad_changes(target):
    """Changes that nobody can want, of things that do not exist, and of every other kind with nothing in it."""
    with target.greeted(ADMIN) as c:
        for field in range(1, 15):
            must_fail(change(c, field), f"an empty change {field}")
        must_fail(change(c, 16, (1, "x")), "an unknown change")
        must_fail(change(c, SET_OPTION, (1, target.volume), (2, "no-such-option"), (3, "1")), "an unknown option")
        must_fail(change(c, SET_OPTION, (1, target.volume), (2, "user." + "n" * 100000), (3, "1")), "a long option name")
        must_fail(change(c, SET_OPTION, (1, target.volume), (2, "user.n"), (3, "v" * 100000)), "a long option value")
        must_fail(change(c, 10, (1, "u" * 100000)), "a chunkserver with an absurd uuid")
        must_fail(c.call("ConfChange", msg((1, msg((1, "i" * 100000))))), "an absurd request id")
        must_fail(c.call("TransactionAbort", msg((1, b"\xff" * 1000))), "abort of nothing")
        for number in (0, 1 << 32, U64):
            must_fail(c.call("ChunkserverFiles", msg((1, number), (2, target.volume))), f"files on chunkserver {number}")
        must_fail(c.call("PeerWhy", msg((1, "nobody"))), "a peer that is not there")
        for address in ("", ":", "nowhere", "127.0.0.1:1", "x" * 100000, "[::", "127.0.0.1:99999"):
            must_fail(c.call("PeerProbe", msg((2, address))), f"probe of {address[:20]!r}")


def forged_peers(target):
    """Messages of metaservers that are not members, of other clusters, and that make no sense."""
    with target.greeted(METASERVER) as c:
        for body in (b"", msg((11, b"")), msg((12, b"")), msg((10, msg((1, 1)))), msg((10, msg((1, 99), (2, msg((1, U64), (2, "x"))))))):
            for cluster in ("", "another-cluster"):
                for generation in (0, 1, U64):
                    message = msg((1, "stranger"), (2, 1), (3, cluster), (4, generation), (5, b"c" * 32), (6, "t")) + body
                    c.call("PeerSend", msg((1, message)))
        must_fail(c.call("PeerAdopt", b""), "adoption into nothing")
        must_fail(c.call("PeerAdopt", msg((1, msg((1, "another"), (2, 9), (3, msg((1, "u"), (2, 1), (3, "h:1"))))), (2, "u"), (3, 1))),
                  "adoption of a metaserver that holds volumes")
        assert not c.call("PeerAsk").error


def many_sessions(target):
    """Sessions opened and left: bounded, and refused in words at worst."""
    for _ in range(200):
        with target.greeted() as c:
            c.call("OpenSession", msg((1, target.volume), (4, b"m" * 4096)))


def bad_names(target):
    """Names with '/' or NUL, empty, dots, too long."""
    bad = [(b"", (EINVAL, 2, 17)), (b"a/b", (EINVAL,)), (b"/", (EINVAL,)), (b"a\0b", (EINVAL,)), (b"\0", (EINVAL,)),
           (b".", ()), (b"..", ()), (b"n" * 256, (ENAMETOOLONG,)), (b"n" * 65536, (ENAMETOOLONG,)), (b"n" * 1000000, (ENAMETOOLONG,))]
    session = target.session()
    with session.conn:
        ino, good = make_file(session)
        for name, errnos in bad:
            def bad_op(op, *fields, name=name, errnos=errnos):
                must_fail(session.op(op, *fields, mutates=op in MUTATES), f"{op} {name[:20]!r} ({len(name)} bytes)", errnos)

            bad_op("Mkdir", (2, ROOT), (3, name), (4, 0o755))
            bad_op("Mknod", (2, ROOT), (3, name), (4, 0o100644))
            bad_op("Symlink", (2, ROOT), (3, name), (4, b"target"))
            bad_op("Link", (2, ino), (3, ROOT), (4, name))
            bad_op("Unlink", (2, ROOT), (3, name))
            bad_op("Rmdir", (2, ROOT), (3, name))
            bad_op("Rename", (2, ROOT), (3, good), (4, ROOT), (5, name))
            bad_op("Rename", (2, ROOT), (3, name), (4, ROOT), (5, b"elsewhere"))
            bad_op("Create", (2, ROOT), (3, name), (4, 0o644), (5, 0o102))
            if name not in (b".", b".."):
                bad_op("Lookup", (2, ROOT), (3, name))
        assert not session.op("Lookup", (2, ROOT), (3, good)).error, "the good name is still there"
        listing = session.op("Readdir", (2, ROOT), (4, 65536))
        for entry in listing.fields.get(1, []):
            assert b"elsewhere" not in entry and b"\0\0\0" not in entry


def inodes_that_are_none(target):
    """Every op on inode numbers that nobody was given."""
    session = target.session()
    with session.conn:
        for ino in (0, 1 << 40, 1 << 63, U64):
            for op in INO_OPS:
                answer = session.op(op, (2, ino), mutates=op in MUTATES)
                must_fail(answer, f"{op} of inode {ino}")
            for op in ("Mkdir", "Mknod", "Unlink", "Rmdir", "Create", "Symlink", "Tmpfile"):
                must_fail(session.op(op, (2, ino), (3, b"x"), (4, b"x" if op == "Symlink" else 0o100644), mutates=True),
                          f"{op} in inode {ino}")
            for op in ("Release", "Flush", "Fsync", "AbortAppend"):
                session.op(op, (2, ino), mutates=op in MUTATES)  # may say yes: there is nothing to do


def absurd_sizes(target):
    """Sizes and ranges that are negative as off_t, or run over the end of numbers."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)
        for size in (1 << 63, U64, (1 << 63) - 1):
            must_fail(session.op("Setattr", (2, ino), (3, 8), (7, size), mutates=True), f"truncate to {size}")
        for offset, length in ((1 << 63, 1), (U64, U64), (0, U64), ((1 << 63) - 1, 1), (1, (1 << 63) - 1), (0, 0), (U64, 1)):
            for mode in (0, 1, 3, 16, 17):
                must_fail(session.op("Fallocate", (2, ino), (3, mode), (4, offset), (5, length), mutates=True),
                          f"fallocate mode {mode} at {offset} for {length}")
            if length != 0:
                must_fail(session.op("PrepareWrite", (2, ino), (3, offset), (4, length)), f"write at {offset} for {length}")
                must_fail(session.op("CommitWrite", (2, ino), (3, offset), (4, length), mutates=True),
                          f"commit at {offset} for {length}")
            session.op("ReadLayout", (2, ino), (3, offset), (4, length))
        for mode in (2, 4, 8, 0x20, 0x40, U32):
            must_fail(session.op("Fallocate", (2, ino), (3, mode), (4, 0), (5, 4096), mutates=True), f"fallocate mode {mode}")
        must_fail(session.op("PrepareWrite", (2, ino), (3, 0), (4, 1 << 40)), "chunks for a terabyte at once")
        answer = session.op("Getattr", (2, ino))
        assert parse(answer.get(1)).get(7, [0])[0] == 0, "the file is still empty"


def forged_commits(target):
    """Commits that name chunks, versions and tokens that were never given."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)
        for index, chunk, version in ((0, 1, 1), (0, U64, U64), (U32, 1, 1), (0, 0, 0), (1, 1, 1)):
            must_fail(session.op("CommitWrite", (2, ino), (3, 0), (4, 4096),
                                 (5, msg((1, index), (2, chunk), (3, version), (4, U64))), mutates=True),
                      f"commit of chunk {chunk} version {version}")
        must_fail(session.op("CommitWrite", (2, ino), (3, 0), (4, 4096), mutates=True), "a commit without chunks")
        for token in (1, U64):
            must_fail(session.op("CommitWrite", (2, ino), (3, 0), (4, 0), (6, token), mutates=True), "a forged append token")
            session.op("AbortAppend", (2, ino), (3, token))
        many = [(5, msg((1, i), (2, i), (3, 1))) for i in range(20000)]
        must_fail(session.op("CommitWrite", (2, ino), (3, 0), (4, 1 << 40), *many, mutates=True), "20000 forged chunks")
        for ahead in ((1, U64), (U64, U64), (U64, 1)):
            session.op("ReadLayout", (2, ino), (3, 0), (4, 4096), (6, ahead[0]), (7, ahead[1]))


def another_sessions_append(target):
    """The append token of one session in the hands of another."""
    a, b = target.session(), target.session()
    with a.conn, b.conn:
        ino, _ = make_file(a)
        for session in (a, b):
            assert not session.op("Open", (2, ino), (3, os.O_RDWR), mutates=True).error
        layout = a.op("PrepareWrite", (2, ino), (4, 100), (5, 1))
        if layout.error in (EAGAIN, ENOSPC):
            raise Skip("no chunkserver takes the chunk: " + layout.text)
        assert not layout.error, layout.text
        token = layout.get(4, 0)
        b.op("AbortAppend", (2, ino), (3, token))
        must_fail(b.op("CommitWrite", (2, ino), (3, 0), (4, 100), (6, token), mutates=True), "another session's token")
        assert not a.op("AbortAppend", (2, ino), (3, token)).error


def odd_attributes(target):
    """Every bit at once, types that are none, times at both ends."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)
        session.op("Setattr", (2, ino), (3, U32), (4, U32), (5, U32), (6, U32), (7, U64), (8, U64), (9, 1 << 63), mutates=True)
        for mode in (0, 0o040755, 0o120777, 0o170000, U32):
            answer = session.op("Mknod", (2, ROOT), (3, b"odd%d" % mode), (4, mode), mutates=True)
            if mode not in (0,):
                must_fail(answer, f"mknod with mode {mode:o}")
        for flags in (U32, 3, 1 << 31):
            session.op("Open", (2, ino), (3, flags), mutates=True)
            session.op("Create", (2, ROOT), (3, b"opened%d" % flags), (4, U32), (5, flags), mutates=True)
        for target_text in (b"", b"t" * 4096, b"t" * 500000, b"a\0b"):
            must_fail(session.op("Symlink", (2, ROOT), (3, b"link"), (4, target_text), mutates=True),
                      f"a symlink of {len(target_text)} bytes")
        for flags in (4, 8, 3, U32):
            must_fail(session.op("Rename", (2, ROOT), (3, b"a"), (4, ROOT), (5, b"b"), (6, flags), mutates=True),
                      f"rename flags {flags}")
        for mask in (8, 0xFF, U32):
            session.op("Access", (2, ino), (3, mask))
        assert not session.op("Lookup", (2, ROOT), (3, b".")).error


def odd_xattrs(target):
    """Names and values over the limits, unknown namespaces, broken ACLs."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)

        def put(name, value, flags=0):
            return session.op("Setxattr", (2, ino), (3, name), (4, value), (5, flags), mutates=True)

        for name in (b"", b"user.", b"user", b"nowhere.x", b"user." + b"n" * 251, b"user.a\0b", b"n" * 100000):
            must_fail(put(name, b"v"), f"xattr {name[:20]!r}")
        must_fail(put(b"user.x", b"v" * 65537), "a value over 64 KiB")
        must_fail(put(b"user.x", b"v" * 900000), "a value of 900 kB")
        must_fail(put(b"user.x", b"v", 3), "create and replace at once")
        must_fail(put(b"user.x", b"v", U32), "unknown flags")
        acl = b"\2\0\0\0"
        entry = b"\1\0\7\0\xff\xff\xff\xff"
        for value in (b"", b"\2", b"\3\0\0\0" + entry, acl + entry, acl + entry[:-1], acl + entry * 8000, acl + b"\xff" * 8):
            for kind in (b"access", b"default"):
                answer = put(b"system.posix_acl_" + kind, value)
                if value:
                    must_fail(answer, f"an ACL of {len(value)} bytes")
        for i in range(1000):  # the list of names is bounded
            if put(b"user." + b"%04d" % i + b"n" * 240, b"v").error:
                break
        else:
            raise AssertionError("the names of one inode are not bounded")


def odd_locks(target):
    """Ranges that end before they begin, kinds that are none, cancelled phantoms."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)

        def lock(kind, start, end, flock=0, wait=0):
            return session.op("SetLock", (2, msg((1, ino), (2, 7), (3, kind), (4, flock), (5, start), (6, end))), (3, wait),
                              mutates=True)

        must_fail(lock(2, 10, 9), "a lock that ends before it begins", (EINVAL,))
        must_fail(lock(2, U64, 0, wait=1), "a lock that ends before it begins", (EINVAL,))
        must_fail(lock(77, 0, 9), "a lock of kind 77", (EINVAL,))
        assert not lock(2, 0, U64).error and not lock(0, 0, U64).error
        session.op("GetLock", (2, msg((1, ino), (2, 8), (3, 77), (5, U64), (6, 0))))
        for op_id in (0, 1, U64):
            session.conn.call("CancelOp", msg((1, op_id)))


def lock_flood(target):
    """Twenty thousand ranges on one file, without waiting for answers."""
    session = target.session()
    with session.conn:
        ino, _ = make_file(session)
        count, data = 20000, bytearray()
        for i in range(count):
            session.op_id += 1
            data += frame("SetLock", msg((1, ctx(session.op_id)), (2, msg((1, ino), (2, 7), (3, 2), (5, 2 * i), (6, 2 * i)))), seq=1000 + i)
            if len(data) > 60000 or i == count - 1:
                session.conn.send(bytes(data))
                data.clear()
                if i < count - 1 and i % 1000 == 0:
                    session.conn.receive()
        session.conn.call("CloseSession")


def odd_readdir(target):
    """Cookies and sizes that make no sense."""
    session = target.session()
    with session.conn:
        for cookie in NUMBERS:
            for size in (0, 1, 4096, U32):
                answer = session.op("Readdir", (2, ROOT), (3, cookie), (4, size), (5, 1))
                assert len(answer.body) <= 1 << 20


def bogus_reclaim(target):
    """A session that claims what it never had."""
    session = target.session()
    with session.conn:
        opens = [(1, msg((1, i + 1000), (2, U32))) for i in range(4096)]
        session.conn.call("Reclaim", msg(*opens, (3, 1)))
        must_fail(session.conn.call("Reclaim", msg(*opens, *opens, (3, 1))), "8192 opens at once", (EINVAL,))
        locks = [(2, msg((1, ROOT), (2, i), (3, 77), (5, U64), (6, 0))) for i in range(1000)]
        session.conn.call("Reclaim", msg(*locks, (3, 1)))
        session.op("Getattr", (2, ROOT))


def odd_op_ids(target):
    """Ids that run backwards or to the end of numbers, watermarks of the future: they can only harm the session itself."""
    session, other = target.session(), target.session()
    with session.conn, other.conn:
        for op_id in (5, 3, 5, 0, U64, U64, 1):
            session.conn.call("Mkdir", msg((1, ctx(op_id)), (2, ROOT), (3, b"id%d" % op_id), (4, 0o755)))
        session.conn.call("KeepAlive", msg((1, U64)))
        session.conn.call("Mkdir", msg((1, ctx(7, acked=U64)), (2, ROOT), (3, b"later"), (4, 0o755)))
        assert not other.op("Mkdir", (2, ROOT), (3, b"d" + os.urandom(6).hex().encode()), (4, 0o755), mutates=True).error


LANES = 2  # the feature


def lanes_out_of_range(target):
    """Lanes that a session cannot have, op ids of lanes that are not the connection's."""
    session = target.session()

    def attach(conn, lane, volume=target.volume):
        return conn.call("OpenSession", msg((1, volume), (2, session.id), (3, session.key), (8, lane)))

    with session.conn:
        with target.greeted() as c:
            must_fail(attach(c, 1), "a lane that was not agreed on", (EINVAL,))
        with target.greeted(features=LANES) as c:
            for lane in (16, 17, 255, 256, 1 << 31, U32):
                must_fail(attach(c, lane), f"lane {lane}", (EINVAL,))
            must_fail(c.call("OpenSession", msg((1, target.volume), (8, 1))), "a session that begins with lane 1", (EINVAL,))
            must_fail(attach(c, 1, b"none"), "a lane on no volume")
        lanes = [target.greeted(features=LANES) for _ in range(15)]
        for number, c in enumerate(lanes, 1):
            assert not attach(c, number).error, f"lane {number} is refused"
            own = number << 56
            for op_id in (1, own, own ^ (1 << 56) | 1, U64, 16 << 56 | 1):
                must_fail(c.call("Mkdir", msg((1, ctx(op_id)), (2, ROOT), (3, b"lane"), (4, 0o755))), f"op {op_id:x} on lane {number}", (EINVAL,))
            must_fail(c.call("Getattr", msg((1, ctx(acked=U64)), (2, ROOT))), "a watermark of another lane", (EINVAL,))
            must_fail(c.call("KeepAlive", msg((1, 1))), "another lane's watermark", (EINVAL,))
            must_fail(c.call("KeepAlive", msg((2, own | 9), (3, 1))), "another lane's op as pending", (EINVAL,))
            name = b"lane%d" % number + os.urandom(4).hex().encode()
            assert not c.call("Mkdir", msg((1, ctx(own | 1)), (2, ROOT), (3, name), (4, 0o755))).error, "an op on its lane"
        must_fail(session.conn.call("Reclaim", msg((3, 1), (5, 16 << 56))), "ids of lane 16 reclaimed", (EINVAL,))
        # Attached again: the earlier connection of that lane ends, and no other.
        with target.greeted(features=LANES) as again:
            assert not attach(again, 3).error
            assert lanes[2].ended(), "the lane's earlier connection lives on"
            for c in [session.conn, again] + lanes[:2] + lanes[3:]:
                assert not c.call("Getattr", msg((1, ctx()), (2, ROOT))).error, "another lane has ended"
            assert not again.call("CloseSession").error
        for c in lanes:
            assert c.ended(), "a lane outlives its session"
            c.sock.close()


def one_id_for_two_ops(target):
    """A second op under an id that was used: the first one's answer or an error, never a second effect in another's name."""
    session = target.session()
    with session.conn:
        name = b"twice" + os.urandom(4).hex().encode()
        session.conn.call("Mkdir", msg((1, ctx(1)), (2, ROOT), (3, name), (4, 0o755)))
        session.conn.call("Rmdir", msg((1, ctx(1)), (2, ROOT), (3, name)))
        session.conn.call("Mkdir", msg((1, ctx(1)), (2, ROOT), (3, name + b"b"), (4, 0o755)))
        must_fail(session.op("Lookup", (2, ROOT), (3, name + b"b")), "the effect of a used id")


def crowds_of_groups(target):
    """More groups than a process can have."""
    session = target.session()
    with session.conn:
        groups = b"".join(b"\x28" + bytes([i & 127]) for i in range(200000))
        session.conn.call("Getattr", msg((1, groups), (2, ROOT)))
        session.conn.call("Lookup", msg((1, msg((3, 1000)) + groups), (2, ROOT), (3, b".")))


def lying_chunkserver(target):
    """A registered chunkserver that reports nonsense."""
    with target.greeted(CHUNKSERVER) as c:
        c.call("Heartbeat", msg((1, msg((2, U64), (3, U64)))))
        c.call("ReportChunks", msg((1, 1), (2, msg((1, 1), (2, U64)))))
        for uuid, address in ((b"", b""), (b"x" * 1000, b"127.0.0.1:1"), (b"u", b"no address"), (b"\xff", b"a:b:c")):
            must_fail(c.call("RegisterChunkserver", msg((1, uuid), (2, address))), f"a chunkserver {uuid[:8]!r} at {address!r}")
        must_fail(c.call("JoinCluster", msg()), "somebody joins without an invitation")


def readers_that_do_not_read(target):
    """Listings by the thousand whose answers are not fetched."""
    session = target.session()
    with session.conn:
        for i in range(200):
            session.op("Mkdir", (2, ROOT), (3, b"wide%03d" % i + b"n" * 200), (4, 0o755), mutates=True)
        session.conn.sock.settimeout(3)
        ask = frame("Readdir", msg((1, ctx()), (2, ROOT), (4, 1 << 18), (5, 1))) * 100
        try:
            for _ in range(50):
                session.conn.sock.sendall(ask)
        except OSError:
            pass
        target.still_serves()


CASES = [ops_without_a_session, foreign_sessions, a_session_of_another_volume, bad_volume_names, bad_volume_parameters, bad_changes, forged_peers,
         many_sessions, bad_names, inodes_that_are_none, absurd_sizes, forged_commits, another_sessions_append,
         odd_attributes, odd_xattrs, odd_locks, lock_flood, odd_readdir, bogus_reclaim, odd_op_ids, lanes_out_of_range, one_id_for_two_ops,
         crowds_of_groups, lying_chunkserver, readers_that_do_not_read]
