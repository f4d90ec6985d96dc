// Calls of each shape as promises, over the contracts as they stand in the repository.

import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const CONTRACTS = [
  "difyrpc/documents/v1/documents.proto",
  "difyrpc/files/v1/files.proto",
  "difyrpc/metrics/v1/metrics.proto",
  "difyrpc/vectors/v1/vectors.proto",
  "google/rpc/error_details.proto",
  "google/rpc/status.proto",
];
const SERVICES = {
  documents: "difyrpc.documents.v1.DocumentParser",
  files: "difyrpc.files.v1.FileStorage",
  metrics: "difyrpc.metrics.v1.MetricsCollector",
  vectors: "difyrpc.vectors.v1.VectorSearch",
};
const DETAILS = "grpc-status-details-bin";

/** What one scenario was told: target, token, folders of contracts, files of certificates. */
export class Caller {
  constructor({ target, token = "", folders, ca = "", certificate = "", key = "" }) {
    this.definition = loader.loadSync(CONTRACTS, {
      includeDirs: folders, keepCase: true, longs: Number, enums: String, bytes: Buffer, oneofs: true, defaults: true,
    });
    const services = grpc.loadPackageDefinition(this.definition);
    const options = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
    this.credentials = ca ? secure(ca, certificate, key) : grpc.credentials.createInsecure();
    for (const [name, path] of Object.entries(SERVICES)) {
      const Service = path.split(".").reduce((found, part) => found[part], services);
      this[name] = new Service(target, this.credentials, options);
    }
    this.target = target;
    this.token = token;
  }

  metadata(more = {}) {
    const metadata = new grpc.Metadata();
    if (this.token) metadata.set("authorization", `Bearer ${this.token}`);
    for (const [key, value] of Object.entries(more)) metadata.set(key, value);
    return metadata;
  }

  /** Sends one message and answers one. */
  unary(service, method, request, more = {}) {
    return new Promise((resolve, reject) => {
      this[service][method](request, this.metadata(more), within(60), settle(resolve, reject));
    });
  }

  /** Sends several messages and answers one. */
  gather(service, method, requests) {
    return new Promise((resolve, reject) => {
      const call = this[service][method](this.metadata(), within(60), settle(resolve, reject));
      requests.forEach((request) => call.write(request));
      call.end();
    });
  }

  /** Sends one message and answers all that come. */
  spread(service, method, request) {
    return collect(this[service][method](request, this.metadata(), within(60)));
  }

  /** Sends several messages and answers all that come. */
  converse(service, method, requests) {
    const call = this[service][method](this.metadata(), within(60));
    requests.forEach((request) => call.write(request));
    call.end();
    return collect(call);
  }

  /** Opens both directions and leaves them to the caller. */
  open(service, method) {
    return this[service][method](this.metadata(), within(60));
  }

  /** Calls what the contracts do not hold, as bytes. */
  raw(path, bytes) {
    const client = new grpc.Client(this.target, this.credentials);
    const same = (buffer) => buffer;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, same, same, bytes, new grpc.Metadata(), within(60), settle(resolve, reject));
    });
  }

  /** Answers an error as the test reads it: its code, and what the server says of it in detail. */
  told(error) {
    const [bytes] = error.metadata.get(DETAILS);
    const found = { code: error.code, message: error.details, request_id: error.metadata.get("x-request-id")[0] ?? "" };
    return bytes ? { ...found, ...this.info(bytes) } : found;
  }

  info(bytes) {
    const status = this.definition["google.rpc.Status"].deserialize(bytes);
    const packed = status.details.find((one) => one.type_url.endsWith("google.rpc.ErrorInfo"));
    const { reason, domain, metadata } = this.definition["google.rpc.ErrorInfo"].deserialize(packed.value);
    return { status_code: status.code, reason, domain, metadata };
  }
}

export function within(seconds) {
  return { deadline: Date.now() + seconds * 1000 };
}

/** Answers all messages of a stream; rejects with its error. */
export function collect(call) {
  const found = [];
  return new Promise((resolve, reject) => {
    call.on("data", (message) => found.push(message));
    call.on("error", reject);
    call.on("end", () => resolve(found));
  });
}

function secure(ca, certificate, key) {
  const own = certificate ? [readFileSync(key), readFileSync(certificate)] : [null, null];
  return grpc.credentials.createSsl(readFileSync(ca), ...own);
}

function settle(resolve, reject) {
  return (error, answer) => (error ? reject(error) : resolve(answer));
}
