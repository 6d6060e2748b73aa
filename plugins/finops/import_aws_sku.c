// From the attributes of an AWS product to Soma's sku. What is not here has no sku: reservations of capacity, unused hosts, data that moves, and all services that
// no rule prices.
#include "plugins/finops/import_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void aws_plain_name(const char *name, char *out, size_t size)
{
    size_t len = 0;
    for (; *name && len + 1 < size; name++)
        if (isalnum((unsigned char)*name))
            out[len++] = (char)tolower((unsigned char)*name);
    out[len] = 0;
}

const char *aws_attribute(const struct aws_product *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->names[i], name))
            return p->values[i];
    return "";
}

static bool is(const struct aws_product *p, const char *name, const char *value)
{
    return !strcmp(aws_attribute(p, name), value);
}

static const char *translate(const char *const table[][2], size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(table[i][0], word))
            return table[i][1];
    return NULL;
}
#define TRANSLATE(table, word) translate(table, sizeof(table) / sizeof *(table), word)

// Lists before 2021 have the region's title alone.
static const char *region_of(const struct aws_product *p)
{
    static const char *const titles[][2] = { { "US East (N. Virginia)", "us-east-1" }, { "US East (Ohio)", "us-east-2" }, { "US West (N. California)", "us-west-1" },
        { "US West (Oregon)", "us-west-2" }, { "Africa (Cape Town)", "af-south-1" }, { "Asia Pacific (Hong Kong)", "ap-east-1" }, { "Asia Pacific (Mumbai)", "ap-south-1" },
        { "Asia Pacific (Osaka)", "ap-northeast-3" }, { "Asia Pacific (Seoul)", "ap-northeast-2" }, { "Asia Pacific (Singapore)", "ap-southeast-1" },
        { "Asia Pacific (Sydney)", "ap-southeast-2" }, { "Asia Pacific (Tokyo)", "ap-northeast-1" }, { "Canada (Central)", "ca-central-1" }, { "EU (Frankfurt)", "eu-central-1" },
        { "EU (Ireland)", "eu-west-1" }, { "EU (London)", "eu-west-2" }, { "EU (Milan)", "eu-south-1" }, { "EU (Paris)", "eu-west-3" }, { "EU (Stockholm)", "eu-north-1" },
        { "Europe (Frankfurt)", "eu-central-1" }, { "Europe (Ireland)", "eu-west-1" }, { "Europe (London)", "eu-west-2" }, { "Europe (Paris)", "eu-west-3" },
        { "Middle East (Bahrain)", "me-south-1" }, { "South America (Sao Paulo)", "sa-east-1" }, { "AWS GovCloud (US-West)", "us-gov-west-1" },
        { "AWS GovCloud (US-East)", "us-gov-east-1" }, { "China (Beijing)", "cn-north-1" }, { "China (Ningxia)", "cn-northwest-1" } };
    const char *code = aws_attribute(p, "regioncode");
    return *code ? code : TRANSLATE(titles, aws_attribute(p, "location"));
}

// The part of a usage type behind the region: "EUW3-EBS:VolumeUsage.gp3" -> "EBS:VolumeUsage.gp3"
static const char *usage_of(const struct aws_product *p)
{
    const char *usage = aws_attribute(p, "usagetype"), *dash = strchr(usage, '-');
    size_t len = dash ? (size_t)(dash - usage) : 0;
    bool region = dash && len >= 2 && len <= 4 && isupper((unsigned char)usage[0]) && isupper((unsigned char)usage[1]);
    return region ? dash + 1 : usage;
}

#define SET(...) (snprintf(ret->sku, sizeof ret->sku, __VA_ARGS__) < (int)sizeof ret->sku)

