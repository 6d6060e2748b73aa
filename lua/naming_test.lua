return {
  { name = "a plain name", point = "request", expect = {} },
  { name = "too long", point = "request", data = { naming = { max_length = 5, patterns = {}, reserved = {} } },
    expect = { { rule = "length", message = "has 9 characters; at most 5" } } },
  { name = "another pattern in this environment", point = "request",
    data = { naming = { max_length = 40, patterns = { ["*"] = { "*" }, test = { "*-test", "tmp-*" } }, reserved = {} } },
    expect = { { rule = "pattern", message = "must be like *-test or tmp-* in test" } } },
  { name = "it fits the pattern", point = "request", input = { service = { name = "tmp-orders" } },
    data = { naming = { max_length = 40, patterns = { test = { "*-test", "tmp-*" } }, reserved = {} } }, expect = {} },
  { name = "a reserved name", point = "request", input = { service = { name = "aws-tools" } }, expect = { { rule = "reserved", severity = "deny" } } },
}
