#!/usr/bin/env python3
"""Make the shipped price book of the FinOps plugin: plugins/finops/prices/*.csv*.

Usage: tools/finops_prices.py DATA

DATA is a folder with aws_list_prices.csv, vm_prices.csv.gz and price_lists/. The result:
  aws.csv               prices from AWS's public pricing pages, written down in the tables below; each that aws_list_prices.csv has too must agree with it
  aws-eu-west-1.csv.gz  on-demand prices of eu-west-1 from an AWS Price List dump
  vm.csv.gz             virtual machines of AWS, Azure and Google Cloud

A file begins with lines `# key: value` (source, date, licence, currency). Columns: provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to.
"""
import csv
import gzip
import io
import json
import pathlib
import re
import sys
from decimal import Decimal

OUT = pathlib.Path(__file__).resolve().parent.parent / "plugins/finops/prices"
DATE = "2025-06-30"  # the day the public pages and tables stand for

# Regions whose prices for a service are the same as in us-east-1.
LIKE_US = "us-east-1 us-east-2 us-west-2"
LIKE_US_EU = LIKE_US + " eu-west-1"

# service | regions ("*": every commercial region) | unit
#   sku price [from]    (the unit price; a second row with `from` is the next tier)
TABLES = """
ec2 | us-east-1 us-east-2 us-west-2 | GB-month
  storage/gp2 0.10
  storage/gp3 0.08
  storage/io1 0.125
  storage/io2 0.125
  storage/st1 0.045
  storage/sc1 0.015
  storage/standard 0.05
  snapshot/storage 0.05
ec2 | us-east-1 us-east-2 us-west-2 | IOPS-month
  iops/io1 0.065
  iops/io2 0.065
  iops/io2 0.0455 32000
  iops/io2 0.03185 64000
  iops/gp3 0.005
ec2 | us-east-1 us-east-2 us-west-2 | MiBps-month
  throughput/gp3 0.04
ec2 | us-east-1 us-east-2 us-west-2 | requests
  io-requests/standard 0.00000005
  snapshot/list 0.0000006
  snapshot/get 0.000003
  snapshot/put 0.000006
ec2 | us-east-1 us-east-2 us-west-2 | DSU-hours
  snapshot/fast-restore 0.75
ec2 | us-east-1 us-east-2 us-west-2 eu-west-1 | vCPU-hours
  cpu-credits/t2 0.05
  cpu-credits/t3 0.05
  cpu-credits/t3a 0.05
  cpu-credits/t4g 0.04
ec2 | us-east-1 us-east-2 us-west-2 | hours
  ebs-optimized/r3.xlarge 0.02
  nat/hours 0.045
ec2 | us-east-1 us-east-2 us-west-2 | GB
  nat/gb 0.045
ec2 | eu-west-1 | hours
  nat/hours 0.048
ec2 | eu-west-1 | GB
  nat/gb 0.048
ec2 | * | hours
  public-ipv4 0.005
ec2 | us-east-1 us-east-2 us-west-2 | hours
  instance/t3.medium/windows/shared 0.06
  instance/t3.medium/linux/dedicated 0.0441
elb | us-east-1 us-east-2 us-west-2 | hours
  classic/hours 0.025
  alb/hours 0.0225
  nlb/hours 0.0225
  gwlb/hours 0.0125
elb | us-east-1 us-east-2 us-west-2 | GB
  classic/gb 0.008
elb | us-east-1 us-east-2 us-west-2 | LCU-hours
  alb/capacity-units 0.008
  nlb/capacity-units 0.006
  gwlb/capacity-units 0.004
elb | eu-west-1 | hours
  classic/hours 0.028
  alb/hours 0.0252
  nlb/hours 0.0252
elb | eu-west-1 | GB
  classic/gb 0.008
elb | eu-west-1 | LCU-hours
  alb/capacity-units 0.008
  nlb/capacity-units 0.006
cloudwatch | * | metrics
  metric 0.30
  metric 0.10 10000
  metric 0.05 250000
  metric 0.02 1000000
cloudwatch | * | alarm metrics
  alarm/standard 0.10
  alarm/high 0.30
cloudwatch | * | months
  dashboard 3
cloudwatch | us-east-1 us-east-2 us-west-2 | GB
  logs/ingested 0.50
  logs/storage 0.03
  logs/scanned 0.005
cloudwatch | eu-west-1 | GB
  logs/ingested 0.57
  logs/storage 0.03
  logs/scanned 0.0057
eks | * | hours
  cluster 0.10
ecs | us-east-1 us-east-2 us-west-2 eu-west-1 | vCPU-hours
  fargate/x86/vcpu 0.04048
  fargate/arm/vcpu 0.03238
ecs | us-east-1 us-east-2 us-west-2 eu-west-1 | GB-hours
  fargate/x86/gb 0.004445
  fargate/arm/gb 0.00356
  fargate/ephemeral 0.000111
ecs | eu-central-1 | vCPU-hours
  fargate/x86/vcpu 0.04656
  fargate/arm/vcpu 0.03725
ecs | eu-central-1 | GB-hours
  fargate/x86/gb 0.00511
  fargate/arm/gb 0.00409
lambda | us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 | requests
  requests 0.0000002
lambda | us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 | GB-seconds
  duration/x86 0.0000166667
  duration/x86 0.000015 6000000000
  duration/x86 0.0000133334 15000000000
  duration/arm 0.0000133334
  duration/arm 0.0000120001 7500000000
  duration/arm 0.0000106667 18750000000
  ephemeral-storage 0.0000000309
s3 | us-east-1 us-east-2 us-west-2 eu-west-1 | GB-month
  standard/storage 0.023
  standard/storage 0.022 51200
  standard/storage 0.021 512000
  intelligent/frequent 0.023
  intelligent/frequent 0.022 51200
  intelligent/frequent 0.021 512000
  intelligent/infrequent 0.0125
  intelligent/archive 0.0036
  intelligent/deep-archive 0.00099
  infrequent/storage 0.0125
  one-zone/storage 0.01
  glacier-instant/storage 0.004
  glacier/storage 0.0036
  deep-archive/storage 0.00099
s3 | us-east-1 us-east-2 us-west-2 eu-west-1 | requests
  standard/put 0.000005
  standard/get 0.0000004
  intelligent/put 0.000005
  intelligent/get 0.0000004
  intelligent/transition 0.00001
  infrequent/put 0.00001
  infrequent/get 0.000001
  infrequent/transition 0.00001
  one-zone/put 0.00001
  one-zone/get 0.000001
  one-zone/transition 0.00001
  glacier-instant/put 0.00002
  glacier-instant/get 0.00001
  glacier-instant/transition 0.00002
  glacier/put 0.00003
  glacier/get 0.0000004
  glacier/transition 0.00003
  glacier/retrieval-requests/standard 0.00003
  glacier/retrieval-requests/expedited 0.01
  glacier/retrieval-requests/bulk 0
  deep-archive/put 0.00005
  deep-archive/get 0.0000004
  deep-archive/transition 0.00005
  deep-archive/retrieval-requests/standard 0.0001
  deep-archive/retrieval-requests/bulk 0.000025
s3 | us-east-1 us-east-2 us-west-2 eu-west-1 | objects
  intelligent/monitoring 0.0000025
s3 | us-east-1 us-east-2 us-west-2 | tags
  object-tags 0.00000065
s3 | us-east-1 us-east-2 us-west-2 eu-west-1 | GB
  standard/select-scanned 0.002
  standard/select-returned 0.0007
  intelligent/select-scanned 0.002
  intelligent/select-returned 0.0007
  infrequent/select-scanned 0.002
  infrequent/select-returned 0.01
  infrequent/retrieval 0.01
  one-zone/select-scanned 0.002
  one-zone/select-returned 0.01
  one-zone/retrieval 0.01
  glacier-instant/retrieval 0.03
  glacier/retrieval/standard 0.01
  glacier/retrieval/expedited 0.03
  glacier/retrieval/bulk 0
  glacier/select-scanned/standard 0.008
  glacier/select-returned/standard 0.01
  glacier/select-scanned/expedited 0.02
  glacier/select-returned/expedited 0.03
  glacier/select-scanned/bulk 0.001
  glacier/select-returned/bulk 0.0025
  deep-archive/retrieval/standard 0.02
  deep-archive/retrieval/bulk 0.0025
s3 | eu-west-2 | GB-month
  standard/storage 0.024
  standard/storage 0.023 51200
  standard/storage 0.022 512000
s3 | eu-west-2 | requests
  standard/put 0.0000053
  standard/get 0.00000042
s3 | eu-west-2 eu-central-1 | GB
  standard/select-scanned 0.00225
  standard/select-returned 0.0008
s3 | eu-central-1 | GB-month
  standard/storage 0.0245
  standard/storage 0.0235 51200
  standard/storage 0.0225 512000
s3 | eu-central-1 | requests
  standard/put 0.0000054
  standard/get 0.00000043
efs | us-east-1 us-east-2 us-west-2 | GB-month
  storage/standard 0.30
  storage/one-zone 0.16
  storage/standard/infrequent 0.025
  storage/one-zone/infrequent 0.0133
efs | eu-west-1 | GB-month
  storage/standard 0.33
  storage/one-zone 0.176
  storage/standard/infrequent 0.025
  storage/one-zone/infrequent 0.0133
efs | us-east-1 us-east-2 us-west-2 eu-west-1 | GB
  infrequent/read 0.01
  infrequent/write 0.01
efs | us-east-1 us-east-2 us-west-2 | MiBps-month
  throughput 6
efs | eu-west-1 | MiBps-month
  throughput 6.60
ecr | * | GB-month
  storage 0.10
kms | * | months
  key 1
kms | * | requests
  requests/symmetric 0.000003
  requests/rsa-2048 0.000003
  requests/asymmetric 0.000015
secretsmanager | * | months
  secret 0.40
secretsmanager | * | requests
  requests 0.000005
route53 | global | months
  zone 0.50
route53 | global | queries
  queries/standard 0.0000004
  queries/standard 0.0000002 1000000000
  queries/latency 0.0000006
  queries/latency 0.0000003 1000000000
  queries/geo 0.0000007
  queries/geo 0.00000035 1000000000
sqs | us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 eu-west-2 eu-north-1 | requests
  requests/standard 0.0000004
  requests/standard 0.0000003 100000000000
  requests/standard 0.00000024 200000000000
  requests/fifo 0.0000005
  requests/fifo 0.0000004 100000000000
  requests/fifo 0.00000035 200000000000
sns | us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 | requests
  requests 0.0000005
sns | us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 | notifications
  notifications/http 0.0000006
  notifications/email 0.00002
  notifications/firehose 0.00000019
  notifications/mobile 0.0000005
  notifications/macos 0.0000005
sns | us-east-1 us-east-2 us-west-2 | requests
  fifo/requests 0.0000003
sns | us-east-1 us-east-2 us-west-2 | GB
  fifo/payload 0.017
sns | us-east-1 us-east-2 us-west-2 eu-west-1 | notifications
  fifo/notifications 0.00000001
sns | us-east-1 us-east-2 us-west-2 eu-west-1 | GB
  fifo/notification-payload 0.001
sns | eu-west-1 | requests
  fifo/requests 0.00000033
sns | eu-west-1 | GB
  fifo/payload 0.0187
mq | us-east-1 us-east-2 us-west-2 | hours
  instance/mq.t2.micro/activemq/single-az 0.03
  instance/mq.t3.micro/activemq/single-az 0.02704
  instance/mq.t3.micro/rabbitmq/single-az 0.02704
  instance/mq.m5.large/activemq/single-az 0.288
  instance/mq.m5.large/activemq/multi-az 0.576
  instance/mq.m5.xlarge/activemq/single-az 0.576
  instance/mq.m5.xlarge/activemq/multi-az 1.152
  instance/mq.m5.large/rabbitmq/single-az 0.288
  instance/mq.m5.large/rabbitmq/cluster 0.864
  instance/mq.m5.xlarge/rabbitmq/single-az 0.576
  instance/mq.m5.xlarge/rabbitmq/cluster 1.728
mq | us-east-1 us-east-2 us-west-2 | GB-month
  storage/activemq/ebs 0.10
  storage/activemq/efs 0.30
  storage/rabbitmq/ebs 0.10
dynamodb | us-east-1 us-east-2 us-west-2 | WCU-hours
  write-capacity 0.00065
  replicated-write-capacity 0.00065
dynamodb | us-east-1 us-east-2 us-west-2 | RCU-hours
  read-capacity 0.00013
dynamodb | us-east-1 us-east-2 us-west-2 | write request units
  write-requests 0.000000625
  replicated-write-requests 0.000000625
dynamodb | us-east-1 us-east-2 us-west-2 | read request units
  read-requests 0.000000125
  stream-requests 0.0000002
dynamodb | us-east-1 us-east-2 us-west-2 | GB-month
  storage 0.25
  storage/infrequent 0.10
  pitr-storage 0.20
  backup-storage 0.10
dynamodb | us-east-1 us-east-2 us-west-2 | GB
  restore 0.15
dynamodb | us-west-1 | WCU-hours
  write-capacity 0.000725
  replicated-write-capacity 0.000725
dynamodb | us-west-1 | RCU-hours
  read-capacity 0.000145
dynamodb | us-west-1 | write request units
  write-requests 0.0000006975
  replicated-write-requests 0.0000006975
dynamodb | eu-west-1 | WCU-hours
  write-capacity 0.000735
  replicated-write-capacity 0.000735
dynamodb | eu-west-1 | RCU-hours
  read-capacity 0.000147
dynamodb | eu-west-1 | write request units
  write-requests 0.000000705
  replicated-write-requests 0.000000705
dynamodb | eu-west-1 | read request units
  read-requests 0.000000141
dynamodb | eu-west-1 | GB-month
  storage 0.283
elasticache | us-east-1 us-east-2 us-west-2 | GB-month
  backup 0.085
rds | us-east-1 us-east-2 us-west-2 | GB-month
  storage/gp2/single-az 0.115
  storage/gp2/multi-az 0.23
  storage/gp3/single-az 0.115
  storage/gp3/multi-az 0.23
  storage/io1/single-az 0.125
  storage/io1/multi-az 0.25
  storage/standard/single-az 0.10
  storage/standard/multi-az 0.20
  backup 0.095
  backup/aurora 0.021
  aurora/storage 0.10
  aurora/storage/io-optimized 0.225
rds | us-east-1 us-east-2 us-west-2 | IOPS-month
  iops/io1/single-az 0.10
  iops/io1/multi-az 0.20
  iops/gp3/single-az 0.02
  iops/gp3/multi-az 0.04
rds | us-east-1 us-east-2 us-west-2 | requests
  io-requests/standard 0.0000001
  aurora/io-requests 0.0000002
  insights-requests 0.00001
rds | us-east-1 us-east-2 us-west-2 | GB
  snapshot-export 0.01
rds | us-east-1 us-east-2 us-west-2 | change record-hours
  aurora/backtrack 0.000000012
rds | us-east-1 us-east-2 us-west-2 | ACU-hours
  aurora/serverless-v1 0.06
  aurora/serverless-v2 0.12
  aurora/serverless-v2/io-optimized 0.156
rds | us-east-1 us-east-2 us-west-2 | vCPU-hours
  cpu-credits/rds 0.075
  cpu-credits/aurora 0.09
rds | us-east-1 us-east-2 us-west-2 | vCPU-months
  insights-retention/t3/24 2.95
  insights-retention/m5/24 3.815
  insights-retention/r4/24 5.184
rds | us-east-1 us-east-2 us-west-2 | ACU-months
  insights-retention/serverless/24 0.376
rds | eu-west-1 | GB-month
  storage/gp2/single-az 0.127
  storage/gp2/multi-az 0.253
  storage/gp3/single-az 0.127
  storage/gp3/multi-az 0.253
  storage/io1/single-az 0.138
  storage/io1/multi-az 0.276
  backup 0.095
  backup/aurora 0.022
  aurora/storage 0.11
rds | eu-west-1 | IOPS-month
  iops/io1/single-az 0.11
  iops/io1/multi-az 0.22
rds | eu-west-1 | requests
  insights-requests 0.00001
  aurora/io-requests 0.00000022
rds | eu-west-1 | vCPU-hours
  cpu-credits/rds 0.075
rds | sa-east-1 | GB-month
  aurora/storage 0.19
  backup/aurora 0.037
rds | sa-east-1 | requests
  aurora/io-requests 0.00000028
rds | sa-east-1 | GB
  snapshot-export 0.015
"""

