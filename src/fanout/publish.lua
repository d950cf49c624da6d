-- Publishes events to one name: all or none, with none of another's between them.
-- KEYS: 1 the events, 2 what the name is (p: its epoch, n: bytes so far), 3 ids that publishers chose, 4 names of the route.
-- ARGV: 1 an epoch, for a name that begins; 2 events kept; 3 bytes kept; 4 milliseconds until a name that nobody uses
-- expires; 5 names of the route, at most; 6 the name; then for each event its id, or nothing, and its lines.
-- Replies: "full"; "taken"; or the epoch and the id of the last entry.
local kept, bytes, expire = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count = (#ARGV - 6) / 2

local epoch = redis.call('HGET', KEYS[2], 'p')
if not epoch then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[5]) then
    return 'full'
  end
end

local seen = {}
for nth = 1, count do
  local id = ARGV[5 + 2 * nth]
  if id ~= '' then
    if seen[id] or (epoch and redis.call('ZSCORE', KEYS[3], id)) then
      return 'taken'
    end
    seen[id] = true
  end
end

if not epoch then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  epoch = ARGV[1]
  redis.call('HSET', KEYS[2], 'p', epoch, 'n', 0)
end

-- Each entry has the bytes before it, so that what is held is the difference of two.
local before = tonumber(redis.call('HGET', KEYS[2], 'n') or 0)
local last
for nth = 1, count do
  local id, lines = ARGV[5 + 2 * nth], ARGV[6 + 2 * nth]
  local n = string.format('%.0f', before)
  if id == '' then
    last = redis.call('XADD', KEYS[1], 'MAXLEN', '=', kept, '*', 'p', epoch, 'n', n, 'd', lines)
  else
    last = redis.call('XADD', KEYS[1], 'MAXLEN', '=', kept, '*', 'p', epoch, 'n', n, 'd', lines, 'i', id)
    redis.call('ZADD', KEYS[3], now, id)
  end
  before = before + #lines + #id + 128
end
redis.call('HSET', KEYS[2], 'n', string.format('%.0f', before))

local length = redis.call('XLEN', KEYS[1])
while length > count do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if before - tonumber(first[2][4]) <= bytes then
    break
  end
  length = length - 1
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length)
end

redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -(kept + 1))
redis.call('PEXPIRE', KEYS[1], expire)
redis.call('PEXPIRE', KEYS[2], expire)
redis.call('PEXPIRE', KEYS[3], expire)
redis.call('ZADD', KEYS[4], now + expire, ARGV[6])
redis.call('PEXPIRE', KEYS[4], expire)
return { epoch, last }
