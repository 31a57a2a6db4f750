"""Hostile plugins of an installed distribution, for bots of their own: the environment says what they do.

`HOSTILE_WAY` is ``block`` (the first call at each place holds the program for 300 ms), ``hang`` (it never returns) or
``spawn`` (tasks and threads that do not end). First calls that came back, and a measure
of the loop's lag, are written to `HOSTILE_LOG`.
"""

import asyncio
import os
import threading
import time

from tradecore import hookimpl
from tradecore.testing.factories import NoSettings
from tradecore.testing.hostile import PLACES, Switch, hostile_class, sound

BLOCK_S = 0.3
STEP_S = 0.02
WAY = os.environ["HOSTILE_WAY"]


def write(what, begin, end):
    with open(os.environ["HOSTILE_LOG"], "a") as log:
        log.write(f"{what} {begin:.4f} {end:.4f}\n")


def acting(switch):
    def act(place, arguments):
        if switch.calls > 1:
            return sound(place, arguments)
        begin = time.monotonic()
        if WAY == "hang":
            while True:
                time.sleep(1)
        if WAY == "block":
            time.sleep(BLOCK_S)
            write(place, begin, time.monotonic())
        if WAY == "spawn":
            loop = asyncio.get_running_loop()
            switch.kept = [
                loop.create_task(stubborn(), name=f"stubborn-{place}"),
                loop.run_in_executor(None, time.sleep, 3600) if place == "wisher" else None,
            ]
            if place == "on_start":
                threading.Thread(target=time.sleep, args=(3600,), name="stays").start()
            if place == "on_fill":
                switch.kept.append(loop.create_task(blocks_later()))
            if place == "size":
                loop.call_soon(leaves)
            write(place, begin, time.monotonic())
        return sound(place, arguments)

    return act


async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def blocks_later():
    await asyncio.sleep(0.1)
    time.sleep(BLOCK_S)  # noqa: ASYNC251 - this is the misbehaviour


def leaves():
    raise SystemExit(9)


def plugin(place):
    switch = Switch(on=True)
    return hostile_class(place, acting(switch), switch)


class Probe:
    """Measures how late the loop's timers are, and beside it how late a thread is: then it is the machine's fault."""

    Settings = NoSettings

    def __init__(self, settings):
        self.settings = settings

    @hookimpl
    def on_start(self, resources):
        loop = asyncio.get_running_loop()
        threading.Thread(target=self.beside, daemon=True).start()
        self.task = loop.create_task(self.measure(loop))

    async def measure(self, loop):
        while True:
            begin = time.monotonic()
            await asyncio.sleep(STEP_S * loop.speed)
            late = time.monotonic() - begin - STEP_S
            if late > 0.05:
                write("lag", begin, begin + STEP_S + late)

    def beside(self):
        while True:
            begin = time.monotonic()
            time.sleep(STEP_S)
            if time.monotonic() - begin > 0.1:
                write("machine", begin, time.monotonic())


globals().update({f"{place}_guest": plugin(place) for place in PLACES})