# us-east-1, by the hour: class, single-AZ, multi-AZ (blank: twice single)
RDS = {
    "mysql mariadb": """t3.micro .017; t3.small .034; t3.medium .068; t3.large .136; t3.xlarge .272; t3.2xlarge .544
        t4g.micro .016; t4g.small .032 .065; t4g.medium .065 .129; t4g.large .129 .258; t4g.xlarge .258 .517; t4g.2xlarge .517 1.034
        m5.large .171; m5.xlarge .342; m5.2xlarge .684; m5.4xlarge 1.368; m5.8xlarge 2.736; m5.12xlarge 4.104
        m6g.large .152; m6g.xlarge .304; m6g.2xlarge .608; m6g.4xlarge 1.216; m6i.large .171; m6i.xlarge .342; m6i.2xlarge .684
        r5.large .24; r5.xlarge .48; r5.2xlarge .96; r5.4xlarge 1.92; r6g.large .215; r6g.xlarge .43; r6g.2xlarge .859""",
    "postgres": """t3.micro .018; t3.small .036; t3.medium .072; t3.large .145; t3.xlarge .29; t3.2xlarge .579
        t4g.micro .016; t4g.small .032 .065; t4g.medium .065 .129; t4g.large .129 .258; t4g.xlarge .258 .517; t4g.2xlarge .517 1.034
        m5.large .178; m5.xlarge .356; m5.2xlarge .712; m5.4xlarge 1.424; m6g.large .159; m6g.xlarge .318; m6g.2xlarge .636
        m6i.large .178; m6i.xlarge .356; m6i.2xlarge .712; r5.large .25; r5.xlarge .5; r5.2xlarge 1; r6g.large .225; r6g.xlarge .45; r6g.2xlarge .899""",
    "oracle-byol": "t3.small .034; t3.medium .068; t3.large .136; t3.xlarge .272; t3.2xlarge .544; m5.large .171; m5.xlarge .342; r5.large .24",
    "oracle-se1": "t3.large .28",
    "oracle-se2": "t3.large .3",
    "sqlserver-ex": "t3.large .162",
    "sqlserver-web": "t3.large .232",
    "sqlserver-se": "m5.xlarge 1.224",
    "sqlserver-ee": "m5.xlarge 2.336",
    "aurora-mysql aurora-postgresql": """t3.small .041; t3.medium .082; t3.large .164; t4g.medium .073; t4g.large .146; r4.large .29; r4.xlarge .58; r4.2xlarge 1.16
        r4.4xlarge 2.32; r4.8xlarge 4.64; r4.16xlarge 9.28; r5.large .29; r5.xlarge .58; r5.2xlarge 1.16; r5.4xlarge 2.32; r6g.large .26; r6g.xlarge .519; r6g.2xlarge 1.038""",
}
CACHE = """t2.micro .017; t2.small .034; t2.medium .068; t3.micro .017; t3.small .034; t3.medium .068; t4g.micro .016; t4g.small .032; t4g.medium .065
    m4.large .156; m4.xlarge .311; m5.large .156; m5.xlarge .311; m5.2xlarge .622; m6g.large .149; m6g.xlarge .297; m6g.2xlarge .593; m6g.12xlarge 3.557
    r5.large .216; r5.xlarge .431; r5.2xlarge .862; r5.4xlarge 1.724; r6g.large .206; r6g.xlarge .411; r6g.2xlarge .821"""

