"""Pace requests over all workers: one budget per connection and category, kept in Redis.

The arithmetic is that of ``pacing.py``, judged by the server's clock, so hosts whose clocks differ share a
budget all the same. Budgets are apart per connection: one workspace's storm takes nothing from another.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sync_engine.adapters.pacing import LocalPacer, shape

log = structlog.get_logger()

KEY_PREFIX = "ms:pace:"
ANSWER_WITHIN_SECONDS = 1.0
"""A permit must not take longer than a slow request; after that each worker paces by itself."""
TRY_AGAIN_SECONDS = 5.0
LEARNED_SECONDS = 3600
"""How long a rate that a provider's header told counts for the workers that have not seen the header."""

# Take a permit: 0, or the microseconds after which to ask again. KEYS: budget, line, when each in the line
# is to come again. ARGV: interval, burst (microseconds), who asks.
#
# Whoever has to wait gets a place in a line: without one, the worker that happens to wake a moment earlier
# than another would take every single permit. A worker that died is passed over once it does not come.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local told = redis.call('HMGET', KEYS[1], 'interval', 'burst', 'told_until', 'due', 'place')
if told[3] and tonumber(told[3]) > now then interval, burst = tonumber(told[1]), tonumber(told[2]) end
local due = tonumber(told[4] or 0)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', now))) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[3], gone)
end
local before_me = redis.call('ZRANK', KEYS[2], ARGV[3]) or redis.call('ZCARD', KEYS[2])
if due > now or before_me > 0 then
  local wait = math.max(due - now, 1000)
  if due > now then wait = wait + before_me * interval end
  if not redis.call('ZSCORE', KEYS[2], ARGV[3]) then
    redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[1], 'place', 1), ARGV[3])
  end
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + wait + 500000), ARGV[3])
  for each = 1, 3 do redis.call('PEXPIRE', KEYS[each], math.ceil(wait / 1000) + 120000) end
  return math.ceil(wait)
end
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[3])
due = math.max(due, now - burst) + interval
redis.call('HSET', KEYS[1], 'due', string.format('%.0f', due))
if redis.call('PTTL', KEYS[1]) < math.ceil(interval / 1000) + 60000 then
  redis.call('PEXPIRE', KEYS[1], math.ceil(interval / 1000) + 120000)
end
return 0
"""

# Hold every further permit back. ARGV: for how many microseconds.
_PAUSE = """
local t = redis.call('TIME')
local until_ = t[1] * 1000000 + t[2] + tonumber(ARGV[1])
local due = tonumber(redis.call('HGET', KEYS[1], 'due') or 0)
if until_ > due then redis.call('HSET', KEYS[1], 'due', string.format('%.0f', until_)) end
if redis.call('PTTL', KEYS[1]) < math.ceil(ARGV[1] / 1000) + 60000 then
  redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000) + 120000)
