local small = { allowed_sizes = { ["*"] = {}, test = { ["parameters.size"] = { "small", "medium" }, ["aws_db_instance.instance_class"] = { "db.t4g.*" } } } }

local function plan(class)
  return { plan = { resource_changes = { { address = "aws_db_instance.this", mode = "managed", type = "aws_db_instance",
    change = { actions = { "create" }, after = { instance_class = class }, after_unknown = {} } } } } }
end

return {
  { name = "any size by default", point = "request", input = { parameters = { size = "large" } }, expect = {} },
  { name = "a size in the list", point = "request", data = small, input = { parameters = { size = "small" } }, expect = {} },
  { name = "a size that is not", point = "request", data = small, input = { parameters = { size = "large" } },
    expect = { { rule = "parameter-size", message = "size = large is not allowed in test; allowed: small, medium", path = "/parameters/size" } } },
  { name = "another environment", point = "request", data = small, input = { environment = { name = "dev" }, parameters = { size = "large" } }, expect = {} },
  { name = "an instance that is too large", point = "plan", data = small, input = plan("db.r6g.8xlarge"),
    expect = { { rule = "resource-size", message = "instance_class = db.r6g.8xlarge", path = "aws_db_instance.this" } } },
  { name = "an instance that fits", point = "plan", data = small, input = plan("db.t4g.micro"), expect = {} },
}