# service, sku, term, price by the hour in us-east-1. What is paid upfront is not in a month's bill: 0.
RESERVED = """
ec2 instance/t3.medium/linux/shared reserved/standard/1_year/no_upfront 0.0261
ec2 instance/t3.medium/linux/shared reserved/standard/1_year/partial_upfront 0.0124
ec2 instance/t3.medium/linux/shared reserved/standard/3_year/no_upfront 0.0180
ec2 instance/t3.medium/linux/shared reserved/standard/3_year/partial_upfront 0.0083
ec2 instance/t3.medium/linux/shared reserved/convertible/1_year/no_upfront 0.0300
ec2 instance/t3.medium/linux/shared reserved/convertible/1_year/partial_upfront 0.0143
ec2 instance/t3.medium/linux/shared reserved/convertible/3_year/no_upfront 0.0206
ec2 instance/t3.medium/linux/shared reserved/convertible/3_year/partial_upfront 0.0096
rds instance/db.t3.large/mysql/single-az reserved/1_year/no_upfront 0.0957
rds instance/db.t3.large/mysql/multi-az reserved/1_year/no_upfront 0.1914
rds instance/db.t3.large/mysql/single-az reserved/1_year/partial_upfront 0.0456
rds instance/db.t3.large/mysql/multi-az reserved/1_year/partial_upfront 0.0911
rds instance/db.t3.large/postgres/single-az reserved/3_year/partial_upfront 0.0348
rds instance/db.t3.large/postgres/multi-az reserved/3_year/partial_upfront 0.0695
rds instance/db.r4.large/aurora-mysql/single-az reserved/1_year/no_upfront 0.19
rds instance/db.r4.large/aurora-mysql/single-az reserved/1_year/partial_upfront 0.09
rds instance/db.r4.large/aurora-mysql/single-az reserved/3_year/partial_upfront 0.06
elasticache instance/cache.m6g.12xlarge/redis reserved/1_year/no_upfront 2.428
elasticache instance/cache.m6g.12xlarge/redis reserved/1_year/partial_upfront 1.156
"""