static bool instance_sku(const struct aws_product *p, struct aws_sku *ret)
{
    static const char *const systems[][2] = { { "Linux", "linux" }, { "Windows", "windows" }, { "RHEL", "rhel" }, { "SUSE", "suse" } };
    static const char *const tenancies[][2] = { { "Shared", "shared" }, { "Dedicated", "dedicated" } };
    const char *system = TRANSLATE(systems, aws_attribute(p, "operatingsystem")), *tenancy = TRANSLATE(tenancies, aws_attribute(p, "tenancy"));
    const char *status = aws_attribute(p, "capacitystatus"), *licence = aws_attribute(p, "licensemodel");
    return system && tenancy && is(p, "preinstalledsw", "NA") && (!*status || !strcmp(status, "Used")) && (!*licence || !strcmp(licence, "No License required")) &&
        SET("instance/%s/%s/%s", aws_attribute(p, "instancetype"), system, tenancy);
}

static bool disk_sku(const struct aws_product *p, const char *usage, struct aws_sku *ret)
{
    const char *type = aws_attribute(p, "volumeapiname"), *dot = strrchr(usage, '.');
    if (!strncmp(usage, "EBS:VolumeUsage", 15))
        return SET("storage/%s", *type ? type : dot ? (!strcmp(dot, ".piops") ? "io1" : dot + 1) : "standard");
    if (!strncmp(usage, "EBS:VolumeP-IOPS", 16) && dot)
        return SET("iops/%s", !strcmp(dot, ".piops") ? "io1" : dot + 1);
    if (!strcmp(usage, "EBS:VolumeIOUsage"))
        return SET("io-requests/standard");
    if (!strcmp(usage, "EBS:SnapshotUsage"))
        return SET("snapshot/storage");
    if (!strcmp(usage, "EBS:VolumeP-Throughput.gp3")) {
        ret->divide_by = 1024; // by GiBps there, by MiBps here
        return SET("throughput/gp3");
    }
    return false;
}

static bool ec2_sku(const struct aws_product *p, struct aws_sku *ret)
{
    const char *usage = usage_of(p), *family = aws_attribute(p, "productfamily");
    ret->service = "ec2";
    if (!strncmp(family, "Compute Instance", 16))
        return instance_sku(p, ret);
    if (!strcmp(usage, "NatGateway-Hours"))
        return SET("nat/hours");
    if (!strcmp(usage, "NatGateway-Bytes"))
        return SET("nat/gb");
    if (!strncmp(usage, "CPUCredits:", 11) && is(p, "operatingsystem", "Linux"))
        return SET("cpu-credits/%s", usage + 11);
    return disk_sku(p, usage, ret);
}

static const char *rds_engine(const struct aws_product *p)
{
    static const char *const plain[][2] = { { "MySQL", "mysql" }, { "MariaDB", "mariadb" }, { "PostgreSQL", "postgres" }, { "Aurora MySQL", "aurora-mysql" },
        { "Aurora PostgreSQL", "aurora-postgresql" } };
    static const char *const editions[][2] = { { "Express", "sqlserver-ex" }, { "Web", "sqlserver-web" }, { "Standard", "sqlserver-se" }, { "Enterprise", "sqlserver-ee" } };
    static const char *const oracle[][2] = { { "Standard One", "oracle-se1" }, { "Standard Two", "oracle-se2" } };
    const char *engine = aws_attribute(p, "databaseengine"), *edition = aws_attribute(p, "databaseedition");
    bool own = is(p, "licensemodel", "Bring your own license");
    if (!strcmp(engine, "Oracle"))
        return own ? (!strcmp(edition, "Enterprise") ? "oracle-byol" : NULL) : TRANSLATE(oracle, edition);
    return own ? NULL : !strcmp(engine, "SQL Server") ? TRANSLATE(editions, edition) : TRANSLATE(plain, engine);
}

