-- How large things may be in an environment.
-- data.allowed_sizes = { [environment or "*"] = { ["parameters.size"] = { globs }, ["aws_db_instance.instance_class"] = { globs } } }

local function limits_of(environment)
  return get(data.allowed_sizes, environment, get(data.allowed_sizes, "*", {}))
end

local function fits(value, globs)
  for _, pattern in ipairs(globs) do
    if tostring(value):glob(pattern) then return true end
  end
  return false
end

return {
  name = "allowed-sizes",
  title = "Allowed sizes",
  rules = {
    {
      name = "parameter-size",
      title = "Parameters stay within what the environment allows",
      points = { "request" },
      severity = "deny",
      check = function(input)
        local found = {}
        for key, globs in pairs(limits_of(input.environment.name)) do
          local part = key:split(".")
          if part[1] == "parameters" then
            local value = get(input.parameters, part[2])
            if value ~= nil and not fits(value, globs) then
              found[#found + 1] = {
                message = part[2] .. " = " .. tostring(value) .. " is not allowed in " .. input.environment.name .. "; allowed: " .. table.concat(globs, ", "),
                path = "/parameters/" .. part[2],
              }
            end
          end
        end
        return found
      end,
    },
    {
      name = "resource-size",
      title = "Resources stay within what the environment allows",
      points = { "plan" },
      severity = "deny",
      check = function(input)
        local limits, found = limits_of(input.environment.name), {}
        for _, change in ipairs(input.plan.resource_changes) do
          local after = change.change.after
          if change.mode == "managed" and after ~= nil then
            for key, globs in pairs(limits) do
              local part = key:split(".")
              local value = part[1] == change.type and get(after, part[2]) or nil
              if value ~= nil and not fits(value, globs) then
                found[#found + 1] = {
                  message = change.address .. ": " .. part[2] .. " = " .. tostring(value) .. " is not allowed in " .. input.environment.name .. "; allowed: " .. table.concat(globs, ", "),
                  path = change.address,
                }
              end
            end
          end
        end
        return found
      end,
    },
  },
}
