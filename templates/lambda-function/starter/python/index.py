"""The first version of the function. Put your own in its place: a zip with index.py and what it imports."""


def handler(event, context):
    return {"statusCode": 200, "body": "hello from " + context.function_name}
