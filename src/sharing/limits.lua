-- What instances took of limits, told or asked. All of them are looked at first; only if none refuses, all are changed.
--
-- KEYS: for each limit its state, and this instance's mark beside it; with a take, this instance's takes. All in one slot
-- of a cluster.
-- ARGV: this instance; milliseconds that a count of its slots holds; the number of a request's take, so that one that
-- arrives twice counts once (0: none; below nothing: that one is void, and n counts only if it had counted); the takes
-- below this number are settled. Then for each limit:
--   kind   r: a rate, in whole units of (a request or token) x 60000, which drain by the limit each millisecond
--          s: slots, one field for each instance: "count:until"      b: a budget, spent in its period
--   n      what was taken, less what was given back; of slots what this instance holds now, or more of them if needed
--   need   0: n counts whatever is there; else so many must be there, or nothing counts
--   seq    the report's number, so that one that is sent twice counts once; 0: none
--   era    the state that this instance knows; a key that was lost begins another
--   floor  what it knew was used, for a state that was lost; of slots that are needed: held or asked for, no more
--   limit  per minute; slots; the budget
--   most   what a full bucket holds; of a budget, when its period is forgotten (Unix time in ms; 0: never)
-- Replies: which limit refuses (0: none); then of each: what is left, ms until one is there again, era, what is used.
local MINUTE, MARK = 60000, 600000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fresh = time[1] .. '.' .. time[2]
local me, hold, take, settled = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- Integers up to 2^53 as they are: tostring would round them to fourteen digits.
local function whole(x) return string.format('%.0f', x) end

-- In whole units, of a debt those that are whole.
local function units(x) return x < 0 and -math.floor(-x / MINUTE) or math.floor(x / MINUTE) end

local function rate(one, state)
    local at
    local kept = redis.call('HMGET', state, 'used', 'at', 'era')
    one.used, at, one.era = tonumber(kept[1]), tonumber(kept[2]), kept[3]
    if not one.used or not at or not one.era then
        one.used, at, one.era = one.floor, now, fresh
    end
    -- A clock that was set back drains nothing, and is gone by from now on.
    one.used = math.max(0, one.used - math.max(0, now - at) * one.limit)
    if one.known ~= '' and one.known ~= one.era then one.used = math.max(one.used, one.floor) end
    local full = one.most * MINUTE
    one.before = units(full - one.used)
    local wanted = one.used + one.need * MINUTE
    one.used = math.max(0, one.used + one.n * MINUTE)
    one.left = units(full - one.used)
    if one.need == 0 or one.before >= one.need then wanted = one.used + MINUTE end
    one.wait = math.max(0, math.ceil((wanted - full) / one.limit))
    one.write = function()
        redis.call('HSET', state, 'used', whole(one.used), 'at', whole(now), 'era', one.era)
        redis.call('PEXPIRE', state, whole(math.ceil(one.used / one.limit) + 1000))
    end
end

local function slots(one, state)
    local others, mine, kept, dead = 0, 0, redis.call('HGETALL', state), {}
    for i = 1, #kept, 2 do
        local count, till = string.match(kept[i + 1], '^(%d+):(%d+)$')
        if not count or tonumber(till) < now then
            dead[#dead + 1] = kept[i]
        elseif kept[i] ~= me then
            others = others + tonumber(count)
        else
            mine = tonumber(count)
        end
    end
    if one.need > 0 or one.again then one.n = mine + one.n end
    -- Of those that it was said are held, some have ended since.
    if one.need > 0 and one.floor > 0 then one.n = math.min(one.n, one.floor) end
    one.era, one.used, one.wait = '', others, 0
    one.left = one.limit - others - one.n
    one.before = one.left + one.need
    one.write = function()
        if #dead > 0 then redis.call('HDEL', state, unpack(dead)) end
        if one.n > 0 then
            redis.call('HSET', state, me, whole(one.n) .. ':' .. whole(now + hold))
            redis.call('PEXPIRE', state, whole(hold + 1000))
        else
            redis.call('HDEL', state, me)
        end
    end
end

local function budget(one, state)
    local kept = redis.call('HMGET', state, 'spent', 'era')
    local lost = not kept[1] or not kept[2]
    one.era = kept[2] or fresh
    local spent = tonumber(kept[1] or '0')
    local lift = 0
    if lost or (one.known ~= '' and one.known ~= one.era) then lift = math.max(0, one.floor - spent) end
    one.before = one.limit - spent - lift
    one.left, one.wait = one.before - one.n, 0
    one.used = spent + lift + one.n
    one.write = function()
        -- By HINCRBY, which is exact beyond 2^53.
        redis.call('HINCRBY', state, 'spent', whole(lift + one.n))
        redis.call('HSET', state, 'era', one.era)
        if one.most > 0 then redis.call('PEXPIREAT', state, whole(one.most)) end
    end
end

-- Of takes that are not settled: those that counted, by their numbers, and those that are void. What is below -low was
-- settled: whatever arrives of it now was sent twice.
local takes, counted = take ~= 0 and KEYS[#KEYS], false
if takes then
    local id, low = whole(math.abs(take)), -(tonumber(redis.call('ZSCORE', takes, 'low') or '0'))
    counted = redis.call('ZSCORE', takes, id)
    if take > 0 and (take < low or redis.call('ZSCORE', takes, 'void' .. id)) then return { -1 } end
    if settled > low then
        redis.call('ZADD', takes, whole(-settled), 'low')
        redis.call('ZREMRANGEBYSCORE', takes, 0, '(' .. whole(settled))
    end
    if take < 0 then
        redis.call('ZREM', takes, id)
        redis.call('ZADD', takes, id, 'void' .. id)
    end
    redis.call('PEXPIRE', takes, MARK)
end

local kinds, all, refusing = { r = rate, s = slots, b = budget }, {}, 0
for i = 1, math.floor(#KEYS / 2) do
    local at, mark = 4 + (i - 1) * 8, KEYS[2 * i]
    local one = {
        n = tonumber(ARGV[at + 2]), need = tonumber(ARGV[at + 3]), seq = ARGV[at + 4], known = ARGV[at + 5],
        floor = tonumber(ARGV[at + 6]), limit = tonumber(ARGV[at + 7]), most = tonumber(ARGV[at + 8]),
    }
    if take > 0 and counted then one.n, one.need, one.again = 0, 0, true end
    if take < 0 and not counted then one.n = 0 end
    if one.seq ~= '0' and redis.call('GET', mark) == one.seq then one.n = 0 end
    kinds[ARGV[at + 1]](one, KEYS[2 * i - 1])
    if refusing == 0 and one.need > 0 and one.before < one.need then refusing = i end
    all[i] = one
end

if take > 0 and refusing == 0 then redis.call('ZADD', takes, take, whole(take)) end
local reply = { refusing }
for i, one in ipairs(all) do
    if refusing == 0 then
        one.write()
        if one.seq ~= '0' then redis.call('SET', KEYS[2 * i], one.seq, 'PX', MARK) end
    end
    reply[#reply + 1] = whole(one.left)
    reply[#reply + 1] = whole(one.wait)
    reply[#reply + 1] = one.era
    reply[#reply + 1] = whole(one.used)
end
return reply
