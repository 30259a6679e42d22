/** TLS of the portal: certificates that are replaced while devices are connected. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect as tlsConnect } from "node:tls";
import { Certificate } from "../../../../mod/embedded/portal/server/certificate.ts";
import { BackgroundProcess } from "../../../../mod/embedded/testbed/mod.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../certificate.ts";
import { connect, withPortal } from "./wire.ts";

const MAIN = new URL("../../../../main.ts", import.meta.url).pathname;
const SECOND = await makeCertificate("second");

/** A fresh self-signed certificate. */
async function makeCertificate(name: string, days = "30"): Promise<{ cert: string; key: string }> {
  const folder = await Deno.makeTempDir({ prefix: "postern-certificate-" });
  try {
    const { success, stderr } = await new Deno.Command("openssl", {
      args: `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days ${days} -subj /CN=${name}
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${folder}/key.pem -out ${folder}/cert.pem`
        .split(/\s+/),
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return {
      cert: await Deno.readTextFile(`${folder}/cert.pem`),
      key: await Deno.readTextFile(`${folder}/key.pem`),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The serial number of the certificate that the server shows. */
async function shown(port: number): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function withFiles(
  run: (files: { certFile: string; keyFile: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "postern-certificate-" });
  try {
    const files = { certFile: `${folder}/cert.pem`, keyFile: `${folder}/key.pem` };
    await Deno.writeTextFile(files.certFile, CERTIFICATE);
    await Deno.writeTextFile(files.keyFile, PRIVATE_KEY);
    await run(files);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const serial = (cert: string) => new X509Certificate(cert).serialNumber;

Deno.test("a new certificate is shown to newcomers, and nobody's connection is cut for it", async () => {
  await withFiles(async (tls) => {
    await withPortal(async (server, log) => {
      assert.ok(server.url.startsWith("wss://"));
      const device = await connect(server);
      await device.join();
      assert.equal(await shown(server.port), serial(CERTIFICATE));
      await Deno.writeTextFile(tls.certFile, SECOND.cert);
      await Deno.writeTextFile(tls.keyFile, SECOND.key);
      server.reloadCertificate();
      assert.equal(await shown(server.port), serial(SECOND.cert));
      await device.heartbeat();
      const newcomer = await connect(server, { role: "gateway" });
      await newcomer.join();
      await Promise.all([device.close(), newcomer.close()]);
      assert.ok(log.some((line) => line.startsWith("info: Took the new certificate, good until ")));
    }, { tls });
  });
});

Deno.test("files that change are noticed without being told", async () => {
  await withFiles(async (files) => {
    const changed = Promise.withResolvers<string>();
    const certificate = new Certificate(files, {
      onChange: ({ cert }) => changed.resolve(cert),
      onLog() {},
    }, 10);
    certificate.watch();
    await Deno.writeTextFile(files.keyFile, SECOND.key);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(certificate.pair.cert, CERTIFICATE, "half of a new pair is none");
    await Deno.writeTextFile(files.certFile, SECOND.cert);
    assert.equal(await changed.promise, SECOND.cert);
    certificate.stop();
  });
});

Deno.test("SIGHUP makes the program take a new certificate at once", async () => {
  await withFiles(async ({ certFile, keyFile }) => {
    const policy = `${certFile}.toml`;
    await Deno.writeTextFile(policy, "");
    const portal = new BackgroundProcess([
      ...[Deno.execPath(), "run", "-A", "--no-check", MAIN, "portal", policy, "--listen", "127.0.0.1:0"],
      ...["--tls-cert", certFile, "--tls-key", keyFile, "--control", "off"],
    ], { label: "portal" });
    try {
      const [, port] = await portal.waitFor(/wss:\/\/127\.0\.0\.1:(\d+)/, 20_000);
      assert.equal(await shown(Number(port)), serial(CERTIFICATE));
      await Deno.writeTextFile(certFile, SECOND.cert);
      await Deno.writeTextFile(keyFile, SECOND.key);
      portal.kill("SIGHUP");
      await portal.waitFor(/Took the new certificate/, 5_000);
      assert.equal(await shown(Number(port)), serial(SECOND.cert));
    } finally {
      await portal.stop();
    }
  });
});

Deno.test("a certificate that is broken, half replaced or gone leaves the old one in use, logged once", async () => {
  await withFiles(async (tls) => {
    await withPortal(async (server, log) => {
      const complaints = () => log.filter((line) => line.startsWith("warning")).length;
      const breakages: (() => Promise<void>)[] = [
        () => Deno.writeTextFile(tls.certFile, SECOND.cert),
        () => Deno.writeTextFile(tls.certFile, CERTIFICATE.slice(0, 200)),
        () => Deno.remove(tls.certFile),
      ];
      for (const [index, breakIt] of breakages.entries()) {
        await breakIt();
        for (let i = 0; i < 3; i++) server.reloadCertificate();
        assert.equal(complaints(), index + 1);
        assert.equal(await shown(server.port), serial(CERTIFICATE));
        const device = await connect(server);
        await device.join();
        await device.close();
      }
      assert.ok(!log.join().includes("PRIVATE KEY"));
      await Deno.writeTextFile(tls.certFile, SECOND.cert);
      await Deno.writeTextFile(tls.keyFile, SECOND.key);
      server.reloadCertificate();
      assert.equal(await shown(server.port), serial(SECOND.cert));
    }, { tls });
  });
});

Deno.test("a portal doesn't start with a certificate that it can't use, and says why", () => {
  const start = (cert: string, key: string) => new Certificate({ cert, key }, { onChange() {}, onLog() {} });
  assert.throws(() => start(CERTIFICATE, SECOND.key), /the key belongs to another one/);
  assert.throws(() => start("nonsense", SECOND.key), /they are no PEM texts/);
  const files = { certFile: "/nonexistent/cert.pem", keyFile: "/nonexistent/key.pem" };
  assert.throws(
    () => new Certificate(files, { onChange() {}, onLog() {} }),
    /Cannot read \/nonexistent\/cert\.pem/,
  );
});

Deno.test("a certificate that is about to expire is warned of", async () => {
  const log: string[] = [];
  const certificate = new Certificate(await makeCertificate("short", "3"), {
    onChange() {},
    onLog: (_level, text) => log.push(text),
  });
  certificate.watch();
  certificate.stop();
  assert.match(log.join(), /expires in 3 days/);
});

Deno.test("the loopback port for a gateway in the same process is plain, and its own", async () => {
  await withFiles(async (tls) => {
    await withPortal(async (server) => {
      assert.match(server.loopbackUrl!, /^ws:\/\/127\.0\.0\.1:\d+$/);
      assert.notEqual(new URL(server.loopbackUrl!).port, String(server.port));
      const gateway = await connect({ url: server.loopbackUrl! }, { role: "gateway" });
      await gateway.join();
      await gateway.close();
    }, { tls, loopback: true });
  });
});
