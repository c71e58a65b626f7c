import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["tests/format/**/*.test.ts"], pool: "threads", maxWorkers: 1 },
});
