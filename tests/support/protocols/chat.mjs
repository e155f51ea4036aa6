// Asks and comes again as a chat of the AI SDK does, as the documentation says it is set up.
//
// Reads {workbench, conversation, assistant, headers} and writes the message that came, and what coming again gave.
import { text } from "node:stream/consumers";
import { DefaultChatTransport, readUIMessageStream } from "ai";

const { workbench, conversation, assistant, headers } = JSON.parse(await text(process.stdin));
const turns = `${workbench}/conversations/${conversation}`;

const transport = new DefaultChatTransport({
  api: `${turns}/turns?format=ai-sdk`,
  headers: { ...headers, Accept: "text/event-stream" },
  prepareSendMessagesRequest: ({ messages }) => {
    const asked = messages.at(-1);
    const content = asked.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    return { body: { turn_id: asked.id, assistant_id: assistant, input: { content } } };
  },
  prepareReconnectToStreamRequest: () => ({ api: `${turns}/active-turn/stream?format=ai-sdk` }),
});

const messages = [{ id: "q1", role: "user", parts: [{ type: "text", text: "List the files" }] }];
const stream = await transport.sendMessages({ chatId: conversation, messages, trigger: "submit-message" });
let message;
for await (const made of readUIMessageStream({ stream })) message = made;
const again = await transport.reconnectToStream({ chatId: conversation });
process.stdout.write(JSON.stringify({ message, again }));
