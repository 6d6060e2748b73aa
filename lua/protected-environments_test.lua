local closed = { protected_environments = { names = { "production" }, approvers = 2, show_secrets = false } }

local function replacing(environment)
  return { environment = { name = environment }, plan = { resource_changes = { { address = "aws_db_instance.this", mode = "managed", type = "aws_db_instance",
    change = { actions = { "delete", "create" } } } } } }
end

return {
  { name = "ending a test", point = "destroy", expect = {} },
  { name = "ending production", point = "destroy", input = { environment = { name = "production" } },
    expect = { { rule = "destroy", severity = "approve", approve = { role = "approver" } } } },
  { name = "replacing in production", point = "plan", input = replacing("production"), expect = { { rule = "replace", path = "aws_db_instance.this" } } },
  { name = "replacing in a test", point = "plan", input = replacing("test"), expect = {} },
  { name = "showing a secret of production", point = "reveal", input = { environment = { name = "production" } }, expect = {} },
  { name = "where that is turned off", point = "reveal", input = { environment = { name = "production" } }, data = closed, expect = { { rule = "reveal", severity = "deny" } } },
}
