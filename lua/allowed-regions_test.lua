local europe = { allowed_regions = { ["*"] = { "eu-*" }, test = { "eu-central-1" } } }

local function plan(after)
  return { plan = { resource_changes = { { address = "aws_ebs_volume.v", mode = "managed", type = "aws_ebs_volume", change = { actions = { "create" }, after = after, after_unknown = {} } } } } }
end

return {
  { name = "everywhere by default", point = "request", expect = {} },
  { name = "the environment is in the list", point = "request", data = europe, expect = {} },
  { name = "the environment is elsewhere", point = "request", data = europe, input = { environment = { region = "us-east-1" } },
    expect = { { rule = "environment-region", message = "is in us-east-1; allowed there: eu-central-1" } } },
  { name = "other environments have the general list", point = "request", data = europe, input = { environment = { name = "dev", region = "eu-west-1" } }, expect = {} },
  { name = "a zone of another region", point = "plan", data = europe, input = plan({ availability_zone = "us-east-1a" }),
    expect = { { rule = "resource-region", message = "would be in us-east-1", path = "aws_ebs_volume.v" } } },
  { name = "a zone of this region", point = "plan", data = europe, input = plan({ availability_zone = "eu-central-1b" }), expect = {} },
  { name = "a resource that says nothing of its place", point = "plan", data = europe, input = plan({ size = 8 }), expect = {} },
}
