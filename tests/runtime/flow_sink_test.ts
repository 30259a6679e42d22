import assert from "node:assert/strict";
import { FlowSink, openTarget, type Target } from "../../mod/runtime/flow_sink.ts";

/** A file on a disk that is full at times. */
class Disk implements Target {
  text = "";
  room = Infinity;
  gate: Promise<void> = Promise.resolve();

  async write(bytes: Uint8Array): Promise<number> {
    await this.gate;
    const taken = Math.min(bytes.length, this.room);
    if (taken === 0) throw new Error("No space left on device");
    this.room -= taken;
    this.text += new TextDecoder().decode(bytes.subarray(0, taken));
    return taken;
  }

  close(): void {}
}

function sinkOver(target: Target) {
  const heard = { done: 0, lost: 0, reasons: [] as string[] };
  const sink = new FlowSink(target, {
    onDone: (records) => heard.done += records,
    onLost: (records, reason) => {
      heard.lost += records;
      heard.reasons.push(reason);
    },
  });
  return { sink, heard };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("lines are written in order, and what waits is written together", async () => {
  const disk = new Disk();
  const { sink, heard } = sinkOver(disk);
  sink.write("1\n", 1);
  sink.write("2\n3\n", 2);
  sink.write("4\n", 1);
  await sink.close(1000);
  assert.equal(disk.text, "1\n2\n3\n4\n");
  assert.deepEqual(heard, { done: 4, lost: 0, reasons: [] });
});

Deno.test("what a full disk refuses is counted by the record, and told before the next record that fits", async () => {
  const disk = new Disk();
  const { sink, heard } = sinkOver(disk);
  disk.room = 6; // "aaa\n" and half of the next
  sink.write("aaa\nbbb\nccc\n", 3);
  await settled();
  assert.deepEqual(heard, { done: 3, lost: 2, reasons: ["No space left on device"] });
  sink.write("ddd\n", 1);
  await settled();
  assert.equal(heard.lost, 3);
  disk.room = Infinity;
  sink.write("eee\n", 1);
  await sink.close(1000);
  const lines = disk.text.split("\n");
  assert.deepEqual([lines[0], lines[1], lines[3], lines[4]], ["aaa", "bb", "eee", ""]);
  const loss = JSON.parse(lines[2]!);
  assert.deepEqual([loss.record, loss.records], ["lost", 3]);
  assert.equal(heard.done, 5);
});

Deno.test("closing waits for a slow target, but not for ever", async () => {
  const disk = new Disk();
  disk.gate = new Promise(() => {});
  const { sink, heard } = sinkOver(disk);
  sink.write("1\n", 1);
  const started = performance.now();
  await sink.close(20);
  assert.ok(performance.now() - started < 500);
  assert.equal(heard.done, 0);
});

Deno.test("a file is appended to, and a new one is nobody else's to read", async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  for (const line of ["first\n", "second\n"]) {
    const { sink } = sinkOver(await openTarget(path));
    sink.write(line, 1);
    await sink.close(1000);
  }
  assert.equal(await Deno.readTextFile(path), "first\nsecond\n");
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  await Deno.remove(path);
});

Deno.test("a file that can't be opened is an error that names it", async () => {
  await assert.rejects(
    openTarget("/nowhere/flows.json"),
    /Cannot write flow records to \/nowhere\/flows.json: .*/,
  );
});

Deno.test("the kernel's own full disk is noticed", async () => {
  const { sink, heard } = sinkOver(await openTarget("/dev/full"));
  sink.write("1\n2\n", 2);
  await sink.close(1000);
  assert.equal(heard.lost, 2);
  assert.match(heard.reasons[0]!, /No space left/);
});