# Extended support by vCPU and hour: engine, version, from which day, to which, price. aws.amazon.com/rds/extended-support, docs.aws.amazon.com/AmazonRDS release calendars
SUPPORT = """
mysql 5.7 2024-03-01 2026-02-28 0.100
mysql 5.7 2026-03-01 2027-02-28 0.200
mysql 8.0 2026-08-01 2028-07-31 0.100
postgres 11 2024-04-01 2026-03-31 0.100
postgres 11 2026-04-01 2027-03-31 0.200
postgres 12 2025-03-01 2027-02-28 0.100
postgres 12 2027-03-01 2028-02-29 0.200
postgres 13 2026-03-01 2028-02-29 0.100
aurora-mysql 5.7 2024-12-01 2027-02-28 0.100
aurora-postgresql 11 2024-04-01 2026-03-31 0.100
aurora-postgresql 11 2026-04-01 2027-03-31 0.200
aurora-postgresql 12 2025-03-01 2027-02-28 0.100
aurora-postgresql 13 2026-03-01 2028-02-29 0.100
"""
# The day after standard support of a version of Kubernetes ended on EKS.
EKS = "1.21 2023-02-16;1.22 2023-06-04;1.23 2023-10-12;1.24 2024-02-01;1.25 2024-05-02;1.26 2024-06-12;1.27 2024-07-25;1.28 2024-11-27;1.29 2025-03-24;1.30 2025-07-24;1.31 2025-11-27;1.32 2026-03-24"