static bool rds_sku(const struct aws_product *p, struct aws_sku *ret)
{
    static const char *const placements[][2] = { { "Single-AZ", "single-az" }, { "Multi-AZ", "multi-az" } };
    static const char *const volumes[][2] = { { "General Purpose", "gp2" }, { "General Purpose-GP3", "gp3" }, { "General Purpose (SSD)", "gp2" }, { "Provisioned IOPS", "io1" },
        { "Provisioned IOPS (SSD)", "io1" }, { "Magnetic", "standard" } };
    const char *placement = TRANSLATE(placements, aws_attribute(p, "deploymentoption")), *volume = TRANSLATE(volumes, aws_attribute(p, "volumetype")), *engine = rds_engine(p);
    const char *usage = usage_of(p);
    ret->service = "rds";
    if (is(p, "productfamily", "Database Instance"))
        return engine && placement && !strstr(usage, "Mirror") && SET("instance/%s/%s/%s", aws_attribute(p, "instancetype"), engine, strstr(usage, "IOOptimized") ? "io-optimized" : placement);
    if (is(p, "productfamily", "Database Storage"))
        return placement && volume && is(p, "databaseengine", "Any") && SET("storage/%s/%s", volume, placement);
    return is(p, "productfamily", "Provisioned IOPS") && placement && is(p, "databaseengine", "Any") && SET("iops/%s/%s", strstr(usage, "GP3") ? "gp3" : "io1", placement);
}

static bool cache_sku(const struct aws_product *p, struct aws_sku *ret)
{
    char engine[40];
    aws_plain_name(aws_attribute(p, "cacheengine"), engine, sizeof engine);
    ret->service = "elasticache";
    return is(p, "productfamily", "Cache Instance") && strstr(aws_attribute(p, "usagetype"), "NodeUsage") && SET("instance/%s/%s", aws_attribute(p, "instancetype"), engine);
}

static bool balancer_sku(const struct aws_product *p, struct aws_sku *ret)
{
    const char *family = aws_attribute(p, "productfamily"), *usage = usage_of(p);
    const char *kind = strstr(family, "-Application") ? "alb" : strstr(family, "-Network") ? "nlb" : strstr(family, "-Gateway") ? "gwlb" : "classic";
    ret->service = "elb";
    if (!strcmp(usage, "LoadBalancerUsage"))
        return SET("%s/hours", kind);
    if (!strcmp(usage, "LCUUsage"))
        return SET("%s/capacity-units", kind);
    return !strcmp(usage, "DataProcessing-Bytes") && !strcmp(kind, "classic") && SET("classic/gb");
}

static bool group_sku(const struct aws_product *p, const char *service, const char *const table[][2], size_t count, struct aws_sku *ret)
{
    const char *sku = translate(table, count, aws_attribute(p, "group"));
    ret->service = service;
    return sku && SET("%s", sku);
}

bool aws_find_sku(const struct aws_product *p, struct aws_sku *ret)
{
    static const char *const lambda[][2] = { { "AWS-Lambda-Requests", "requests" }, { "AWS-Lambda-Duration", "duration/x86" }, { "AWS-Lambda-Duration-ARM", "duration/arm" } };
    static const char *const dynamodb[][2] = { { "DDB-WriteUnits", "write-capacity" }, { "DDB-ReadUnits", "read-capacity" } };
    *ret = (struct aws_sku){ .region = region_of(p), .divide_by = 1 };
    if (!ret->region)
        return false;
    if (!strcmp(p->offer, "AmazonEC2"))
        return ec2_sku(p, ret);
    if (!strcmp(p->offer, "AmazonRDS"))
        return rds_sku(p, ret);
    if (!strcmp(p->offer, "AmazonElastiCache"))
        return cache_sku(p, ret);
    if (!strcmp(p->offer, "AWSELB"))
        return balancer_sku(p, ret);
    if (!strcmp(p->offer, "AWSLambda"))
        return group_sku(p, "lambda", lambda, sizeof lambda / sizeof *lambda, ret);
    return !strcmp(p->offer, "AmazonDynamoDB") && group_sku(p, "dynamodb", dynamodb, sizeof dynamodb / sizeof *dynamodb, ret);
}
