local function register(name, callback, flags)
  server.register_function({
    function_name = '@LIBRARY@_' .. name, callback = callback, flags = flags or {},
  })
end

register('touch', touch)
register('sweep', sweep)
register('forget', forget)
register('erase', erase)
register('counts', counts, { 'no-writes' })
register('find', find, { 'no-writes' })
register('sleepers', sleepers, { 'no-writes' })
register('recent', recent, { 'no-writes' })
register('pause', pause)
register('save_sources', save_sources)
register('abandoned', abandoned, { 'no-writes' })
register('forget_abandoned', forget_abandoned)
