-- Names of services. data.naming = { max_length = 40, patterns = { [environment or "*"] = { globs } }, reserved = { globs } }

local function fits_one(name, globs)
  for _, pattern in ipairs(globs) do
    if name:glob(pattern) then return true end
  end
  return false
end

return {
  name = "naming",
  title = "Names of services",
  points = { "request" },
  rules = {
    {
      name = "length",
      severity = "deny",
      check = function(input)
        local name, most = input.service.name, data.naming.max_length
        if #name > most then return string.format("the name %s has %d characters; at most %d are allowed", name, #name, most) end
      end,
    },
    {
      name = "pattern",
      severity = "deny",
      check = function(input)
        local environment = input.environment.name
        local globs = get(data.naming.patterns, environment, get(data.naming.patterns, "*"))
        if globs ~= nil and not fits_one(input.service.name, globs) then
          return "the name " .. input.service.name .. " must be like " .. table.concat(globs, " or ") .. " in " .. environment
        end
      end,
    },
    {
      name = "reserved",
      severity = "deny",
      check = function(input)
        if fits_one(input.service.name, data.naming.reserved) then
          return "the name " .. input.service.name .. " is reserved; choose one that is not like " .. table.concat(data.naming.reserved, ", ")
        end
      end,
    },
  },
}
