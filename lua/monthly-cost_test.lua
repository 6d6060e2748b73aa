local limits = { monthly_cost = { ["*"] = { approve_above = 100, deny_above = 5000, approvers = 2, role = "platform-admin" }, dev = {} } }

local function costs(amount) return { estimate = { monthly_cost = amount, currency = "USD" } } end

return {
  { name = "no estimate, no word", point = "plan", data = limits, expect = {} },
  { name = "below the limit", point = "plan", data = limits, input = costs("99.99"), expect = {} },
  { name = "exactly the limit", point = "plan", data = limits, input = costs(100), expect = {} },
  { name = "above it", point = "plan", data = limits, input = costs("100.01"),
    expect = { { rule = "approve-above", severity = "approve", message = "100.01 USD a month", approve = { role = "platform-admin" } } } },
  { name = "far above it", point = "plan", data = limits, input = costs("5000.01"), expect = { { rule = "approve-above" }, { rule = "deny-above", severity = "deny" } } },
  { name = "an environment without a limit", point = "plan", data = limits, input = { environment = { name = "dev" }, estimate = { monthly_cost = 9999, currency = "USD" } }, expect = {} },
  { name = "an estimate without its sum", point = "plan", data = limits, input = { estimate = { monthly = 5 } }, fails = "there is no field `monthly_cost`" },
}
