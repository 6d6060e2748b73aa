// The first version of the function. Put your own in its place: a zip with index.mjs and what it imports.
export const handler = async (event, context) => ({ statusCode: 200, body: `hello from ${context.functionName}` });
