"""A network that is slow on request: stands before a chunkserver and forwards what comes, byte for byte. What one process
has sent can be held, and let go later, whatever has become of the process.

    late_proxy.py FIFO FILE    serves 127.0.0.1:PORT, printed, for the address in FILE. Commands come through FIFO, one a line; each
                               is answered by a line, with how many bytes are held, and how many
                               came back for what was let go:
    hold PID   from now on nothing that comes on the connections of the process goes on
    waiting
    release    all that was held goes, and whatever follows it
"""
import asyncio
import os
import sys


def connections_of(pid):
    """The local ports of a process's TCP connections."""
    sockets = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    ports = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}", encoding="ascii") as f:
            for row in list(f)[1:]:
                fields = row.split()
                if f"socket:[{fields[9]}]" in sockets:
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class Link:
    links, answered = [], 0

    def __init__(self, port, up):
        self.port, self.up, self.held, self.waiting, self.ended = port, up, False, bytearray(), False
        self.released = False

    def pass_on(self, data):
        if self.held:
            self.waiting += data
        else:
            self.up.write(data)

    def end(self):
        self.ended = True
        if not self.held:
            self.up.close()

    def release(self):
        self.released = self.released or bool(self.waiting)
        self.held = False
        self.up.write(bytes(self.waiting))
        self.waiting.clear()

    def answer(self, data):
        if not self.released:
            return
        Link.answered += len(data)
        if self.ended:  # the end of its sender comes last
            self.up.close()


async def serve(file, reader, writer):
    try:
        with open(file, encoding="ascii") as f:
            host, port = f.read().strip().rsplit(":", 1)
        back, up = await asyncio.open_connection(host, int(port))
    except OSError:
        writer.close()
        return
    link = Link(writer.get_extra_info("peername")[1], up)
    Link.links.append(link)

    async def down():
        try:
            while data := await back.read(1 << 16):
                link.answer(data)
                if not link.ended:
                    writer.write(data)
        except OSError:
            pass
        writer.close()

    answers = asyncio.ensure_future(down())
    try:
        while data := await reader.read(1 << 16):
            link.pass_on(data)
    except OSError:
        pass
    link.end()
    await answers
    Link.links.remove(link)


def command(word, *arguments):
    if word == "hold":
        ports = connections_of(int(arguments[0]))
        for link in Link.links:
            link.held = link.held or link.port in ports
    elif word == "release":
        for link in Link.links:
            link.release()
    print(word, sum(len(link.waiting) for link in Link.links), Link.answered, flush=True)


async def main(fifo, file):
    server = await asyncio.start_server(lambda r, w: serve(file, r, w), "127.0.0.1", 0)
    print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), open(fifo, "r+b", buffering=0))
    while line := await commands.readline():
        command(*line.decode().split())


asyncio.run(main(*sys.argv[1:]))
