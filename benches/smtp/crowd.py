#!/usr/bin/env python3
"""Connections that bring nothing, for run.sh.

    crowd.py idle ADDRESS PORT N FROM TO    N connections that say EHLO and then nothing
    crowd.py drip ADDRESS PORT N FROM TO    N that send an octet of a message each second

They come from many addresses of 127.0.0.0/8, since an address has only so many. Prints "there N" when all are, and
holds them until its input ends. Those that the server cuts off come again.
"""

import asyncio
import sys

kind, address, port, count, sender, to = sys.argv[1:7]
count = int(count)
there = 0
stop = asyncio.Event()


async def answered(reader):
    while True:
        line = await reader.readline()
        if not line:
            raise ConnectionError("closed")
        if line[3:4] != b"-":
            return line


async def one(index, gate):
    global there
    # 150 of each: below the limit by address.
    source = f"127.7.{index // 150 // 250}.{1 + index // 150 % 250}"
    first = True
    while not stop.is_set():
        try:
            async with gate:
                reader, writer = await asyncio.open_connection(address, int(port), local_addr=(source, 0))
                greeting = await answered(reader)
                if not greeting.startswith(b"220"):
                    raise ConnectionError(greeting)
                for line in ["EHLO crowd.localhost"] + (
                    [f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"] if kind == "drip" else []
                ):
                    writer.write(line.encode() + b"\r\n")
                    await answered(reader)
            if first:
                there += 1
                first = False
            if kind == "idle":
                await asyncio.wait_for(reader.read(1), 3600)
            else:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    if reader.at_eof():
                        raise ConnectionError("closed")
                    await asyncio.sleep(1)
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(1)


async def main():
    gate = asyncio.Semaphore(100)
    tasks = [asyncio.create_task(one(index, gate)) for index in range(count)]
    while there < count:
        await asyncio.sleep(0.05)
    print("there", there, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    stop.set()
    for task in tasks:
        task.cancel()


asyncio.run(main())
