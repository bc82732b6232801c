"""What the server runs: one script per operation on one session's, or one owner's, two keys.

KEYS[1] is the row, or the owner's set; KEYS[2] is its lock. Both have one hash tag, so that they
are in one slot of a cluster. A script is atomic: nothing else runs meanwhile.
"""

from dataclasses import dataclass, field
from hashlib import sha1

MISSING, DONE, HELD, LATE = 0, 1, 2, 3
"""What a script answers: no such row at this version; done; another has the lock; too late."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script in Lua."""

    text: str
    writes: bool = True
    """Whether it writes what must not be lost; a lock may be."""
    digest: str = field(init=False)
    """By which a server knows a script that it has run before."""

    def __post_init__(self) -> None:
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


# Ends are digits of one length, which sort as texts do: a number of Lua has too few bits.
_HEAD = """
local row = redis.call('GET', KEYS[1])
if not row then return 0 end
local version, ends = string.match(row, '^(%d+)\\n(%d*)\\n')
"""
_MILLISECONDS = """
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""
_PUT = """
local function put(row, life)
  if life == '' then redis.call('SET', KEYS[1], row)
  else redis.call('SET', KEYS[1], row, 'PX', life) end
end
"""

# Row, its life in milliseconds or '', the last millisecond or ''. It needs no lock: while a slot is
# moved, a script of two keys has to wait where one of them is not there.
CREATE = Script(
    _MILLISECONDS
    + _PUT
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[3] ~= '' and milliseconds() > tonumber(ARGV[3]) then return 3 end
put(ARGV[1], ARGV[2])
return 1
"""
)

# Expected version, now, the next version, the lines from the end to the confirmation, the payload,
# the row's life. The row's other lines stay.
SAVE = Script(
    _PUT
    + _HEAD
    + """
if version ~= ARGV[1] or (ends ~= '' and ends <= ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local fixed = string.match(row, '^%d+\\n%d*\\n%d+\\n[01]\\n([^\\n]*\\n)')
if not fixed then return 0 end
put(ARGV[3] .. '\\n' .. ARGV[4] .. fixed .. ARGV[5], ARGV[6])
return 1
"""
)

# Now, our token, the milliseconds after which the lock lapses. Returns the row.
LOCK = Script(
    _HEAD
    + """
if ends and ends ~= '' and ends <= ARGV[1] then return 0 end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return 2 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return row
""",
    writes=False,
)

# Our token or '', the expected version, the new row or '' for none, its life, the last millisecond.
# The version decides, not the lock: a lock that has lapsed does no harm if nobody was there.
WRITE = Script(
    _MILLISECONDS
    + _PUT
    + _HEAD
    + """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 2 end
if version ~= ARGV[2] then return 0 end
if ARGV[5] ~= '' and milliseconds() > tonumber(ARGV[5]) then return 3 end
if ARGV[3] == '' then redis.call('DEL', KEYS[1]) else put(ARGV[3], ARGV[4]) end
redis.call('DEL', KEYS[2])
return 1
"""
)

# Now. Returns the row that was deleted; one that a change is being made to stays.
PRUNE = Script(
    _HEAD
    + """
if not ends or ends == '' or ends > ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
return row
""",
    writes=False,  # a row that a failover brings back has expired all the same
)

# Our token. Of the lock alone.
RELEASE = Script(
    """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
""",
    writes=False,
)

# Our token, the milliseconds after which the lock lapses.
LOCK_OWNER = Script(
    """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 2 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
""",
    writes=False,
)

# A session's id, our token or '', the lock's milliseconds. Returns the time and how many ids the
# set has. With a token it is done only if the lock is still ours, which then begins anew.
RESERVE = Script(
    _MILLISECONDS
    + """
if ARGV[2] ~= '' then
  if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 2 end
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
local now = milliseconds()
redis.call('ZADD', KEYS[1], now, ARGV[1])
return {now, redis.call('ZCARD', KEYS[1])}
"""
)

# How old a reservation has to be, then ids, each with the time of the reservation that was seen.
FORGET = Script(
    _MILLISECONDS
    + """
local lapsed = milliseconds() - ARGV[1]
for i = 2, #ARGV, 2 do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if at and tonumber(at) == tonumber(ARGV[i + 1]) and tonumber(at) <= lapsed then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return 1
"""
)

# Now, the milliseconds after which it is forgotten. What each page needs: a script, a write, and
# the replicas that have to have it.
HEALTH = Script("return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")
