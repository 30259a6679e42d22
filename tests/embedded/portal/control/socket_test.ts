import assert from "node:assert/strict";
import { Hono } from "hono";
import {
  ControlClient,
  ControlUnreachable,
  openControlSocket,
} from "../../../../mod/embedded/portal/control/mod.ts";

const app = new Hono().get("/status", (c) => c.json({ answer: "here" }));

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the socket is for its owner alone, and gone when the portal is", () =>
  inFolder(async (folder) => {
    const path = `${folder}/portal.sock`;
    const socket = await openControlSocket(path, app);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.deepEqual(await new ControlClient(path).call("GET", ["status"]), { answer: "here" });
    await socket.close();
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
    await assert.rejects(new ControlClient(path).call("GET", ["status"]), ControlUnreachable);
  }));

Deno.test("a socket that a killed portal left behind is replaced, one that lives is not", () =>
  inFolder(async (folder) => {
    const path = `${folder}/portal.sock`;
    const leftover = Deno.listen({ transport: "unix", path: `${folder}/other.sock` });
    await Deno.rename(`${folder}/other.sock`, path);
    leftover.close();
    assert.ok((await Deno.lstat(path)).isSocket);
    const socket = await openControlSocket(path, app);
    await assert.rejects(
      openControlSocket(path, app),
      /another portal listens there\. Stop it, or name another path/,
    );
    assert.deepEqual(await new ControlClient(path).call("GET", ["status"]), { answer: "here" });
    await socket.close();
  }));

Deno.test("what is no socket is never removed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/policy.toml`;
    await Deno.writeTextFile(path, "[[site]]");
    await assert.rejects(
      openControlSocket(path, app),
      /there is something else\. Name another path with --control/,
    );
    assert.equal(await Deno.readTextFile(path), "[[site]]");
    await assert.rejects(
      openControlSocket(`${folder}/none/x.sock`, app),
      /Cannot open the control socket .*none/,
    );
    await assert.rejects(openControlSocket(`${folder}/${"x".repeat(108)}`, app), /longer than 107 bytes/);
  }));

Deno.test("an answer that breaks off is no answer", () =>
  inFolder(async (folder) => {
    const path = `${folder}/portal.sock`;
    using listener = Deno.listen({ transport: "unix", path });
    const served = (async () => {
      using connection = await listener.accept();
      await connection.read(new Uint8Array(1000));
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"));
    })();
    await assert.rejects(new ControlClient(path).call("GET", ["status"]), ControlUnreachable);
    await served;
  }));
