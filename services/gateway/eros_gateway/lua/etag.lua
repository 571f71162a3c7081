-- ETags of reads: a read that is asked for again with if-none-match and has not changed is answered
-- 304 without its body. The service still does its work; what is saved is the way to the phone.
--
-- Two CRC-32s by different polynomials, 64 bits in all: nobody gains by a collision in their own
-- answers, and none happens by chance.
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

local function crc_table(polynomial)
  local found = {}
  for n = 0, 255 do
    local c = n
    for _ = 1, 8 do
      c = band(c, 1) == 1 and bxor(rshift(c, 1), polynomial) or rshift(c, 1)
    end
    found[n] = c
  end
  return found
end

local IEEE, CASTAGNOLI = crc_table(0xEDB88320), crc_table(0x82F63B78)

local function etag_of(text)
  local a, b = -1, -1
  for i = 1, #text do
    local byte = text:byte(i)
    a = bxor(rshift(a, 8), IEEE[band(bxor(a, byte), 255)])
    b = bxor(rshift(b, 8), CASTAGNOLI[band(bxor(b, byte), 255)])
  end
  return 'W/"' .. bit.tohex(a) .. bit.tohex(b) .. '"'
end

local CACHE = "eros.cache"
local PRIVATE = "private, no-cache"

local function remember_etag(handle)
  local known = handle:headers():get("if-none-match")
  -- What is remembered goes into the access-log stream, which ends where anything is not UTF-8.
  if known and not known:find("[^ -~]") then handle:streamInfo():dynamicMetadata():set(CACHE, "known", known) end
end

-- A list of tags, or "*"; compared weakly (RFC 9110, 13.1.2).
local function is_known(known, tag)
  if known == "*" then return true end
  for one in known:gmatch('"[^"]*"') do
    if one == tag:sub(3) then return true end
  end
  return false
end

local function answer_etag(handle)
  local body = handle:body()
  if not body then return end
  -- Asked for again: waiting for the body ends the life of what was there before.
  local headers = handle:headers()
  local tag = etag_of(body:getBytes(0, body:length()))
  headers:replace("etag", tag)
  headers:replace("cache-control", PRIVATE)
  local asked = handle:streamInfo():dynamicMetadata():get(CACHE)
  if asked and is_known(asked.known, tag) then
    body:setBytes("")
    headers:replace(":status", "304")
    headers:remove("content-length")
    headers:remove("content-type")
  end
end
