import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["tests/{format,unit}/**/*.test.ts"], pool: "threads", maxWorkers: 1 },
});
