// What every file here asks for: the servers that pytest started, and the same few questions.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";

export const url = process.env.LOCALAI_URL; // everyone may ask
export const lockedUrl = process.env.LOCALAI_LOCKED_URL; // wants the key "right"
export const picture = process.env.LOCALAI_PICTURE; // a PNG in base64

export const STARTER = "local-ai-starter";
export const SAY = "Say this is a test!";
export const SAID = "This is a test!";
export const QUESTION = "What is the weather in Rome?";
export const WEATHER = "Get the weather of a city";
export const CITY = z.object({ city: z.string() });
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

// Every answer of this form has an end, whatever a very small model thinks.
export const VERDICT = z.object({ verdict: z.enum(["yes", "no"]), sure: z.boolean() });

// The function behind the tool; it remembers the cities that it was asked for.
export function weatherStation() {
  const asked = [];
  const read = ({ city }) => {
    asked.push(city);
    return "sunny";
  };
  return { asked, read };
}

// What docs/clients.md shows, with the address of the live server.
export function testExamplesOfThePage() {
  test("the examples of the page", async () => {
    const examples = readdirSync(".").filter((name) => name.startsWith("page_"));
    assert.ok(examples.length > 0);
    for (const example of examples) {
      const printed = [];
      const log = console.log;
      console.log = (...said) => printed.push(said.join(" "));
      try {
        await import(`./${example}`);
      } finally {
        console.log = log;
      }
      assert.deepEqual(printed, [SAID]);
    }
  });
}
