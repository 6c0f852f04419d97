// Ollama's own client: chat, generate, embed, the list of models, errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Ollama } from "ollama";
import { z } from "zod";
import {
  CITY_SCHEMA, QUESTION, SAID, SAY, STARTER, VERDICT, WEATHER,
  lockedUrl, picture, testExamplesOfThePage, url, weatherStation,
} from "./asked.mjs";

testExamplesOfThePage();

const client = new Ollama({ host: url });
const messages = [{ role: "user", content: SAY }];

test("chat", async () => {
  const answer = await client.chat({ model: STARTER, messages });
  assert.equal(answer.message.content, SAID);
  assert.equal(answer.done_reason, "stop");
  assert.ok(answer.eval_count > 0 && answer.prompt_eval_count > 0);
});

test("chat, streaming", async () => {
  let said = "";
  let last = null;
  for await (const part of await client.chat({ model: STARTER, messages, stream: true })) {
    said += part.message.content;
    last = part;
  }
  assert.equal(said, SAID);
  assert.ok(last.done && last.eval_count > 0);
});

test("generate", async () => {
  const answer = await client.generate({ model: STARTER, prompt: SAY });
  assert.equal(answer.response, SAID);
  let said = "";
  for await (const part of await client.generate({ model: STARTER, prompt: SAY, stream: true })) {
    said += part.response;
  }
  assert.equal(said, SAID);
});

for (const stream of [false, true]) {
  test(`a tool loop, ${stream ? "streaming" : "whole"}`, async () => {
    const station = weatherStation();
    const asked = [{ role: "user", content: QUESTION }];
    const parameters = CITY_SCHEMA;
    const tools = [
      { type: "function", function: { name: "get_weather", description: WEATHER, parameters } },
    ];
    const turn = async () => {
      const answer = await client.chat({ model: STARTER, messages: asked, tools, stream });
      if (!stream) return answer.message;
      const whole = { role: "assistant", content: "", tool_calls: [] };
      for await (const { message } of answer) {
        whole.content += message.content;
        whole.tool_calls.push(...(message.tool_calls ?? []));
      }
      return whole;
    };
    const said = await turn();
    const [call] = said.tool_calls;
    const content = station.read(call.function.arguments);
    asked.push(said, { role: "tool", content, tool_name: call.function.name });
    assert.match((await turn()).content, /sunny/);
    assert.deepEqual(station.asked, ["Rome"]);
  });
}

test("a schema", async () => {
  const format = z.toJSONSchema(VERDICT);
  const answer = await client.chat({ model: STARTER, messages, format });
  assert.ok(VERDICT.safeParse(JSON.parse(answer.message.content)).success);
});

test("thinking", async () => {
  const answer = await client.chat({ model: "thinker", messages, think: true });
  assert.equal(answer.message.thinking, "Hmm.");
  assert.equal(answer.message.content, "All done");
  let thought = "";
  for await (const { message } of await client.chat({
    model: "thinker", messages, think: true, stream: true,
  })) {
    thought += message.thinking ?? "";
  }
  assert.equal(thought, "Hmm.");
});

test("a picture", async () => {
  const count = async (more) => {
    const answer = await client.chat({
      model: "seer", messages: [{ ...messages[0], ...more }], options: { num_predict: 2 },
    });
    return answer.prompt_eval_count;
  };
  const bytes = new Uint8Array(Buffer.from(picture, "base64"));
  const plain = await count({});
  assert.ok((await count({ images: [bytes] })) > plain);
  assert.ok((await count({ images: [picture] })) > plain);
});

test("embed", async () => {
  const { embeddings } = await client.embed({ model: "embedder", input: ["the cat", "the dog"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [64, 64]);
  const old = await client.embeddings({ model: "embedder", prompt: "the cat" });
  assert.equal(old.embedding.length, 64);
});

test("the list of models", async () => {
  const { models } = await client.list();
  assert.ok(models.some(({ name }) => name.startsWith(STARTER)));
  assert.ok((await client.show({ model: STARTER })).capabilities.includes("tools"));
  assert.ok((await client.ps()).models.some(({ name }) => name.startsWith(STARTER)));
  assert.match((await client.version()).version, /^\d/);
});

test("errors", async () => {
  await assert.rejects(client.chat({ model: "nobody", messages }), (error) => {
    assert.equal(error.name, "ResponseError");
    assert.equal(error.status_code, 404);
    assert.match(error.message, /nobody/);
    return true;
  });
  const locked = new Ollama({ host: lockedUrl });
  await assert.rejects(locked.list(), (error) => error.status_code === 401);
  const opened = new Ollama({ host: lockedUrl, headers: { Authorization: "Bearer right" } });
  assert.equal((await opened.list()).models.length, 1);
});

test("an abort", async () => {
  const stream = await client.chat({ model: "endless", messages, stream: true });
  await assert.rejects(
    async () => {
      for await (const _ of stream) stream.abort();
    },
    { name: "AbortError" },
  );
});