# Beijing, in CNY. Worked out from published estimates of a bucket; requests are for one.
CHINA = """
s3 GB-month standard/storage .195
s3 requests standard/put .0000045
s3 requests standard/get .0000015
s3 GB standard/select-scanned .01593
s3 GB standard/select-returned .0057
s3 GB-month intelligent/frequent .195
s3 GB-month intelligent/infrequent .13377
s3 GB-month intelligent/archive .03006
s3 GB-month intelligent/deep-archive .01336
s3 objects intelligent/monitoring .0000165
s3 requests intelligent/put .0000045
s3 requests intelligent/get .0000015
s3 requests intelligent/transition .0000637
s3 GB intelligent/select-scanned .01593
s3 GB intelligent/select-returned .0057
s3 GB-month infrequent/storage .13377
s3 requests infrequent/put .0000637
s3 requests infrequent/get .00000637
s3 requests infrequent/transition .0000637
s3 GB infrequent/retrieval .0637
s3 GB infrequent/select-scanned .01593
s3 GB infrequent/select-returned .0637
s3 GB-month one-zone/storage .107016
s3 requests one-zone/put .0000637
s3 requests one-zone/get .00000637
s3 requests one-zone/transition .0000637
s3 GB one-zone/retrieval .0637
s3 GB one-zone/select-scanned .01593
s3 GB one-zone/select-returned .0637
s3 GB-month glacier/storage .03006
s3 requests glacier/put .000224
s3 requests glacier/get .0000015
s3 requests glacier/transition .000224
s3 requests glacier/retrieval-requests/standard .000224
s3 requests glacier/retrieval-requests/expedited .0667
s3 GB glacier/retrieval/standard .0667
s3 GB glacier/retrieval/expedited .2001
s3 GB glacier/select-scanned/standard .056
s3 GB glacier/select-returned/standard .0667
s3 GB glacier/select-scanned/expedited .1401
s3 GB glacier/select-returned/expedited .2001
s3 GB glacier/select-scanned/bulk .0067
s3 GB glacier/select-returned/bulk .0167
s3 GB-month deep-archive/storage .01336
s3 requests deep-archive/put .0004478
s3 requests deep-archive/get .0000015
s3 requests deep-archive/transition .0004478
s3 requests deep-archive/retrieval-requests/standard .0007463
s3 requests deep-archive/retrieval-requests/bulk .0001668
s3 GB deep-archive/retrieval/standard .1334
s3 GB deep-archive/retrieval/bulk .0334
lambda requests requests .00000136
lambda GB-seconds duration/x86 .000113477
lambda GB-seconds duration/arm .0000907816
"""

# Families of instances that are EBS-optimized at no charge: docs.aws.amazon.com/AWSEC2/latest/UserGuide/ebs-optimized.html
OPTIMIZED = re.compile(r"(a1|c[4-9]\w*|d[23]\w*|f[12]|g[3-9]\w*|h1|hpc\w*|i[3478]\w*|im4gn|is4gen|inf\d|m[4-9]\w*|p[2-6]\w*|r[4-9]\w*|t3a?|t4g|trn\w*|u-\w*|u7\w*|vt1|x[128]\w*|z1d)\.")


def plain(price):
    text = format(Decimal(price).normalize(), "f")
    return text


def rows_of_tables():
    head = []
    for line in TABLES.splitlines():
        if not line.strip():
            continue
        if not line.startswith(" "):
            service, regions, unit = (part.strip() for part in line.split("|"))
            head = [(service, region, unit) for region in regions.split()]
            continue
        sku, price, *start = line.split()
        for service, region, unit in head:
            yield {"service": service, "region": region, "sku": sku, "unit": unit, "from": start[0] if start else "0", "price": price}


def rows_of_databases():
    for engines, text in RDS.items():
        for entry in re.split(r"[;\n]", text):
            name, single, *multi = entry.split()
            for engine in engines.split():
                yield row("rds", f"instance/db.{name}/{engine}/single-az", "hours", single)
                if not engine.startswith("aurora"):
                    yield row("rds", f"instance/db.{name}/{engine}/multi-az", "hours", multi[0] if multi else Decimal(single) * 2)
    for entry in re.split(r"[;\n]", CACHE):
        name, price = entry.split()
        for engine in ("redis", "memcached"):
            yield row("elasticache", f"instance/cache.{name}/{engine}", "hours", price)
        yield row("elasticache", f"instance/cache.{name}/valkey", "hours", Decimal(price) * Decimal("0.8"))


def row(service, sku, unit, price, region="us-east-1", **more):
    return {"service": service, "region": region, "sku": sku, "unit": unit, "price": price, **more}


