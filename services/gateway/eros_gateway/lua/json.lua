-- Reads the JSON that Envoy prints. Strings stay as they are written, escapes included: they are
-- only compared with plain words or put back between quotes, so nothing is unescaped and escaped.
local function parse_json(text, at)
  at = text:find("%S", at)
  local first = text:sub(at, at)
  if first == '"' then
    local stop = text:find('["\\]', at + 1)
    while text:sub(stop, stop) == "\\" do stop = text:find('["\\]', stop + 2) end
    return text:sub(at + 1, stop - 1), stop + 1
  end
  if first ~= "{" and first ~= "[" then
    local word = text:match("^[^%s,%]}]+", at)
    return word, at + #word
  end
  local value, last = {}, first == "{" and "}" or "]"
  at = text:find("%S", at + 1)
  while text:sub(at, at) ~= last do
    local key
    if first == "{" then
      key, at = parse_json(text, at)
      at = text:find(":", at, true) + 1
    end
    value[key or #value + 1], at = parse_json(text, at)
    at = text:find("[^%s,]", at)
  end
  return value, at + 1
end
