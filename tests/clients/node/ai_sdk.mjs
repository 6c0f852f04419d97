// Vercel's AI SDK with three of its providers, which between them speak three of our APIs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError, Output, ToolLoopAgent,
  cosineSimilarity, embed, embedMany, generateObject, generateText, isStepCount,
  streamObject, streamText, tool,
} from "ai";
import {
  CITY, QUESTION, SAID, SAY, STARTER, VERDICT, WEATHER,
  lockedUrl, picture, testExamplesOfThePage, url, weatherStation,
} from "./asked.mjs";

testExamplesOfThePage();

globalThis.AI_SDK_LOG_WARNINGS = false;

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const compatible = createOpenAICompatible({
  name: "local-ai", baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true,
});
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" });
const maxRetries = 0;

const providers = {
  "openai, responses": (model) => openai.responses(model),
  "openai, chat": (model) => openai.chat(model),
  "openai-compatible": (model) => compatible.chatModel(model),
  anthropic: (model) => anthropic(model),
};

// Thoughts are shown by this provider when its model is said to think, and asked to show them.
const show = { openai: { forceReasoning: true, reasoningSummary: "auto" } };

for (const [provider, model] of Object.entries(providers)) {
  test(`${provider}: text`, async () => {
    const answer = await generateText({ model: model(STARTER), prompt: SAY, maxRetries });
    assert.equal(answer.text, SAID);
    assert.equal(answer.finishReason, "stop");
    assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
  });

  test(`${provider}: text, streaming`, async () => {
    const answer = streamText({ model: model(STARTER), prompt: SAY, maxRetries });
    let said = "";
    for await (const piece of answer.textStream) said += piece;
    assert.equal(said, SAID);
    assert.equal(await answer.finishReason, "stop");
    const usage = await answer.usage;
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  });

  test(`${provider}: a tool loop`, async () => {
    const station = weatherStation();
    const tools = {
      get_weather: tool({ description: WEATHER, inputSchema: CITY, execute: station.read }),
    };
    const answer = await generateText({
      model: model(STARTER), prompt: QUESTION, tools, stopWhen: isStepCount(3), maxRetries,
    });
    assert.match(answer.text, /sunny/);
    assert.equal(answer.steps.length, 2);
    assert.equal(answer.steps[0].finishReason, "tool-calls");
    assert.deepEqual(station.asked, ["Rome"]);
  });

  test(`${provider}: an agent, streaming`, async () => {
    const station = weatherStation();
    const agent = new ToolLoopAgent({
      model: model(STARTER),
      tools: {
        get_weather: tool({ description: WEATHER, inputSchema: CITY, execute: station.read }),
      },
      maxRetries,
    });
    const answer = await agent.stream({ prompt: QUESTION });
    let said = "";
    for await (const piece of answer.textStream) said += piece;
    assert.match(said, /sunny/);
    assert.deepEqual(station.asked, ["Rome"]);
  });

  test(`${provider}: a call that is demanded`, async () => {
    const tools = { get_weather: tool({ description: WEATHER, inputSchema: CITY }) };
    for (const toolChoice of ["required", { type: "tool", toolName: "get_weather" }]) {
      const answer = await generateText({
        model: model(STARTER), prompt: QUESTION, tools, toolChoice, maxRetries,
      });
      assert.deepEqual(answer.toolCalls[0].input, { city: "Rome" });
    }
  });

  test(`${provider}: an object`, async () => {
    const asked = { model: model(STARTER), prompt: SAY, schema: VERDICT, maxRetries };
    assert.ok(VERDICT.safeParse((await generateObject(asked)).object).success);
    let last = null;
    for await (const part of streamObject(asked).partialObjectStream) last = part;
    assert.ok(VERDICT.safeParse(last).success);
    const { output } = await generateText({
      model: model(STARTER), prompt: SAY, output: Output.object({ schema: VERDICT }), maxRetries,
    });
    assert.ok(VERDICT.safeParse(output).success);
  });

  test(`${provider}: a tool, then an object`, async () => {
    const station = weatherStation();
    const answer = await generateText({
      model: model(STARTER),
      prompt: QUESTION,
      tools: { get_weather: tool({ description: WEATHER, inputSchema: CITY, execute: station.read }) },
      output: Output.object({ schema: VERDICT }),
      providerOptions: { anthropic: { structuredOutputMode: "outputFormat" } },
      stopWhen: isStepCount(3),
      maxRetries,
    });
    assert.deepEqual(station.asked, ["Rome"]);
    assert.ok(VERDICT.safeParse(answer.output).success);
  });

  test(`${provider}: a picture`, async () => {
    const text = { type: "text", text: SAY };
    const image = { type: "file", mediaType: "image/png", data: Buffer.from(picture, "base64") };
    const count = async (...content) => {
      const { usage } = await generateText({
        model: model("seer"), messages: [{ role: "user", content }], maxOutputTokens: 2, maxRetries,
      });
      return usage.inputTokens;
    };
    assert.ok((await count(text, image)) > (await count(text)));
  });

  test(`${provider}: an error`, async () => {
    await assert.rejects(
      generateText({ model: model("nobody"), prompt: SAY, maxRetries }),
      (error) => {
        assert.ok(APICallError.isInstance(error), String(error));
        assert.equal(error.statusCode, 404);
        assert.match(error.message, /nobody/);
        assert.equal(error.isRetryable, false);
        return true;
      },
    );
  });

  test(`${provider}: an abort`, async () => {
    const stop = new AbortController();
    const answer = streamText({
      model: model("endless"), prompt: SAY, abortSignal: stop.signal, maxRetries,
    });
    const kinds = [];
    for await (const part of answer.fullStream) {
      kinds.push(part.type);
      if (part.type === "text-delta") stop.abort();
    }
    assert.equal(kinds.at(-1), "abort");
  });
}