def rows_of_terms(on_demand):
    for line in RESERVED.split("\n"):
        if line:
            service, sku, term, price = line.split()
            yield row(service, sku, "hours", price, term=term)
    for entry in on_demand:  # the whole price before the first month
        kind = "reserved/{}/{}/all_upfront"
        for years in ("1_year", "3_year"):
            if entry["service"] == "ec2" and "/linux/shared" in entry["sku"]:
                for offer in ("standard", "convertible"):
                    yield {**entry, "term": kind.format(offer, years), "price": 0}
            elif entry["service"] in ("rds", "elasticache") and entry["sku"].startswith("instance/"):
                yield {**entry, "term": kind.format(years, "").replace("//", "/"), "price": 0}


def rows_of_support():
    for line in SUPPORT.split("\n"):
        if line:
            engine, version, start, end, price = line.split()
            for region in LIKE_US.split():
                yield row("rds", f"extended-support/{engine}/{version}", "vCPU-hours", price, region, valid_from=start, valid_to=end)
    for entry in EKS.split(";"):
        version, start = entry.split()
        yield row("eks", f"cluster/extended/{version}", "hours", "0.60", "*", valid_from=start)


def machines(data):
    with gzip.open(data / "vm_prices.csv.gz", "rt") as f:
        yield from csv.DictReader(f)


def with_ends(rows):
    """`to` of each row is the `from` of the next tier."""
    tiers = {}
    for r in rows:
        tiers.setdefault((r["service"], r["region"], r["sku"], r.get("term", ""), r.get("valid_from", "")), []).append(r)
    for same in tiers.values():
        same.sort(key=lambda r: Decimal(r.get("from", "0")))
        for r, after in zip(same, same[1:] + [None]):
            yield {**r, "to": after["from"] if after else ""}


# What aws_list_prices.csv calls a price of the tables: (type, component) -> (service, sku, region, how many of ours make one of theirs)
HOURS = 730
CHECKS = [
    ("aws_lb", "Application load balancer", "elb", "alb/hours", 1), ("aws_lb", "Network load balancer", "elb", "nlb/hours", 1),
    ("aws_lb", "Load balancer capacity units", "elb", "alb/capacity-units", HOURS), ("aws_lb", "Load balancer capacity units", "elb", "nlb/capacity-units", HOURS),
    ("aws_elb", "Classic load balancer", "elb", "classic/hours", 1), ("aws_elb", "Data processed", "elb", "classic/gb", 1),
    ("aws_nat_gateway", "NAT gateway", "ec2", "nat/hours", 1), ("aws_nat_gateway", "Data processed", "ec2", "nat/gb", 1),
    ("aws_ebs_volume", "Storage (general purpose SSD, gp2)", "ec2", "storage/gp2", 1), ("aws_ebs_volume", "Storage (general purpose SSD, gp3)", "ec2", "storage/gp3", 1),
    ("aws_ebs_volume", "Storage (provisioned IOPS SSD, io1)", "ec2", "storage/io1", 1), ("aws_ebs_volume", "Storage (cold HDD, sc1)", "ec2", "storage/sc1", 1),
    ("aws_ebs_volume", "Storage (throughput optimized HDD, st1)", "ec2", "storage/st1", 1), ("aws_ebs_volume", "Storage (magnetic)", "ec2", "storage/standard", 1),
    ("aws_ebs_volume", "Provisioned IOPS", "ec2", "iops/io1", 1), ("aws_ebs_volume", "Provisioned throughput", "ec2", "throughput/gp3", 1),
    ("aws_ebs_snapshot", "Fast snapshot restore", "ec2", "snapshot/fast-restore", 1), ("aws_ebs_snapshot", "EBS snapshot storage", "ec2", "snapshot/storage", 1),
    ("aws_ebs_snapshot", "GetSnapshotBlock API requests", "ec2", "snapshot/get", 1000), ("aws_ebs_snapshot", "PutSnapshotBlock API requests", "ec2", "snapshot/put", 1000),
    ("aws_ecs_service", "Per GB per hour", "ecs", "fargate/x86/gb", HOURS), ("aws_ecs_service", "Per vCPU per hour", "ecs", "fargate/x86/vcpu", HOURS),
    ("aws_efs_file_system", "Storage (standard)", "efs", "storage/standard", 1), ("aws_efs_file_system", "Storage (one zone)", "efs", "storage/one-zone", 1),
    ("aws_efs_file_system", "Provisioned throughput", "efs", "throughput", 1), ("aws_efs_file_system", "Storage (standard, infrequent access)", "efs", "storage/standard/infrequent", 1),
    ("aws_dynamodb_table", "Write capacity unit (WCU)", "dynamodb", "write-capacity", HOURS), ("aws_dynamodb_table", "Data storage", "dynamodb", "storage", 1),
    ("aws_dynamodb_table", "Write request unit (WRU)", "dynamodb", "write-requests", 1), ("aws_dynamodb_table", "Read request unit (RRU)", "dynamodb", "read-requests", 1),
    ("aws_dynamodb_table", "Table data restored", "dynamodb", "restore", 1), ("aws_dynamodb_table", "On-demand backup storage", "dynamodb", "backup-storage", 1),
    ("aws_lambda_function", "Requests", "lambda", "requests", 1000000), ("aws_lambda_function", "Duration (first 6B)", "lambda", "duration/x86", 1),
    ("aws_lambda_function", "Duration (first 7.5B)", "lambda", "duration/arm", 1), ("aws_lambda_function", "Ephemeral storage", "lambda", "ephemeral-storage", 1),
    ("aws_kms_key", "Customer master key", "kms", "key", 1), ("aws_kms_key", "Requests", "kms", "requests/symmetric", 10000),
    ("aws_secretsmanager_secret", "Secret", "secretsmanager", "secret", 1), ("aws_secretsmanager_secret", "API requests", "secretsmanager", "requests", 10000),
    ("aws_route53_zone", "Hosted zone", "route53", "zone", 1), ("aws_route53_record", "Standard queries (first 1B)", "route53", "queries/standard", 1000000),
    ("aws_sqs_queue", "Requests", "sqs", "requests/standard", 1000000), ("aws_sqs_queue", "Requests", "sqs", "requests/fifo", 1000000),
    ("aws_sns_topic", "API requests (over 1M)", "sns", "requests", 1000000), ("aws_sns_topic", "HTTP/HTTPS notifications (over 100k)", "sns", "notifications/http", 100000),
    ("aws_sns_topic", "Email/Email-JSON notifications (over 1k)", "sns", "notifications/email", 100000), ("aws_sns_topic", "FIFO Publish API payload", "sns", "fifo/payload", 1),
    ("aws_ecr_repository", "Storage", "ecr", "storage", 1), ("aws_eks_cluster", "EKS cluster", "eks", "cluster", 1),
    ("aws_mq_broker", "Instance usage (RabbitMQ, mq.m5.xlarge, cluster_multi_az)", "mq", "instance/mq.m5.xlarge/rabbitmq/cluster", 1),
    ("aws_mq_broker", "Instance usage (ActiveMQ, mq.t2.micro, single_instance)", "mq", "instance/mq.t2.micro/activemq/single-az", 1),
    ("aws_elasticache_cluster", "Backup storage", "elasticache", "backup", 1), ("aws_elasticache_cluster", "ElastiCache (on-demand, cache.m4.large)", "elasticache", "instance/cache.m4.large/redis", 1),
    ("aws_rds_cluster", "Aurora serverless", "rds", "aurora/serverless-v1", 1), ("aws_rds_cluster", "I/O requests", "rds", "aurora/io-requests", 1000000),
    ("aws_rds_cluster", "Backtrack", "rds", "aurora/backtrack", 1000000), ("aws_rds_cluster_instance", "Aurora serverless v2", "rds", "aurora/serverless-v2", 1),
    ("aws_rds_cluster_instance", "CPU credits", "rds", "cpu-credits/aurora", 1), ("aws_db_instance", "CPU credits", "rds", "cpu-credits/rds", 1),
    ("aws_db_instance", "Storage (general purpose SSD, gp2)", "rds", "storage/gp2/single-az", 1), ("aws_db_instance", "Provisioned IOPS", "rds", "iops/io1/single-az", 1),
    ("aws_s3_bucket", "Storage", "s3", "standard/storage", 1), ("aws_s3_bucket", "Storage", "s3", "infrequent/storage", 1), ("aws_s3_bucket", "Storage", "s3", "deep-archive/storage", 1),
    ("aws_s3_bucket", "Lifecycle transition", "s3", "glacier/transition", 1000), ("aws_s3_bucket", "Retrieval requests (standard)", "s3", "deep-archive/retrieval-requests/standard", 1000),
    ("aws_s3_bucket", "Monitoring and automation", "s3", "intelligent/monitoring", 1000),
    ("aws_cloudwatch_log_group", "Data ingested", "cloudwatch", "logs/ingested", 1), ("aws_cloudwatch_dashboard", "Dashboard", "cloudwatch", "dashboard", 1),
    ("aws_cloudwatch_metric_alarm", "Standard resolution", "cloudwatch", "alarm/standard", 1),
]


