// OpenAI's own client: chat, responses, embeddings, errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import {
  CITY, CITY_SCHEMA, QUESTION, SAID, SAY, STARTER, VERDICT, WEATHER,
  lockedUrl, picture, testExamplesOfThePage, url, weatherStation,
} from "./asked.mjs";

testExamplesOfThePage();

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: SAY }];
const tool = {
  type: "function",
  function: { name: "get_weather", description: WEATHER, parameters: CITY_SCHEMA },
};

test("chat", async () => {
  const answer = await client.chat.completions.create({ model: STARTER, messages });
  assert.equal(answer.choices[0].message.content, SAID);
  assert.equal(answer.choices[0].finish_reason, "stop");
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
});

test("chat, streaming", async () => {
  const stream = await client.chat.completions.create({
    model: STARTER, messages, stream: true, stream_options: { include_usage: true },
  });
  let said = "";
  let usage = null;
  for await (const chunk of stream) {
    said += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(said, SAID);
  assert.ok(usage.completion_tokens > 0);
});

test("chat, put together by the client", async () => {
  const stream = client.chat.completions.stream({ model: STARTER, messages });
  const answer = await stream.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, SAID);
});

for (const stream of [false, true]) {
  test(`the client's own tool loop, ${stream ? "streaming" : "whole"}`, async () => {
    const station = weatherStation();
    const runner = client.chat.completions.runTools({
      model: STARTER,
      messages: [{ role: "user", content: QUESTION }],
      stream,
      tools: [
        zodFunction({
          name: "get_weather", description: WEATHER, parameters: CITY, function: station.read,
        }),
      ],
    });
    assert.match(await runner.finalContent(), /sunny/);
    assert.deepEqual(station.asked, ["Rome"]);
  });
}

test("a call that is demanded", async () => {
  for (const tool_choice of ["required", { type: "function", function: { name: "get_weather" } }]) {
    const answer = await client.chat.completions.create({
      model: STARTER, messages: [{ role: "user", content: QUESTION }], tools: [tool], tool_choice,
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Rome" });
  }
});

test("chat with a schema", async () => {
  const answer = await client.chat.completions.parse({
    model: STARTER, messages, response_format: zodResponseFormat(VERDICT, "verdict"),
  });
  assert.ok(VERDICT.safeParse(answer.choices[0].message.parsed).success);
});

test("chat, thinking", async () => {
  const answer = await client.chat.completions.create({ model: "thinker", messages });
  assert.equal(answer.choices[0].message.reasoning_content, "Hmm.");
  assert.equal(answer.choices[0].message.content, "All done");
});

test("chat with a picture", async () => {
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } };
  const ask = async (...parts) => {
    const content = [{ type: "text", text: SAY }, ...parts];
    const answer = await client.chat.completions.create({
      model: "seer", max_tokens: 2, messages: [{ role: "user", content }],
    });
    return answer.usage.prompt_tokens;
  };
  assert.ok((await ask(image)) > (await ask()));
});

test("responses", async () => {
  const answer = await client.responses.create({ model: STARTER, input: SAY });
  assert.equal(answer.output_text, SAID);
  assert.equal(answer.status, "completed");
  const next = await client.responses.create({
    model: STARTER, input: "What is 2 plus 3?", previous_response_id: answer.id,
  });
  assert.match(next.output_text, /5/);
  assert.ok(next.usage.input_tokens > answer.usage.input_tokens);
  await client.responses.delete(answer.id);
});

test("responses, streaming", async () => {
  const stream = client.responses.stream({ model: STARTER, input: SAY });
  let said = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") said += event.delta;
  }
  assert.equal(said, SAID);
  assert.equal((await stream.finalResponse()).output_text, SAID);
});

for (const stream of [false, true]) {
  test(`responses, a tool loop, ${stream ? "streaming" : "whole"}`, async () => {
    const station = weatherStation();
    const { name, description, parameters } = tool.function;
    const tools = [{ type: "function", name, description, parameters, strict: true }];
    const input = [{ role: "user", content: QUESTION }];
    const ask = () => {
      const asked = { model: STARTER, input, tools };
      return stream
        ? client.responses.stream(asked).finalResponse()
        : client.responses.create(asked);
    };
    const first = await ask();
    const [call] = first.output.filter((item) => item.type === "function_call");
    const output = station.read(JSON.parse(call.arguments));
    input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output });
    assert.match((await ask()).output_text, /sunny/);
    assert.deepEqual(station.asked, ["Rome"]);
  });
}

test("responses with a schema", async () => {
  const answer = await client.responses.parse({
    model: STARTER, input: SAY, text: { format: zodTextFormat(VERDICT, "verdict") },
  });
  assert.ok(VERDICT.safeParse(answer.output_parsed).success);
});

test("responses, thinking", async () => {
  const answer = await client.responses.create({ model: "thinker", input: SAY });
  assert.deepEqual(answer.output.map((item) => item.type), ["reasoning", "message"]);
  assert.equal(answer.output[0].content[0].text, "Hmm.");
});

test("responses with a picture", async () => {
  const content = [
    { type: "input_text", text: SAY },
    { type: "input_image", image_url: `data:image/png;base64,${picture}`, detail: "auto" },
  ];
  const ask = async (parts) => {
    const answer = await client.responses.create({
      model: "seer", max_output_tokens: 2, input: [{ role: "user", content: parts }],
    });
    return answer.usage.input_tokens;
  };
  assert.ok((await ask(content)) > (await ask(content.slice(0, 1))));
});

test("completions", async () => {
  const answer = await client.completions.create({
    model: STARTER, prompt: "Once upon a time", max_tokens: 8,
  });
  assert.ok(answer.choices[0].text.length > 0);
});

test("embeddings", async () => {
  const input = ["the cat", "the dog"];
  const packed = await client.embeddings.create({ model: "embedder", input });
  const plain = await client.embeddings.create({
    model: "embedder", input, encoding_format: "float",
  });
  assert.equal(packed.data.length, 2);
  for (const [i, { embedding }] of packed.data.entries()) {
    assert.equal(embedding.length, 64);
    embedding.forEach((number, j) => {
      assert.ok(Math.abs(number - plain.data[i].embedding[j]) < 1e-6);
    });
  }
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes(STARTER));
  assert.equal((await client.models.retrieve(STARTER)).id, STARTER);
});

test("errors", async () => {
  const ask = (more) => client.chat.completions.create({ model: STARTER, messages, ...more });
  await assert.rejects(ask({ model: "nobody" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /nobody/);
    return true;
  });
  await assert.rejects(ask({ temperature: 9 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
  await assert.rejects(client.responses.retrieve("resp_none"), OpenAI.NotFoundError);
  const locked = new OpenAI({ baseURL: `${lockedUrl}/v1`, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(locked.models.list(), OpenAI.AuthenticationError);
  const opened = new OpenAI({ baseURL: `${lockedUrl}/v1`, apiKey: "right", maxRetries: 0 });
  assert.equal((await opened.models.list()).data.length, 1);
});

test("an abort", async () => {
  const stream = await client.chat.completions.create({ model: "endless", messages, stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    chunks += 1;
    if (chunks === 3) stream.controller.abort();
  }
  assert.ok(chunks >= 3);
  const whole = new AbortController();
  const answer = client.chat.completions.create(
    { model: "endless", messages }, { signal: whole.signal },
  );
  setTimeout(() => whole.abort(), 100);
  await assert.rejects(answer, OpenAI.APIUserAbortError);
});
