// Holds streams against the schemas that their protocols publish, and reads them as their clients do.
//
// Reads {"ai-sdk": {name: [chunk]}, "ag-ui": {name: [event]}} and writes, for each, what is wrong with it and the
// messages that a client made of it.
import { text } from "node:stream/consumers";
import { AbstractAgent } from "@ag-ui/client";
import { EventSchema } from "@ag-ui/core/schemas";
import { readUIMessageStream, uiMessageChunkSchema } from "ai";
import { from } from "rxjs";
import { z } from "zod";

const STRICT = new Map(
  EventSchema.options.map((option) => [[...option.shape.type.values][0], z.strictObject(option.shape)]),
);

const told = (error) => String(error?.message ?? error);

async function readAiSdk(chunks) {
  const problems = [];
  for (const chunk of chunks) {
    const checked = await uiMessageChunkSchema().validate(chunk);
    if (!checked.success) problems.push(`${JSON.stringify(chunk)}: ${told(checked.error)}`);
  }
  let message;
  try {
    // "error" is a word of the protocol, which a client tells its user.
    const stream = ReadableStream.from(chunks.filter((chunk) => chunk.type !== "error"));
    for await (const made of readUIMessageStream({ stream, onError: (error) => problems.push(told(error)) })) {
      message = made;
    }
  } catch (error) {
    problems.push(told(error));
  }
  return { problems, messages: message ? [message] : [] };
}

class Recorded extends AbstractAgent {
  constructor(events) {
    super({ threadId: "thread" });
    this.events = events;
  }

  run() {
    return from(this.events);
  }
}

async function readAgUi(events) {
  const problems = [];
  for (const event of events) {
    const checked = STRICT.get(event.type)?.safeParse(event);
    if (!checked?.success) problems.push(`${JSON.stringify(event)}: ${told(checked?.error ?? "unknown type")}`);
  }
  const agent = new Recorded(events);
  try {
    await agent.runAgent();
  } catch (error) {
    problems.push(told(error));
  }
  return { problems, messages: agent.messages };
}

async function all(streams, read) {
  const found = {};
  for (const [name, words] of Object.entries(streams)) found[name] = await read(words);
  return found;
}

const given = JSON.parse(await text(process.stdin));
console.log = console.warn = console.error = () => {};
const found = { "ai-sdk": await all(given["ai-sdk"], readAiSdk), "ag-ui": await all(given["ag-ui"], readAgUi) };
process.stdout.write(JSON.stringify(found));