def check(data, rows):
    """Every price of CHECKS must be one of those that the list has for its component, within the list's own error and half a per cent."""
    listed = {}
    for r in csv.DictReader(open(data / "aws_list_prices.csv")):
        listed.setdefault((r["resource_type"], r["component"]), []).append((float(r["usd_per_unit"]), float(r["relative_rounding_error"])))
    ours = {}
    for r in rows:
        if r["region"] in ("us-east-1", "*", "global") and r.get("from", "0") == "0" and "term" not in r:
            ours[(r["service"], r["sku"])] = float(r["price"])
    wrong = [(type_, component, service, sku) for type_, component, service, sku, factor in CHECKS
             if not any(abs(price - ours[(service, sku)] * factor) <= price * max(error, 0.005) for price, error in listed[(type_, component)])]
    if wrong:
        sys.exit(f"these prices do not agree with aws_list_prices.csv: {wrong}")
    print(f"{len(CHECKS)} prices agree with aws_list_prices.csv")


def write(name, heads, rows):
    text = io.StringIO()
    for key, value in heads.items():
        text.write(f"# {key}: {value}\n")
    text.write("provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to\n")
    for r in sorted(rows, key=lambda r: (r["provider"], r["service"], r["region"], r["sku"], r.get("term", ""), r.get("valid_from", ""), Decimal(r.get("from", "0")))):
        text.write(",".join([r["provider"], r["service"], r["region"], r["sku"], r.get("term", "on_demand"), r["unit"], r.get("from", "0"), r.get("to", ""),
                             plain(r["price"]), r.get("valid_from", ""), r.get("valid_to", "")]) + "\n")
    data = text.getvalue().encode()
    if name.endswith(".gz"):
        data = gzip.compress(data, 9, mtime=0)
    (OUT / name).write_bytes(data)
    print(f"{name}: {len(data)} bytes")


def unquote(field):
    return field[1:-1].replace("\\'", "'").replace('\\"', '"').replace("\\\\", "\\")


VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|[^,()']+")


def dump_rows(path, table):
    with gzip.open(path, "rt") as f:
        for line in f:
            if line.startswith(f"INSERT INTO `{table}` VALUES"):
                yield VALUES.findall(line[line.index("(") + 1:line.rindex(")")])


RDS_ENGINES = {("MySQL", None): "mysql", ("MariaDB", None): "mariadb", ("PostgreSQL", None): "postgres", ("Aurora MySQL", None): "aurora-mysql",
               ("Aurora PostgreSQL", None): "aurora-postgresql", ("SQL Server", "Express"): "sqlserver-ex", ("SQL Server", "Web"): "sqlserver-web",
               ("SQL Server", "Standard"): "sqlserver-se", ("SQL Server", "Enterprise"): "sqlserver-ee", ("Oracle", "Standard Two"): "oracle-se2"}


def dump_sku(service, family, a):
    """Soma's sku of a product of the dump, or None."""
    usage = a.get("UsageType", "")
    if service == "AmazonEC2" and family.startswith("Compute Instance"):
        systems = {"Linux": "linux", "Windows": "windows", "RHEL": "rhel", "SUSE": "suse"}
        tenancy = {"Shared": "shared", "Dedicated": "dedicated"}.get(a.get("Tenancy"))
        if a.get("CapacityStatus") == "Used" and a.get("PreInstalledSW") == "NA" and tenancy and a.get("OperatingSystem") in systems and a.get("LicenseModel") == "No License required":
            return "ec2", f"instance/{a['InstanceType']}/{systems[a['OperatingSystem']]}/{tenancy}"
    if service == "AmazonEC2" and family == "Storage":
        kinds = {"gp2": "gp2", "gp3": "gp3", "piops": "io1", "io2": "io2", "st1": "st1", "sc1": "sc1"}
        kind = usage.rpartition(".")[2] if "VolumeUsage" in usage else None
        if usage.endswith("VolumeUsage"):
            return "ec2", "storage/standard"
        if kind in kinds:
            return "ec2", f"storage/{kinds[kind]}"
    if service == "AmazonRDS" and family == "Database Instance":
        edition = a.get("DatabaseEdition")
        engine = RDS_ENGINES.get((a.get("DatabaseEngine"), edition))
        if a.get("DatabaseEngine") == "Oracle" and a.get("LicenseModel") == "Bring your own license" and edition == "Enterprise":
            engine = "oracle-byol"
        elif a.get("LicenseModel") == "Bring your own license":
            engine = None
        placement = {"Single-AZ": "single-az", "Multi-AZ": "multi-az"}.get(a.get("DeploymentOption"))
        if engine and placement and "IOOptimized" not in usage and "Mirror" not in usage:
            return "rds", f"instance/{a['InstanceType']}/{engine}/{placement}"
    if service == "AmazonElastiCache" and family == "Cache Instance" and "NodeUsage" in usage:
        return "elasticache", f"instance/{a['InstanceType']}/{a['CacheEngine'].lower()}"
    return None


def rows_of_dump(path):
    products = {}
    for id_, _, _, region, service, family, attributes in dump_rows(path, "pricing_products"):
        sku = dump_sku(unquote(service), unquote(family), json.loads(unquote(attributes)))
        if sku:
            products[id_] = (unquote(region), *sku)
    found = {}
    for _, product, _, _, unit, price, attributes in dump_rows(path, "pricing_product_prices"):
        a = json.loads(unquote(attributes))
        if product in products and a.get("TermType") == "OnDemand" and Decimal(price) > 0:
            found.setdefault(products[product], set()).add((unquote(unit), Decimal(price)))
    for (region, service, sku), prices in found.items():
        if len(prices) == 1:  # more than one: the dump does not tell them apart
            (unit, price), = prices
            yield {**row(service, sku, {"Hrs": "hours", "GB-Mo": "GB-month"}.get(unit, unit), price, region), "provider": "aws"}


def main():
    data = pathlib.Path(sys.argv[1])
    OUT.mkdir(parents=True, exist_ok=True)
    vms = list(machines(data))
    public = [*rows_of_tables(), *rows_of_databases(), *rows_of_support()]
    check(data, public)
    linux = [row("ec2", f"instance/{m['instance_type']}/linux/shared", "hours", m["usd_per_hour"]) for m in vms if m["provider"] == "aws" and m["region"] == "us-east-1"]
    public += [row("ec2", f"ebs-optimized/{m['instance_type']}", "hours", 0) for m in vms if m["provider"] == "aws" and OPTIMIZED.match(m["instance_type"])]
    public += rows_of_terms(public + linux)
    write("aws.csv.gz", {"source": "AWS public pricing pages", "date": DATE, "checked": "against list prices worked out from infracost's published estimates (Apache-2.0)",
                         "licence": "prices are facts", "currency": "USD"}, [{"provider": "aws", **r} for r in with_ends(public)])
    china = [line.split() for line in CHINA.split("\n") if line]
    write("aws-cn-north-1.csv", {"source": "AWS China (Beijing) prices", "date": DATE, "checked": "S3 is worked out from infracost's published estimates (Apache-2.0)",
                                 "licence": "prices are facts", "currency": "CNY"},
          [{"provider": "aws", **row(service, sku, unit.replace("_", " "), price, "cn-north-1")} for service, unit, sku, price in china])
    write("aws-eu-west-1.csv.gz", {"source": "AWS Price List of eu-west-1", "date": "2023-02-23", "licence": "prices are facts; from cycloidio/terracost, MIT",
                                   "currency": "USD"}, rows_of_dump(data / "price_lists/aws_eu-west-1_2023-02-23.sql.gz"))
    services = {"aws": "ec2", "azure": "compute", "gcp": "compute"}
    write("vm.csv.gz", {"source": "price tables of the Karpenter providers", "date": DATE, "licence": "Apache-2.0", "currency": "USD"},
          [{"provider": m["provider"], **row(services[m["provider"]], f"instance/{m['instance_type']}/linux/shared", "hours", m["usd_per_hour"], m["region"]),
            **({"term": m["purchase"]} if m["purchase"] != "on_demand" else {})} for m in vms])


main()
