function envoy_on_request(handle)
  local session, context = stamp_request(handle), handle:filterContext()
  if context:get("cached") then
    if not answer_cached(handle, context:get("cached")) then remember_etag(handle) end
  elseif context:get("etag") then
    remember_etag(handle)
  elseif session and context:get("heartbeat") then
    consider_heartbeat(handle, session)
  elseif context:get("lists") then
    refuse_objects(handle, context:get("lists"))
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  stamp_response(handle, status)
  status = serviced_status(headers, status)
  local kind = headers:get("content-type") or ""
  if kind:sub(1, 16) ~= "application/grpc" then
    -- The transcoder leaves these on what it converts.
    headers:remove("grpc-status")
    headers:remove("grpc-message")
    if headers:get("etag") then
      -- Answered from the cache; what it said of itself is not all that is in there now.
      headers:replace("cache-control", PRIVATE)
    elseif kind == "application/json" then
      if status >= "400" then
        convert_error(handle)
      elseif status == "200" and handle:filterContext():get("etag") then
        answer_etag(handle)
      end
    end
  end
end