end
return 0
"""

# Keep a rate that the provider told. ARGV: interval, burst (microseconds), for how many seconds.
_LEARN = """
local t = redis.call('TIME')
local until_ = string.format('%.0f', t[1] * 1000000 + t[2] + ARGV[3] * 1000000)
redis.call('HSET', KEYS[1], 'interval', ARGV[1], 'burst', ARGV[2], 'told_until', until_)
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3])) + 60)
return 0
"""


@dataclass(frozen=True)
class _News:
    """Something one worker learned that the others have to know."""

    script: str
    category: str
    arguments: tuple[int, ...]


class SharedPacing:
    """Hold the way to one Redis for the pacers of all connections of this process.

    While Redis is away every worker paces by itself, and says so once; a provider's own limits and the
    pauses in the database still hold.
    """

    def __init__(
        self,
        url: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = redis_py_url(url)
        self.monotonic, self.sleep = monotonic, sleep
        self.name = secrets.token_hex(8)
        self._away_until = float("-inf")
        self._said_so = False
        # A connection belongs to the event loop it was opened in.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()

    def pacer(self, connection_id: str, overrides: Mapping[str, float] | None = None) -> SharedPacer:
        """Give the pacer of one connection; ``overrides`` are rates an operator set."""
        return SharedPacer(self, connection_id, overrides)

    async def call(self, script: str, key: str, arguments: tuple[int, ...]) -> int | None:
        """Run a script on one budget; None while Redis is away."""
        if self.monotonic() < self._away_until:
            return None
        try:
            keys = (key, f"{key}:line", f"{key}:awaited")
            answer = await self._client().eval(script, len(keys), *keys, *map(str, arguments), self.name)
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self.monotonic() + TRY_AGAIN_SECONDS
            if not self._said_so:
                self._said_so = True
                log.warning("shared_pacing_lost", error=type(error).__name__, pacing="each worker by itself")
            return None
        if self._said_so:
            self._said_so = False
            log.info("shared_pacing_regained")
        return int(answer)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> Redis:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = Redis.from_url(
                self._url,
                socket_timeout=ANSWER_WITHIN_SECONDS,
                socket_connect_timeout=ANSWER_WITHIN_SECONDS,
                health_check_interval=25,
            )
        return client


class SharedPacer:
    """Pace one connection together with every other worker."""

    def __init__(
        self, shared: SharedPacing, connection_id: str, overrides: Mapping[str, float] | None = None
    ) -> None:
        self._shared, self._connection = shared, connection_id
        self._local = LocalPacer(overrides, monotonic=shared.monotonic, sleep=shared.sleep)
        self._overrides = dict(overrides or {})
        self._shapes = {category: _shape_us(rate, 1.0) for category, rate in self._overrides.items()}
        self._news: list[_News] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    def set_rate(self, category: str, per_second: float, *, window_seconds: float = 1.0) -> None:
        """Learn a category's permitted rate, unless an operator set one; nonsense is not learned.

        The first rate is the adapter's own, which every worker knows; what differs from it later was told
        by the provider, and the others are told in turn.
        """
        self._local.set_rate(category, per_second, window_seconds=window_seconds)
        if category in self._overrides or per_second <= 0:
            return
        known, shaped = self._shapes.get(category), _shape_us(per_second, window_seconds)
        self._shapes[category] = shaped
        if known is not None and known != shaped:
            self._tell(_News(_LEARN, category, (*shaped, LEARNED_SECONDS)))

    def pause(self, category: str, seconds: float) -> None:
        """Hold further permits of every worker back for ``seconds``."""
        self._local.pause(category, seconds)
        self._tell(_News(_PAUSE, category, (round(seconds * 1_000_000),)))

    async def acquire(self, category: str) -> None:
        """Wait until a permit is due and take it; within one process first come, first served."""
        shaped = self._shapes.get(category)
        if shaped is None:
            await self._local.acquire(category)
            return
        queue = self._queues.setdefault(asyncio.get_running_loop(), {}).setdefault(category, asyncio.Lock())
        async with queue:
            await self._everything_is_told()
            while (wait_us := await self._shared.call(_TAKE, self._key(category), shaped)) != 0:
                if wait_us is None:
                    await self._local.acquire(category)
                    return
                await self._shared.sleep(wait_us / 1_000_000)

    def _key(self, category: str) -> str:
        return f"{KEY_PREFIX}{self._connection}:{category}"

    def _tell(self, news: _News) -> None:
        self._news.append(news)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the next permit carries it
        # Others must hear of a pause now, not when this worker asks for its next permit.
        task = loop.create_task(self._send_news())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _everything_is_told(self) -> None:
        """Wait for what is just being told: a permit must not overtake a pause."""
        here = asyncio.get_running_loop()
        if telling := [task for task in self._telling if task.get_loop() is here]:
            await asyncio.wait(telling)
        await self._send_news()

    async def _send_news(self) -> None:
        news, self._news = self._news, []
        for each in news:
            await self._shared.call(each.script, self._key(each.category), each.arguments)


def redis_py_url(url: str) -> str:
    """Give a broker's address as redis-py spells it; Celery writes sockets as ``redis+socket://``."""
    if not url.startswith("redis+socket://"):
        return url
    path, _, query = url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}{'?' if query else ''}{query.replace('virtual_host=', 'db=')}"


def _shape_us(per_second: float, window_seconds: float) -> tuple[int, int]:
    """Give the microseconds between two permits, and the microseconds' worth that may go at once."""
    share, burst_seconds = shape(window_seconds)
    return round(1_000_000 / (share * per_second)), round(burst_seconds * 1_000_000)
