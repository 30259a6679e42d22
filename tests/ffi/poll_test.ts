import assert from "node:assert/strict";
import { POLLIN, POLLNVAL, POLLOUT } from "../../ffi/libc.ts";
import { EventFd, Poller } from "../../ffi/poll.ts";

Deno.test("an eventfd wakes the poll that watches it, until it is drained", () => {
  const wake = EventFd.create(), poller = new Poller([wake.fd]);
  assert.equal(poller.wait(0), 0);
  assert.equal(poller.readable(0), false);
  wake.signal();
  wake.signal();
  assert.equal(poller.wait(undefined), 1);
  assert.equal(poller.events(0), POLLIN);
  assert.equal(wake.drain(), true);
  assert.equal(wake.drain(), false);
  assert.equal(poller.wait(-5), 0);
  wake.close();
});

Deno.test("a wait ends after its time, fractions rounded up", () => {
  const poller = new Poller([]);
  const start = performance.now();
  assert.equal(poller.wait(4.2), 0);
  assert.ok(performance.now() - start >= 4.2);
});

Deno.test("each descriptor is told by its index, negative ones are ignored", () => {
  const one = EventFd.create(), two = EventFd.create();
  const poller = new Poller([one.fd, -1, two.fd]);
  two.signal();
  assert.equal(poller.wait(0), 1);
  assert.deepEqual([0, 1, 2].map((i) => poller.readable(i)), [false, false, true]);
  one.close();
  two.close();
});

Deno.test("what a descriptor is watched for can change", () => {
  const wake = EventFd.create(), poller = new Poller([wake.fd]);
  poller.watch(0, POLLOUT);
  assert.equal(poller.wait(0), 1);
  assert.equal(poller.events(0), POLLOUT);
  assert.equal(poller.readable(0), false);
  wake.signal();
  poller.watch(0, 0);
  assert.equal(poller.wait(0), 0);
  poller.watch(0, POLLIN | POLLOUT);
  assert.equal(poller.wait(0), 1);
  assert.equal(poller.events(0), POLLIN | POLLOUT);
  wake.close();
});

Deno.test("a closed descriptor is reported, not waited for", () => {
  const wake = EventFd.create(), poller = new Poller([wake.fd]);
  wake.close();
  assert.equal(poller.wait(undefined), 1);
  assert.equal(poller.events(0), POLLNVAL);
});

Deno.test("another thread ends a blocked wait", async () => {
  const wake = EventFd.create(), poller = new Poller([wake.fd]);
  const url = new URL("../../ffi/poll.ts", import.meta.url);
  const source = `import { EventFd } from ${JSON.stringify(url.href)};
    const wake = EventFd.attach(${wake.fd});
    self.onmessage = () => { setTimeout(() => { wake.signal(); self.close(); }, 20); };
    self.postMessage("ready");`;
  const worker = new Worker(`data:application/javascript,${encodeURIComponent(source)}`, { type: "module" });
  await new Promise((resolve) => worker.onmessage = resolve);
  worker.postMessage("go");
  assert.equal(poller.wait(5000), 1);
  assert.equal(wake.drain(), true);
  worker.terminate();
  wake.close();
});
