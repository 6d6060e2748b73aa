-- What costs more than the environment's limit needs somebody's consent. The estimate comes from an earlier gate; without one nothing is said.
-- data.monthly_cost = { [environment or "*"] = { approve_above = 1000, deny_above = 10000, approvers = 1, role = "approver" } }

local function limit_of(environment)
  return get(data.monthly_cost, environment, get(data.monthly_cost, "*", {}))
end

local function cost_of(input)
  if input.estimate == nil then return nil end
  return tonumber(input.estimate.monthly_cost)
end

local function money(input, amount)
  return string.format("%.2f %s", amount, get(input.estimate, "currency", "USD"))
end

return {
  name = "monthly-cost",
  title = "Approval above a monthly cost",
  points = { "plan" },
  rules = {
    {
      name = "approve-above",
      severity = "approve",
      check = function(input)
        local limit, cost = limit_of(input.environment.name), cost_of(input)
        local most = get(limit, "approve_above")
        if cost ~= nil and most ~= nil and cost > most then
          return {
            message = "it would cost " .. money(input, cost) .. " a month; above " .. money(input, most) .. " in " .. input.environment.name .. " somebody must agree",
            approve = { role = get(limit, "role", "approver"), count = get(limit, "approvers", 1) },
          }
        end
      end,
    },
    {
      name = "deny-above",
      severity = "deny",
      check = function(input)
        local limit, cost = limit_of(input.environment.name), cost_of(input)
        local most = get(limit, "deny_above")
        if cost ~= nil and most ~= nil and cost > most then
          return "it would cost " .. money(input, cost) .. " a month; more than " .. money(input, most) .. " is not ordered in " .. input.environment.name
        end
      end,
    },
  },
}
