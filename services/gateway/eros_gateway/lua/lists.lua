-- To the transcoder an object in the place of a google.protobuf.ListValue is an empty list, which a
-- profile takes for "none any more". So it is refused before, in the transcoder's own words.
--
-- Within a string every quotation mark is escaped: a quoted name before a colon is always a key.
local function refuse_objects(handle, lists)
  local body = handle:body()
  if not body then return end
  local text = body:getBytes(0, body:length())
  for name in lists:gmatch("%S+") do
    if text:find('"' .. name .. '"%s*:%s*{') then
      handle:respond(
        {[":status"] = "400"},
        name .. ": invalid value {} for type type.googleapis.com/google.protobuf.ListValue"
      )
      return
    end
  end
end
