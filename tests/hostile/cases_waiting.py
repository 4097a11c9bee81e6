"""Requests that wait in a metaserver: for locks that others hold, for their turn."""
import time

from cases_flood import WORST_MAX_S
from cases_meta import make_file
from target import ROOT, ctx
from wire import OPS, PAYLOAD_MAX, TRY_AGAIN, U64, crc32c, frame, header, msg


def waiting_locks(target):
    """65,536 lock requests that wait, and others that carry half a megabyte each: bounded in number and in bytes."""
    growth_max, memory = 320 << 20, target._memory()  # 64 MiB of requests; the rest is for what keeps them, and answers
    holder, greedy, heavy, other = (target.session() for _ in range(4))
    with holder.conn, greedy.conn, heavy.conn, other.conn:
        ino, _ = make_file(holder)
        other_ino, _ = make_file(holder)

        def lock(session, owner, kind, wait, which=ino, uid=0, ballast=None):
            session.op_id += 1
            body = msg((1, ctx(session.op_id, uid)), (2, msg((1, which), (2, owner), (3, kind), (5, 0), (6, U64))), (3, wait))
            if ballast is None:
                return frame("SetLock", body, seq=session.op_id + 100)
            fields, crc = ballast
            return frame("SetLock", fields + body, seq=session.op_id + 100, crc=crc32c(body, crc))

        def grown():
            return 0 if memory is None else target._memory() - memory

        def answers(session):
            """Those that come before the one to a question put now: errors."""
            errors, seq = [], U64 >> 1
            session.conn.send(frame("Getattr", msg((1, ctx()), (2, ROOT)), seq=seq))
            while True:
                answer = session.conn.receive()
                if answer.seq == seq:
                    return errors
                assert answer.error, "a lock that another holds was given"
                errors.append(answer)

        def live(*sessions):
            """Sessions of which nothing is heard end."""
            for session in sessions:
                assert not session.op("Getattr", (2, ROOT)).error

        holder.conn.send(lock(holder, 1, 2, 0) + lock(holder, 1, 2, 0, which=other_ino))
        assert not holder.conn.receive().error and not holder.conn.receive().error
        with target.session().conn as c:  # a payload is not even read
            c.send(header(OPS["SetLock"], payload=PAYLOAD_MAX))
            assert c.ended()
        errors = []
        for begin in range(0, 65536, 1024):
            greedy.conn.send(b"".join(lock(greedy, 1000 + i, 2, 1, uid=i % 3) for i in range(begin, begin + 1024)))
            errors += answers(greedy)
            live(holder, heavy, other)
        assert len(errors) < 2000, f"{len(errors)} of 65536 were refused: {errors[0].text}"
        ballast = msg((1000, b"x" * (1 << 19)))
        ballast = (ballast, crc32c(ballast))
        errors = []
        for _ in range(2000):
            heavy.conn.send(lock(heavy, 5000 + heavy.op_id, 2, 1, ballast=ballast))
            if heavy.op_id % 50 == 0:
                errors += answers(heavy)
                live(holder, other)
        assert len(errors) > 1800, f"only {len(errors)} of 2000 requests of half a megabyte were refused"
        assert all(e.code == TRY_AGAIN and "keep" in e.text for e in errors), f"refused with: {errors[0].text}"
        assert grown() < growth_max, f"the memory has grown by {grown() >> 20} MiB"
        # Those who wait for little wait as ever; an unlock is never refused.
        other.conn.send(lock(other, 1, 2, 1, which=other_ino))
        heavy.conn.send(lock(heavy, 1, 0, 0))
        assert not heavy.conn.receive().error
        holder.conn.send(lock(holder, 1, 0, 0, which=other_ino))
        assert not holder.conn.receive().error
        assert not other.conn.receive().error, "another session's lock was refused"
        # A session ends with all that: others are served in between.
        seq = U64 >> 2
        greedy.conn.send(frame("CloseSession", b"", seq=seq))
        worst = 0
        until = time.monotonic() + 2
        while time.monotonic() < until:
            began = time.monotonic()
            live(other)
            worst = max(worst, time.monotonic() - began)
        assert worst < WORST_MAX_S, f"another's call took {worst:.3f} s while a session with 65,000 waiting requests ended"
        while greedy.conn.receive().seq != seq:
            pass


CASES = [waiting_locks]
