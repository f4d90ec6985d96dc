// One scenario a run: `node scenarios.mjs NAME SETTINGS`, with settings as JSON; prints what came of it as JSON.

import { createHash, randomBytes } from "node:crypto";
import { Caller, collect, within } from "./calls.mjs";

const MEGABYTE = 1024 * 1024;
const MODEL = "called-from-js";
const CONTRACT = Buffer.from("第一条 目的。本合同规定交货。\n第二条 付款。买方应当在三十日内付款。\n");

const scenarios = {
  async parse(caller) {
    const answer = await caller.unary("documents", "Parse", { content: CONTRACT, name: "合同.txt" });
    return { numbers: answer.clauses.map((clause) => clause.number) };
  },

  async missing_file(caller) {
    return failed(caller, caller.unary("files", "GetFile", { name: "files/none" }, { "x-request-id": "from-js-1" }));
  },

  async quota(caller) {
    return failed(caller, caller.unary("files", "GetQuota", {}));
  },

  async upload_and_download(caller) {
    const content = randomBytes(5 * MEGABYTE + 17);
    const parts = [{ spec: { display_name: "random.bin", size_bytes: content.length } }, ...chunks(content)];
    const { file } = await caller.gather("files", "UploadFile", parts);
    return { sent: sha256(content), stored: file.sha256, received: sha256(await downloaded(caller, file.name)) };
  },

  async upload_that_goes_on(caller) {
    const content = randomBytes(3 * MEGABYTE);
    const { upload } = await caller.unary("files", "StartUpload", { spec: { display_name: "resumed.bin" } });
    const first = await written(caller, upload.name, 0, content.subarray(0, MEGABYTE));
    const asked = await caller.unary("files", "QueryUpload", { upload: upload.name });
    const offset = asked.upload.committed_bytes;
    const last = await written(caller, upload.name, offset, content.subarray(offset));
    const finish = { upload: upload.name, size_bytes: content.length, sha256: sha256(content) };
    const { file } = await caller.unary("files", "FinishUpload", finish);
    return { first, offset, last, sent: sha256(content), received: sha256(await downloaded(caller, file.name)) };
  },

  async parse_stream(caller) {
    const halves = [CONTRACT.subarray(0, 40), CONTRACT.subarray(40)].map((chunk) => ({ chunk }));
    const answers = await caller.converse("documents", "ParseStream", [{ spec: { name: "合同.txt" } }, ...halves]);
    const clauses = answers.flatMap((answer) => answer.clauses?.clauses ?? []);
    return { numbers: clauses.map((clause) => clause.number), last: answers.at(-1).part };
  },

  async upsert_stream(caller) {
    const collection = "from_js";
    await caller.unary("vectors", "CreateCollection", { collection: { name: collection, dimension: 3 } });
    const acknowledged = await inTurn(caller.open("vectors", "UpsertPointsStream"), [
      { spec: { collection } },
      { batch: { sequence: 1, points: [point("east", [1, 0, 0])] } },
      { batch: { sequence: 2, points: [point("north", [0, 1, 0]), point("up", [0, 0, 1])] } },
    ]);
    const { count } = await caller.unary("vectors", "CountPoints", { collection });
    const search = { collection, vector: { floats: { values: [0, 1, 0.1] } }, k: 1 };
    const { hits } = await caller.unary("vectors", "Search", search);
    return { acknowledged: acknowledged.map((answer) => answer.durable_sequence), count, nearest: hits[0].id };
  },

  async record_stream(caller) {
    const batch = (sequence) => ({ batch: { writer_id: "from-js", sequence, observations: [observation()] } });
    const answers = await inTurn(caller.open("metrics", "RecordStream"), [batch(1), batch(2)]);
    const filters = [{ dimension: { label: "LABEL_MODEL" }, any_of: { values: [MODEL] } }];
    const { total } = await caller.unary("metrics", "QueryUsage", { query: { filters } });
    return { committed: answers.map((answer) => answer.committed_sequence), calls: total.calls };
  },

  async deadline(caller) {
    return failed(caller, collect(caller.metrics.TailObservations({}, caller.metadata(), within(0.3))));
  },

  async cancellation(caller) {
    const call = caller.metrics.TailObservations({}, caller.metadata(), within(60));
    call.on("metadata", () => call.cancel());
    return failed(caller, collect(call));
  },

  async health(caller) {
    const answer = await caller.raw("/grpc.health.v1.Health/Check", Buffer.alloc(0));
    return { bytes: [...answer] };
  },

  async large_messages(caller) {
    const text = "A line of a long document that has no clauses at all.\n".repeat(80_000);
    const request = { content: Buffer.from(text), name: "long.txt", options: { outputs: ["OUTPUT_TEXT"] } };
    const answer = await caller.unary("documents", "Parse", request);
    return { sent_bytes: text.length, received_bytes: Buffer.byteLength(answer.text) };
  },
};

async function failed(caller, promise) {
  try {
    return { answer: await promise };
  } catch (error) {
    return caller.told(error);
  }
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function chunks(content) {
  const starts = Array.from({ length: Math.ceil(content.length / MEGABYTE) }, (_, number) => number * MEGABYTE);
  return starts.map((start) => ({ chunk: { data: content.subarray(start, start + MEGABYTE) } }));
}

async function downloaded(caller, name) {
  const parts = await caller.spread("files", "DownloadFile", { name });
  return Buffer.concat(parts.filter((part) => part.chunk).map((part) => part.chunk.data));
}

async function written(caller, upload, offset, content) {
  const answers = await caller.converse("files", "WriteUpload", [{ start: { upload, offset } }, ...chunks(content)]);
  return answers.at(-1).committed_bytes;
}

/** Sends each message only when the one before it was answered: both directions are open at once. */
async function inTurn(call, messages) {
  const found = [];
  const rest = [...messages];
  const next = () => (rest.length ? call.write(rest.shift()) : call.end());
  next();
  call.on("data", (answer) => {
    found.push(answer);
    next();
  });
  await new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
  return found;
}

function point(id, values) {
  return { id, vector: { floats: { values } } };
}

function observation() {
  const now = { seconds: Math.floor(Date.now() / 1000), nanos: 0 };
  return { time: now, labels: { model: MODEL }, tokens: { input: 3, output: 4 }, status: "CALL_STATUS_OK" };
}

const [name, settings] = process.argv.slice(2);
const answer = await scenarios[name](new Caller(JSON.parse(settings)));
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
