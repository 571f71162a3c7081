-- Faults of a body that the transcoder does not see, or does not say where: a list in the place of
-- one value, an object in that of a list, half a surrogate pair, a number that no double holds. The
-- body is walked over where there may be one of them; all else is the transcoder's to say.
--
-- To the transcoder an object in the place of a google.protobuf.ListValue is an empty list, which a
-- profile takes for "none any more".

-- Sets of names, by the words they are given in.
local sets = {}

local function set_of(words)
  local found = sets[words]
  if not found then
    found = {}
    for word in words:gmatch("%S+") do found[word] = true end
    sets[words] = found
  end
  return found
end

-- Behind the string that begins at `at`, and whether it holds half a surrogate pair.
local function skip_string(text, at)
  local broken = false
  at = text:find('["\\]', at + 1)
  while at and text:sub(at, at) == "\\" do
    local next_at = at + 2
    local unit = tonumber(text:match("^\\u(%x%x%x%x)", at) or "", 16)
    if unit and unit >= 0xd800 and unit < 0xe000 then
      local low = tonumber(text:match("^\\u(%x%x%x%x)", at + 6) or "", 16)
      local whole = unit < 0xdc00 and low and low >= 0xdc00 and low < 0xe000
      broken = broken or not whole
      next_at = at + (whole and 12 or 6)
    end
    at = text:find('["\\]', next_at)
  end
  return at and at + 1, broken
end

local function camel_name(name)
  return (name:gsub("_(%l)", string.upper))
end

-- Deeper than any body of ours, and longer: what is beyond is not walked over.
local DEEPEST, LONGEST_WALK = 16, 65536

local function path_of(level)
  if not level then return nil end
  if level.keys then return level.key end
  return (level.path or "") .. "[" .. level.item .. "]"
end

-- A number that a double cannot hold, whose exponent is at `at`.
local function is_too_large(text, at)
  local digits = text:sub(math.max(1, at - 32), at - 1):match("%d[%d.]*$")
  local exponent = digits and text:match("^[eE]%+?%d+", at)
  return exponent ~= nil and tonumber(digits .. exponent) == math.huge
end

-- The first fault: the path of the field and what it must be. What is no JSON is left alone.
local function fault_of(text, single, lists)
  local levels, level = {}, nil
  local at = text:find('["{}%[%],eE]')
  while at do
    local char, after = text:sub(at, at), at + 1
    if char == '"' then
      local broken
      after, broken = skip_string(text, at)
      if not after then return end
      if level and level.keys and level.awaits_key then
        local name = camel_name(text:sub(at + 1, after - 2))
        level.key = level.path and level.path .. "." .. name or name
        level.awaits_key = false
      end
      if broken then return path_of(level), "must not hold half a surrogate pair" end
    elseif char == "{" or char == "[" then
      local keys, here = char == "{", path_of(level)
      if keys and lists[here] then return here, "must be a list" end
      if not keys and single[here] then return here, "must not be a list" end
      if #levels == DEEPEST then return end
      level = {keys = keys, awaits_key = keys, item = 0, path = here}
      levels[#levels + 1] = level
    elseif char == "}" or char == "]" then
      levels[#levels] = nil
      level = levels[#levels]
    elseif char == "," then
      if level then level.awaits_key, level.item = level.keys, level.item + 1 end
    elseif is_too_large(text, at) then
      return path_of(level), "must be a smaller number"
    end
    at = text:find('["{}%[%],eE]', after)
  end
end

-- The same for what is too long to be walked over: only what would be taken for something else.
local function long_fault_of(text, lists)
  for name in pairs(lists) do
    if text:find('"' .. name .. '"%s*:%s*{') then return name, "must be a list" end
  end
end

-- Whether the body was refused.
local function refuse_body(handle, single, words)
  local body = handle:body()
  if not body then return false end
  local text = body:getBytes(0, body:length())
  if words == "" and not (text:find("[", 1, true) or text:find("\\u[dD]")
    or text:find("%d[eE]%+?%d%d%d")) then
    return false
  end
  local field, must
  if #text > LONGEST_WALK then
    field, must = long_fault_of(text, set_of(words))
  else
    field, must = fault_of(text, set_of(single), set_of(words))
  end
  if not field then return false end
  handle:respond({[":status"] = "400"}, field .. ": " .. must)
  return true
end
