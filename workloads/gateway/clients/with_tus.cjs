// The client `tus-js-client` for Node, found in the directory CLIENTS, told the address of the
// endpoint and a key.

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const installed = createRequire(join(process.env.CLIENTS, "package.json"));
const { Upload } = installed("tus-js-client");

const FILE = Buffer.from("veintitrés días\n".repeat(3_000));
const PIECE = 10_000;

/** An upload of FILE; `ended` is its last answer. */
function upload(filename, options = {}) {
  let it;
  const ended = new Promise((resolve, reject) => {
    it = new Upload(FILE, {
      endpoint: process.env.TUS_ENDPOINT,
      headers: { authorization: "Bearer " + process.env.TUS_KEY },
      metadata: { filename },
      // A writer whose connection is lost is waited for until it was silent for 5 s.
      retryDelays: [0, 1_000, 3_000, 6_000],
      onSuccess: ({ lastResponse }) => resolve(lastResponse),
      onError: reject,
      ...options,
    });
  });
  return { it, ended };
}

async function succeeds({ it, ended }) {
  it.start();
  assert.match((await ended).getHeader("x-lotoai-document-id"), /^[0-9a-f-]{36}$/);
}

async function refuses(status, { it, ended }) {
  it.start();
  const error = await ended.then(() => assert.fail("it was taken"), (error) => error);
  assert.equal(error.originalResponse?.getStatus(), status, error.message);
}

const cases = {
  whole: () => succeeds(upload("whole.txt")),

  pieces: () => succeeds(upload("pieces.txt", { chunkSize: PIECE })),

  async resumed() {
    let came;
    const stopped = new Promise((resolve) => (came = resolve));
    const first = upload("resumed.txt", {
      chunkSize: PIECE,
      onChunkComplete: (_, accepted) => accepted >= 2 * PIECE && came(),
    });
    first.it.start();
    await stopped;
    await first.it.abort();
    const sent = [];
    const second = upload("resumed.txt", {
      chunkSize: PIECE,
      uploadUrl: first.it.url,
      onBeforeRequest: (request) => sent.push(request.getHeader("Upload-Offset")),
    });
    await succeeds(second);
    // Nothing was sent again from the beginning.
    assert(!sent.includes("0") && !sent.includes(0), String(sent));
  },

  async ended() {
    const { it } = upload("ended.txt", { chunkSize: PIECE });
    const begun = new Promise((resolve) => (it.options.onUploadUrlAvailable = resolve));
    it.start();
    await begun;
    await it.abort(true);
    await refuses(404, upload("ended.txt", { uploadUrl: it.url, endpoint: null }));
  },

  refused: () => refuses(415, upload("refused.pdf")),

  unauthorized: () =>
    refuses(401, upload("a.txt", { headers: { authorization: "Bearer loto_0" } })),
};

async function main() {
  for (const name of process.argv.slice(2)) {
    try {
      await cases[name]();
      console.log(name, "ok");
    } catch (error) {
      console.log(error.stack);
      console.log(name, "failed");
      process.exitCode = 1;
    }
  }
}

main();
