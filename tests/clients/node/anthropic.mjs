// Anthropic's own client: messages, counts, errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import {
  CITY, CITY_SCHEMA, QUESTION, SAID, SAY, STARTER, VERDICT, WEATHER,
  lockedUrl, picture, testExamplesOfThePage, url, weatherStation,
} from "./asked.mjs";

testExamplesOfThePage();

const client = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: SAY }];
const asked = { model: STARTER, max_tokens: 200, messages };

test("a message", async () => {
  const answer = await client.messages.create(asked);
  assert.deepEqual(answer.content.map(({ type, text }) => [type, text]), [["text", SAID]]);
  assert.equal(answer.stop_reason, "end_turn");
  const counted = await client.messages.countTokens({ model: STARTER, messages });
  const { input_tokens, cache_read_input_tokens } = answer.usage;
  assert.equal(counted.input_tokens, input_tokens + cache_read_input_tokens);
});

test("a message, streaming", async () => {
  const stream = client.messages.stream(asked);
  let said = "";
  stream.on("text", (piece) => (said += piece));
  const answer = await stream.finalMessage();
  assert.equal(said, SAID);
  assert.equal(answer.content[0].text, SAID);
  assert.equal(answer.stop_reason, "end_turn");
});

test("a message, event by event", async () => {
  const kinds = new Set();
  for await (const event of await client.messages.create({ ...asked, stream: true })) {
    kinds.add(event.type);
  }
  assert.ok(kinds.has("message_start") && kinds.has("message_stop"));
});

for (const stream of [false, true]) {
  test(`the client's own tool loop, ${stream ? "streaming" : "whole"}`, async () => {
    const station = weatherStation();
    const runner = client.beta.messages.toolRunner({
      ...asked,
      messages: [{ role: "user", content: QUESTION }],
      stream,
      tools: [
        betaZodTool({
          name: "get_weather", description: WEATHER, inputSchema: CITY, run: station.read,
        }),
      ],
    });
    const answer = await runner.runUntilDone();
    assert.match(answer.content.find(({ type }) => type === "text").text, /sunny/);
    assert.deepEqual(station.asked, ["Rome"]);
  });
}

test("a call that is demanded", async () => {
  const tools = [{ name: "get_weather", description: WEATHER, input_schema: CITY_SCHEMA }];
  for (const tool_choice of [{ type: "any" }, { type: "tool", name: "get_weather" }]) {
    const answer = await client.messages.create({
      ...asked, messages: [{ role: "user", content: QUESTION }], tools, tool_choice,
    });
    const call = answer.content.find(({ type }) => type === "tool_use");
    assert.deepEqual(call.input, { city: "Rome" });
    assert.equal(answer.stop_reason, "tool_use");
  }
});

test("a schema", async () => {
  const answer = await client.messages.parse({
    ...asked, output_config: { format: zodOutputFormat(VERDICT) },
  });
  assert.ok(VERDICT.safeParse(answer.parsed_output).success);
});

test("thinking", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const request = { ...asked, model: "thinker", max_tokens: 1500, thinking };
  for (const answer of [
    await client.messages.create(request),
    await client.messages.stream(request).finalMessage(),
  ]) {
    assert.deepEqual(answer.content.map(({ type }) => type), ["thinking", "text"]);
    assert.equal(answer.content[0].thinking, "Hmm.");
  }
});

test("a picture", async () => {
  const source = { type: "base64", media_type: "image/png", data: picture };
  const content = [{ type: "text", text: SAY }, { type: "image", source }];
  const count = async (parts) => {
    const { usage } = await client.messages.create({
      model: "seer", max_tokens: 2, messages: [{ role: "user", content: parts }],
    });
    return usage.input_tokens + usage.cache_read_input_tokens;
  };
  assert.ok((await count(content)) > (await count(content.slice(0, 1))));
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes(STARTER));
});

test("errors", async () => {
  await assert.rejects(client.messages.create({ ...asked, model: "nobody" }), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError);
    assert.equal(error.type, "not_found_error");
    assert.match(error.message, /nobody/);
    return true;
  });
  await assert.rejects(
    client.messages.create({ ...asked, max_tokens: 0 }), Anthropic.BadRequestError,
  );
  const locked = new Anthropic({ baseURL: lockedUrl, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(locked.messages.create(asked), Anthropic.AuthenticationError);
  const opened = new Anthropic({ baseURL: lockedUrl, apiKey: "right", maxRetries: 0 });
  assert.equal((await opened.models.list()).data.length, 1);
});

test("an abort", async () => {
  const endless = { ...asked, model: "endless", max_tokens: 10000 };
  const stream = client.messages.stream(endless);
  stream.once("text", () => stream.abort());
  await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
  const whole = new AbortController();
  const answer = client.messages.create(endless, { signal: whole.signal });
  setTimeout(() => whole.abort(), 100);
  await assert.rejects(answer, Anthropic.APIUserAbortError);
});
