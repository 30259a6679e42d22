import assert from "node:assert/strict";
import fc from "fast-check";
import { Alarm } from "../../mod/node/alarm.ts";

interface TestSleeper {
  wakeAt: number | undefined;
  alarmSlot: number;
}

function sleeper(wakeAt?: number): TestSleeper {
  return { wakeAt, alarmSlot: -1 };
}

Deno.test("whatever is set, changed and removed, the alarm tells the earliest and wakes in order", () => {
  const command = fc.tuple(fc.nat(19), fc.option(fc.nat(50), { nil: undefined }), fc.boolean());
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const alarm = new Alarm<TestSleeper>();
      const all = Array.from({ length: 20 }, () => sleeper());
      const present = new Set<TestSleeper>();
      for (const [who, at, leaves] of commands) {
        const one = all[who]!;
        one.wakeAt = at;
        if (leaves) alarm.remove(one);
        else alarm.set(one);
        if (leaves || at === undefined) present.delete(one);
        else present.add(one);
        assert.equal(alarm.size, present.size);
        assert.equal(alarm.at, Math.min(Infinity, ...[...present].map(({ wakeAt }) => wakeAt!)));
      }
      const order: number[] = [];
      for (let due = alarm.due(50); due; due = alarm.due(50)) {
        order.push(due.wakeAt!);
        due.wakeAt = undefined;
        alarm.set(due);
      }
      const expected = [...present].length;
      assert.equal(order.length, expected);
      assert.deepEqual(order, order.toSorted((a, b) => a - b));
      assert.equal(alarm.at, Infinity);
    }),
  );
});

Deno.test("nobody is due before the time, and who is due stays so until it says when next", () => {
  const alarm = new Alarm<TestSleeper>();
  const one = sleeper(10), other = sleeper(20);
  alarm.set(one);
  alarm.set(other);
  assert.equal(alarm.due(9), undefined);
  assert.equal(alarm.due(10), one);
  assert.equal(alarm.due(30), one);
  one.wakeAt = 40;
  alarm.set(one);
  assert.equal(alarm.due(30), other);
  alarm.remove(other);
  assert.equal(alarm.due(30), undefined);
  assert.equal(alarm.at, 40);
});