// OpenAI's chat completions have no thoughts, so its provider reads none.
for (const provider of ["openai, responses", "openai-compatible", "anthropic"]) {
  const model = providers[provider];
  test(`${provider}: thinking`, async () => {
    const asked = { model: model("thinker"), prompt: SAY, providerOptions: show, maxRetries };
    const whole = await generateText(asked);
    assert.equal(whole.reasoningText, "Hmm.");
    assert.equal(whole.text, "All done");
    const streamed = streamText(asked);
    assert.equal(await streamed.reasoningText, "Hmm.");
    assert.equal(await streamed.text, "All done");
  });
}

test("embeddings", async () => {
  for (const model of [openai.embedding("embedder"), compatible.embeddingModel("embedder")]) {
    const { embedding, usage } = await embed({ model, value: "the cat", maxRetries });
    assert.equal(embedding.length, 64);
    assert.ok(usage.tokens > 0);
    const { embeddings } = await embedMany({ model, values: ["the cat", "the dog"], maxRetries });
    assert.ok(cosineSimilarity(embeddings[0], embedding) > 0.999);
  }
});

test("completions", async () => {
  for (const model of [openai.completion(STARTER), compatible.completionModel(STARTER)]) {
    const answer = await generateText({
      model, prompt: "Once upon a time", maxOutputTokens: 8, maxRetries,
    });
    assert.ok(answer.text.length > 0);
  }
});

test("keys", async () => {
  const baseURL = `${lockedUrl}/v1`;
  const makers = [
    (apiKey) => createOpenAI({ baseURL, apiKey }).responses("echo"),
    (apiKey) => createOpenAICompatible({ name: "local-ai", baseURL, apiKey }).chatModel("echo"),
    (apiKey) => createAnthropic({ baseURL, apiKey })("echo"),
  ];
  for (const make of makers) {
    const ask = (key) => generateText({ model: make(key), prompt: SAY, maxRetries });
    await assert.rejects(ask("wrong"), (error) => error.statusCode === 401);
    assert.equal((await ask("right")).text, SAY);
  }
});
