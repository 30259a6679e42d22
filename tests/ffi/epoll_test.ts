import { equal } from "node:assert/strict";
import { Epoll, EPOLL_EVENT } from "../../ffi/epoll.ts";
import { EventFd } from "../../ffi/poll.ts";

Deno.test("struct epoll_event is packed on x86-64 and aligned elsewhere", () => {
  equal(EPOLL_EVENT.size, Deno.build.arch === "x86_64" ? 12 : 16);
});

Deno.test("only ready descriptors are reported, by their tokens, for as long as they are readable", () => {
  const epoll = new Epoll(8);
  const fds = [EventFd.create(), EventFd.create(), EventFd.create()];
  try {
    fds.forEach(({ fd }, i) => epoll.add(fd, 0xfffffff0 + i));
    equal(epoll.wait(0), 0);
    fds[2]!.signal();
    equal(epoll.wait(1000), 1);
    equal(epoll.tokenOf(0), 0xfffffff2);
    equal(epoll.wait(0), 1, "level-triggered");
    fds[0]!.signal();
    equal(epoll.wait(0), 2);
    equal([epoll.tokenOf(0), epoll.tokenOf(1)].sort().join(), [0xfffffff0, 0xfffffff2].join());
    epoll.remove(fds[0]!.fd);
    fds[2]!.drain();
    equal(epoll.wait(0), 0);
  } finally {
    for (const fd of fds) fd.close();
    epoll.close();
  }
});

Deno.test("a closed descriptor is no longer watched, and its number can be watched anew", () => {
  const epoll = new Epoll();
  const first = EventFd.create();
  epoll.add(first.fd, 1);
  first.signal();
  first.close();
  const second = EventFd.create();
  try {
    equal(epoll.wait(0), 0);
    epoll.add(second.fd, 2);
    second.signal();
    equal(epoll.wait(0), 1);
    equal(epoll.tokenOf(0), 2);
  } finally {
    second.close();
    epoll.close();
  }
});

Deno.test("a wait ends after its time, rounded up", () => {
  const epoll = new Epoll();
  const start = performance.now();
  equal(epoll.wait(4.2), 0);
  equal(performance.now() - start >= 4.2, true);
  epoll.close();
});
