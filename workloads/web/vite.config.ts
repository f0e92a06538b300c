import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The gateway serves the result under a policy that allows no inline code and no data: URLs.
export default defineConfig({
  plugins: [react()],
  build: { assetsInlineLimit: 0, sourcemap: false, chunkSizeWarningLimit: 700 },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/api", "/auth"].map((path) => [path, { target: "http://localhost:8080" }]),
    ),
  },
});
