import assert from "node:assert/strict";
import fc from "fast-check";
import { ADDRESS_RECORD_SIZE, SocketAddress, writeAddressRecord } from "../../mod/packet/address.ts";
import { AddressCache } from "../../mod/packet/address_cache.ts";
import { Slab } from "../../mod/packet/slab.ts";

Deno.test("whatever was read before, the address is the one in the record, and one that comes again is the same value", () => {
  const slab = new Slab(1 << 16), record = slab.reserve(ADDRESS_RECORD_SIZE);
  const address = fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535))
    .map(([ip, port]) => SocketAddress.of(ip, port))
    .filter((known) => known !== undefined);
  const cache = new AddressCache(slab);
  fc.assert(fc.property(address, (known) => {
    writeAddressRecord(slab, record, known);
    const read = cache.read(record);
    assert.equal(read?.key, known.key);
    assert.equal(cache.read(record), read);
  }));
});

Deno.test("ten thousand senders by turns are told apart, although the cache holds fewer", () => {
  const slab = new Slab(1 << 16), record = slab.reserve(ADDRESS_RECORD_SIZE);
  const cache = new AddressCache(slab);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10_000; i++) {
      const known = SocketAddress.of(`10.0.${i >> 8}.${i & 255}`, 1 + i)!;
      writeAddressRecord(slab, record, known);
      assert.equal(cache.read(record)?.key, known.key);
    }
  }
});

Deno.test("an empty record has no address, also when its slot holds one", () => {
  const slab = new Slab(1 << 16), record = slab.reserve(ADDRESS_RECORD_SIZE);
  const cache = new AddressCache(slab);
  assert.equal(cache.read(record), undefined);
  writeAddressRecord(slab, record, SocketAddress.parse("192.0.2.1:7")!);
  assert.ok(cache.read(record));
  slab.bytes.fill(0, record, record + ADDRESS_RECORD_SIZE);
  assert.equal(cache.read(record), undefined);
});
