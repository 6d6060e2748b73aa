local function plan(kind, after, unknown)
  return { plan = { resource_changes = { { address = kind .. ".b", mode = "managed", type = kind, change = { actions = { "create" }, after = after, after_unknown = unknown or {} } } } } }
end

local function statement(principal, effect, condition)
  return '{"Version":"2012-10-17","Statement":[{"Effect":"' .. effect .. '","Principal":' .. principal .. ',"Action":"s3:GetObject","Resource":"*"' .. (condition or "") .. "}]}"
end

local shut = { block_public_acls = true, block_public_policy = true, ignore_public_acls = true, restrict_public_buckets = true }

return {
  { name = "a private bucket", point = "plan", input = plan("aws_s3_bucket", { acl = "private" }), expect = {} },
  { name = "a public one", point = "plan", input = plan("aws_s3_bucket", { acl = "public-read" }), expect = { { rule = "acl", path = "aws_s3_bucket.b" } } },
  { name = "public by a resource of its own", point = "plan", input = plan("aws_s3_bucket_acl", { acl = "public-read-write" }), expect = { { rule = "acl" } } },
  { name = "the block is complete", point = "plan", input = plan("aws_s3_bucket_public_access_block", shut), expect = {} },
  { name = "half a block", point = "plan", input = plan("aws_s3_bucket_public_access_block", { block_public_acls = true, block_public_policy = true }),
    expect = { { rule = "public-access-block", message = "ignore_public_acls" }, { message = "restrict_public_buckets" } } },
  { name = "a block that is not known yet", point = "plan",
    input = plan("aws_s3_bucket_public_access_block", { block_public_acls = true, block_public_policy = true, ignore_public_acls = true }, { restrict_public_buckets = true }), expect = {} },
  { name = "everybody may read", point = "plan", input = plan("aws_s3_bucket_policy", { policy = statement('"*"', "Allow") }), expect = { { rule = "bucket-policy" } } },
  { name = "everybody, written otherwise", point = "plan", input = plan("aws_s3_bucket_policy", { policy = statement('{"AWS":["*"]}', "Allow") }), expect = { { rule = "bucket-policy" } } },
  { name = "everybody is refused", point = "plan", input = plan("aws_s3_bucket_policy", { policy = statement('"*"', "Deny") }), expect = {} },
  { name = "everybody of the own network", point = "plan",
    input = plan("aws_s3_bucket_policy", { policy = statement('"*"', "Allow", ',"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}') }), expect = {} },
  { name = "one account", point = "plan", input = plan("aws_s3_bucket_policy", { policy = statement('{"AWS":"arn:aws:iam::1:root"}', "Allow") }), expect = {} },
}
